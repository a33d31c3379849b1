import { readFileSync } from "node:fs";
import { Problem } from "../cli/problem.ts";
import type { Steps } from "../cli/steps.ts";
import { type Plan, readPlan } from "./plan.ts";
import type { Runner } from "./planning.ts";

export interface SavedPlanProps {
  readonly file: string;
  /** The initialized folder of the plan. */
  readonly folder: string;
  readonly steps: Steps;
  readonly runner: Runner;
}

export interface SavedPlan {
  readonly plan: Plan;
  /** Whether Terraform can apply the file. It cannot apply JSON. */
  readonly isAppliable: boolean;
}

/** Reads the file that `--plan` names: a file of `terraform plan -out`, or the output of `terraform show -json` for one. */
export async function readSavedPlan({ file, folder, steps, runner }: SavedPlanProps): Promise<SavedPlan> {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    const message = `--plan: ${error instanceof Error ? error.message : error}`;
    throw new Problem({ message, remedy: "pass a file that `terraform plan -out` wrote" });
  }
  // A plan file is a zip archive.
  const isAppliable = content.subarray(0, 2).toString("latin1") === "PK";
  const json = isAppliable
    ? await steps.run("terraform show", () => runner.terraform(folder, "show", "-json", file))
    : content.toString("utf8");
  return { plan: readPlan(json, file), isAppliable };
}
