import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { checkStateFiles } from "../../../src/settings/state-file.ts";

function problemsWith(files: Readonly<Record<string, string>>, type: "local" | "s3" = "local"): string[] {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-state-file-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const backend =
    type === "local"
      ? ({ type } as const)
      : { type, bucket: "b", key: "k", region: "eu-west-1", kmsKeyId: undefined };
  return checkStateFiles([{ name: "dev", backend }], folder);
}

const lost = { "terraform.dev.tfstate": "", "terraform.dev.tfstate.backup": '{ "version": 4 }' };

it("refuses an empty state with a backup, as Terraform leaves it that was killed, and says what to do", () => {
  expect(problemsWith(lost)).toEqual([
    expect.stringMatching(
      /^environments\[0\] "dev": terraform\.dev\.tfstate is empty: .*copy terraform\.dev\.tfstate\.backup over it/,
    ),
  ]);
});

it("refuses a truncated state, and names a backup only where there is a whole one", () => {
  const cut = { "terraform.dev.tfstate": '{ "version": 4, "resou' };
  const move =
    /mv terraform\.dev\.tfstate terraform\.dev\.tfstate\.broken.*leftovers -- --environment dev --remove/;
  const copy = /copy terraform\.dev\.tfstate\.backup over it.*leftovers -- --environment dev\.$/;
  for (const [files, remedy, other] of [
    [cut, move, copy],
    [{ ...cut, "terraform.dev.tfstate.backup": '{ "vers' }, move, copy],
    [{ ...cut, "terraform.dev.tfstate.backup": "{}" }, copy, move],
  ] as const) {
    const [problem, ...others] = problemsWith(files);
    expect(problem).toMatch(/"dev": terraform\.dev\.tfstate is truncated: /);
    expect(problem).toMatch(remedy);
    expect(problem).not.toMatch(other);
    expect(others).toEqual([]);
  }
});

it("takes none, a first one that was never written, a whole one, and one elsewhere", () => {
  expect(problemsWith({})).toEqual([]);
  expect(problemsWith({ "terraform.dev.tfstate": "" })).toEqual([]);
  expect(problemsWith({ "terraform.dev.tfstate.backup": "{}" })).toEqual([]);
  expect(problemsWith({ ...lost, "terraform.dev.tfstate": "{}" })).toEqual([]);
  expect(problemsWith(lost, "s3")).toEqual([]);
});
