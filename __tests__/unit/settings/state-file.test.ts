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
const stateOf = (...resources: object[]) => ({ "terraform.dev.tfstate": JSON.stringify({ resources }) });
const groups = { mode: "managed", type: "aws_security_group", instances: [{}, {}] };

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

it("refuses a backend that would leave a local state with resources behind, with the command that moves it", () => {
  const command = "Move the state there: npm run state -- migrate --environment dev";
  expect(problemsWith(stateOf(groups), "s3")).toEqual([
    'environments[0] "dev": terraform.dev.tfstate has 2 resources, but the backend is s3://b/k, and a deploy would ' +
      `create everything a second time. ${command}`,
  ]);
  // A truncated file may have resources.
  expect(problemsWith({ "terraform.dev.tfstate": '{ "version": 4, "resou' }, "s3")).toEqual([
    expect.stringContaining("terraform.dev.tfstate is broken, but the backend is s3://b/k"),
  ]);
});

it("accepts such a backend once nothing is left behind", () => {
  expect(problemsWith(stateOf(groups))).toEqual([]);
  expect(problemsWith(stateOf({ mode: "data", type: "aws_region", instances: [{}] }), "s3")).toEqual([]);
  const { "terraform.dev.tfstate": moved } = stateOf(groups);
  expect(problemsWith({ "terraform.dev.tfstate.moved-to-s3": moved }, "s3")).toEqual([]);
});

it("refuses a local backend whose state was moved to S3", () => {
  const moved = { "terraform.dev.tfstate.moved-to-s3": JSON.stringify({ resources: [groups] }) };
  expect(problemsWith(moved)).toEqual([
    expect.stringMatching(
      /terraform\.dev\.tfstate was moved to S3, but the backend is local.* delete terraform/,
    ),
  ]);
  // Someone has moved it back.
  expect(problemsWith({ ...moved, ...stateOf(groups) })).toEqual([]);
});
