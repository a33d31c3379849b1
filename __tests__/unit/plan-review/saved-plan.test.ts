import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Steps } from "../../../src/cli/steps.ts";
import type { Runner } from "../../../src/plan-review/planning.ts";
import { readSavedPlan } from "../../../src/plan-review/saved-plan.ts";
import { change, plan } from "../../support/plan-fixture.ts";

const json = JSON.stringify(plan([change("aws_vpc.v", null, {})]));
let folder: string;
let calls: string[][];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-saved-"));
  calls = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function read(name: string, content?: string) {
  const file = join(folder, name);
  if (content !== undefined) writeFileSync(file, content);
  const terraform = async (...call: string[]) => {
    calls.push(call);
    return json;
  };
  const runner = { terraform } as unknown as Runner;
  return readSavedPlan({ file, folder: "/stack", steps: new Steps({ write: () => {} }), runner });
}

it("reads a plan file with Terraform, which can apply it", async () => {
  const { plan: found, isAppliable } = await read("dev.tfplan", "PK\u0003\u0004");
  expect(found.resource_changes).toHaveLength(1);
  expect(isAppliable).toBe(true);
  expect(calls).toEqual([["/stack", "show", "-json", join(folder, "dev.tfplan")]]);
});

it("reads JSON itself, which Terraform cannot apply", async () => {
  const { plan: found, isAppliable } = await read("plan.json", json);
  expect(found.resource_changes).toHaveLength(1);
  expect(isAppliable).toBe(false);
  expect(calls).toEqual([]);
});

it("names a file that cannot be read", async () => {
  await expect(read("gone")).rejects.toThrow(/--plan: .*gone/);
});
