import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lockTimeout } from "../../../src/cli/terraform-cli.ts";
import { recipeCommands, recipes } from "../../support/recipes.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-recipe-"));
  mkdirSync(join(folder, "cdktf.out/stacks/dev"), { recursive: true });
  mkdirSync(join(folder, "bin"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a recipe in a real shell, with programs that record their calls. Returns the calls, or those before the failure. */
function run(commands: readonly string[], planStatus: number): { failed: boolean; calls: readonly string[] } {
  const log = join(folder, "calls");
  writeFileSync(log, "");
  for (const name of ["npm", "node", "terraform"]) {
    const status = name === "npm" ? `case "$*" in "run plan"*) exit ${planStatus};; esac` : "";
    const credentials = '$(test -n "$AWS_ACCESS_KEY_ID" && echo " with credentials")';
    const script = `#!/bin/sh\necho "${name} $*${credentials}" >> "${log}"\n${status}\n`;
    writeFileSync(join(folder, "bin", name), script);
    chmodSync(join(folder, "bin", name), 0o755);
  }
  const env = {
    PATH: `${join(folder, "bin")}:${process.env.PATH}`,
    AWS_ACCESS_KEY_ID: "x",
    PLANFILE: "/tmp/dev.tfplan",
  };
  let failed = false;
  try {
    for (const command of commands)
      execFileSync("bash", ["-ec", command], { cwd: folder, env, stdio: "pipe" });
  } catch {
    failed = true;
  }
  return { failed, calls: readFileSync(log, "utf8").trim().split("\n") };
}

describe.each(recipes)("the recipe for %s", (recipe) => {
  const commands = () => recipeCommands(recipe);

  it("synthesizes, plans, and applies the saved plan, in this order", () => {
    const { failed, calls } = run(commands(), 4);
    expect(failed).toBe(false);
    const order = [
      /^node --import tsx main\.ts/,
      /^npm run plan -- --environment dev --synthesized/,
      /^terraform .*apply .*dev\.tfplan/,
    ];
    const positions = order.map((call) => calls.findIndex((one) => call.test(one)));
    expect(positions).not.toContain(-1);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(calls.filter((call) => call.includes("main.ts"))).toHaveLength(1);
  });

  it.each([1, 3])("applies nothing if the review ends with status %i", (status) => {
    const { failed, calls } = run(commands(), status);
    expect(failed).toBe(true);
    expect(calls.some((call) => call.startsWith("terraform"))).toBe(false);
  });

  it("waits for the lock of the state", () => {
    const applies =
      commands()
        .join("\n")
        .match(/terraform .*apply.*/g) ?? [];
    expect(applies).toHaveLength(1);
    for (const command of applies) expect(command).toContain(lockTimeout);
  });

  it("installs packages without their scripts", () => {
    for (const command of commands().filter((one) => /npm (ci|install)/.test(one)))
      expect(command).toContain("--ignore-scripts");
  });
});

it("synthesizes without credentials on Atlantis, whose server has them", () => {
  const { calls } = run(recipeCommands("Atlantis"), 4);
  expect(calls).toContain("node --import tsx main.ts");
  expect(calls.some((call) => /^npm run plan .* with credentials$/.test(call))).toBe(true);
});
