import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/lib/project-copy.ts";

const copies: { remove: () => void }[] = [];
afterAll(() => {
  for (const copy of copies) copy.remove();
});

/** Runs main.ts of a copy of the project with these settings, from a folder that is not the project's. */
function main(environments: string) {
  const copy = copyProject(environments);
  copies.push(copy);
  const outdir = join(copy.folder, "out");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", import.meta.resolve("tsx"), join(copy.folder, "main.ts")],
    { cwd: join(copy.folder, "src"), env: { ...process.env, CDKTF_OUTDIR: outdir }, encoding: "utf8" },
  );
  return { status, stdout, stderr, outdir, folder: copy.folder };
}

describe("main.ts", () => {
  it("synthesizes one stack for each environment, wherever it is called from", () => {
    const { status, stderr, outdir } = main(
      '[{ name: "dev" }, { name: "prod", region: "eu-west-1", vpcCidr: "10.1.0.0/16" }]',
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    for (const name of ["dev", "prod"])
      expect(existsSync(join(outdir, "stacks", name, "cdk.tf.json"))).toBe(true);
  });

  it("prints every problem, ends with 1 and touches no output folder where settings are wrong", () => {
    const { status, stdout, stderr, outdir, folder } = main(
      '[{ name: "Dev", idleTimeoutMinutes: 5, vpcCidr: "8.8.8.0/24" }]',
    );
    expect(status).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toContain("Dev");
    expect(stderr).toContain("5");
    expect(stderr).toContain("8.8.8.0/24");
    expect(stderr.split("\n").filter((line) => line.startsWith("- ")).length).toBeGreaterThanOrEqual(3);
    expect(existsSync(outdir)).toBe(false);
    expect(existsSync(join(folder, "cdktf.out"))).toBe(false);
    expect(existsSync(join(folder, "src", "cdktf.out"))).toBe(false);
  });
});
