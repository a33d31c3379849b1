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
      /^environments\[0\] "dev": terraform\.dev\.tfstate is empty: .*Copy terraform\.dev\.tfstate\.backup over it/,
    ),
  ]);
});

it("takes none, a first one that was never written, a whole one, and one elsewhere", () => {
  expect(problemsWith({})).toEqual([]);
  expect(problemsWith({ "terraform.dev.tfstate": "" })).toEqual([]);
  expect(problemsWith({ "terraform.dev.tfstate.backup": "{}" })).toEqual([]);
  expect(problemsWith({ ...lost, "terraform.dev.tfstate": "{}" })).toEqual([]);
  expect(problemsWith(lost, "s3")).toEqual([]);
});
