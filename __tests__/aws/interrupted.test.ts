import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeError } from "../../src/cli/problem.ts";
import { lockTimeout } from "../../src/cli/terraform-cli.ts";
import { terraformProblem } from "../../src/cli/terraform-problems.ts";
import { consentVariable } from "../../src/removal/guard.ts";
import { StackFixture } from "../support/stack-fixture.ts";

/** A reproducible sequence of random numbers from 1 to `most` (Park and Miller's generator). */
function seeded(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (state * 48271) % 2147483647;
    return 1 + (state % most);
  };
}

const flags = ["-auto-approve", "-no-color"];
const kills = 3;

describe("Terraform, killed at any time", () => {
  let stack: StackFixture;
  beforeAll(async () => {
    stack = await StackFixture.start('homeFileSystemRetention: "Delete"');
  });
  afterAll(() => stack?.stop());

  /** Follows destroy.md. A domain outside of the state needs consent, and this one has no users' work. */
  async function removeLeftovers(): Promise<number> {
    const first = await stack.leftovers(["--remove", "--yes"]);
    const domain = /Studio domain (d-\w+) still exists/.exec(first.output)?.[1];
    const { code, output } =
      domain === undefined
        ? first
        : await stack.leftovers(["--remove", "--yes"], { [consentVariable]: domain });
    expect(code, output).toBe(0);
    return output.match(/^deleted: /gm)?.length ?? 0;
  }

  /**
   * Follows the message about an empty state file, which Terraform leaves if it is killed while it writes the state.
   */
  async function restoreState(): Promise<void> {
    const state = join(stack.folder, "terraform.dev.tfstate");
    if (!existsSync(state) || statSync(state).size > 0 || !existsSync(`${state}.backup`)) return;
    expect((await stack.leftovers()).output).toContain("copy terraform.dev.tfstate.backup over it");
    copyFileSync(`${state}.backup`, state);
  }

  async function nothingLeftOver(): Promise<void> {
    const { code, output } = await stack.leftovers();
    expect(code, output).toBe(0);
  }

  it("can apply after three killed applies", async () => {
    const random = seeded(5);
    let unrecorded = 0;
    for (let kill = 0, run = 0; kill < kills; run++) {
      expect(run).toBeLessThan(2 * kills);
      const pick = (planned: number) => random(Math.max(1, Math.floor(0.7 * planned)));
      const { code, output } = await stack.killAfter(pick, ["apply", ...flags]);
      await restoreState();
      if (code === null) kill += 1;
      // The apply finished before the kill. Start again from an empty account.
      else expect((await stack.terraform(["destroy", ...flags])).code, output).toBe(0);
      unrecorded += await removeLeftovers();
    }
    // Control: some resources must be missing from the state, or the kills tested nothing.
    expect(unrecorded).toBeGreaterThan(2);
    await stack.apply();
    const plan = await stack.terraform(["plan", "-detailed-exitcode", "-no-color"]);
    expect(plan.code, plan.output).toBe(0);
    await nothingLeftOver();
  });

  it("can destroy everything after three killed destroys", async () => {
    const random = seeded(7);
    for (let kill = 0, run = 0; kill < kills; run++) {
      expect(run).toBeLessThan(2 * kills);
      const pick = (planned: number) => random(Math.max(1, Math.floor(planned / 4)));
      const { code, output } = await stack.killAfter(pick, ["destroy", ...flags]);
      await restoreState();
      expect([null, 0], output).toContain(code);
      if (code === null) kill += 1;
      else await stack.apply();
    }
    const { code, output } = await stack.terraform(["destroy", ...flags]);
    expect(code, output).toBe(0);
    expect(await stack.state()).toEqual([]);
    expect(await stack.localAws.inventory()).toEqual([]);
  });

  it("leaves a truncated state on a full disk, whose message says what works", async () => {
    await stack.apply();
    const state = join(stack.folder, "terraform.dev.tfstate");
    writeFileSync(state, readFileSync(state).subarray(0, 4096));
    rmSync(`${state}.backup`, { force: true });
    const remedy =
      "mv terraform.dev.tfstate terraform.dev.tfstate.broken) and run: npm run leftovers -- --environment dev --remove";
    for (const refused of [await stack.leftovers(["--remove", "--yes"]), await stack.destroy()]) {
      expect(refused.code, refused.output).toBe(1);
      expect(refused.output.replaceAll(/\s+/g, " ")).toContain(remedy);
    }
    renameSync(state, `${state}.broken`);
    expect(await removeLeftovers()).toBeGreaterThan(40);
    expect(await stack.localAws.inventory()).toEqual([]);
  });

  it("waits for the lock of another run in an S3 backend, and without -lock-timeout fails at once", async () => {
    const Bucket = "our-terraform-locks";
    const s3Client = new S3Client(stack.client);
    await s3Client.send(new CreateBucketCommand({ Bucket }));
    const s3 = { bucket: Bucket, key: "dev", region: "us-east-1", use_lockfile: true, use_path_style: true };
    const override = join(stack.stackFolder, "backend_override.tf.json");
    writeFileSync(override, JSON.stringify({ terraform: { backend: { s3 } } }));
    const init = await stack.terraform(["init", "-reconfigure", "-no-color"]);
    expect(init.code, init.output).toBe(0);
    const lock = {
      ID: "1",
      Operation: "OperationTypeApply",
      Who: "ana@laptop",
      Created: "2026-01-31T12:00:00Z",
    };
    const Key = "dev.tflock";
    await s3Client.send(new PutObjectCommand({ Bucket, Key, Body: JSON.stringify(lock) }));
    const refused = await stack.terraform(["plan", "-no-color"]);
    expect(refused.code).toBe(1);
    expect(refused.output).toContain("StatusCode: 412");
    expect(describeError(terraformProblem(refused.output))).toContain(
      "OperationTypeApply by ana@laptop, since 2026",
    );
    const waited = await stack.run(
      String(stack.environment.TERRAFORM_BINARY_NAME),
      ["plan", lockTimeout, "-no-color"],
      stack.stackFolder,
      {},
      async (child, lines) => {
        while (child.exitCode === null && !lines.some((line) => line.includes("Acquiring state lock")))
          await setTimeout(100);
        await s3Client.send(new DeleteObjectCommand({ Bucket, Key }));
      },
    );
    expect(waited.code, waited.output).toBe(0);
    expect(waited.output).toContain("Acquiring state lock");
    await s3Client.send(new DeleteBucketCommand({ Bucket }));
    rmSync(override);
  });

  it("leaves a lock in an S3 backend, which force-unlock releases with the ID of the message", async () => {
    const Bucket = "our-terraform-state";
    await new S3Client(stack.client).send(new CreateBucketCommand({ Bucket }));
    const s3 = { bucket: Bucket, key: "dev", region: "us-east-1", use_lockfile: true, use_path_style: true };
    writeFileSync(
      join(stack.stackFolder, "backend_override.tf.json"),
      JSON.stringify({ terraform: { backend: { s3 } } }),
    );
    const init = await stack.terraform(["init", "-reconfigure", "-no-color"]);
    expect(init.code, init.output).toBe(0);
    // The first change is the lock.
    const killed = await stack.killAfter(() => 6, ["apply", ...flags]);
    expect(killed.code, killed.output).toBe(null);
    const locked = await stack.terraform(["destroy", ...flags]);
    expect(locked.code).toBe(1);
    expect(locked.output).toContain("Error acquiring the state lock");
    const id = /ID: +(\S+)/.exec(locked.output)?.[1] ?? "";
    const wrong = await stack.terraform(["force-unlock", "-force", "00000000-0000-0000-0000-000000000000"]);
    expect(wrong.code).toBe(1);
    const unlocked = await stack.terraform(["force-unlock", "-force", id]);
    expect(unlocked.code, unlocked.output).toBe(0);
    const destroyed = await stack.terraform(["destroy", ...flags]);
    expect(destroyed.code, destroyed.output).toBe(0);
    expect(await removeLeftovers()).toBeGreaterThan(0);
    expect(await stack.localAws.inventory()).toEqual([`s3 bucket ${Bucket}`]);
  });
});
