import { describe, expect, it } from "vitest";
import { descendants } from "../../src/cli/process-tree.ts";
import { capture } from "../../src/cli/processes.ts";
import { until } from "../support/command.ts";
import { patience } from "../support/patience.ts";
import { alive, ps, runs, start } from "../support/start-command.ts";

describe("npm start, interrupted during its start", () => {
  it("ends Terraform and its descendants", async () => {
    const command = start();
    await until(command, () => command.output.stderr.includes("✓ synthesize the stack"));
    const terraform = async () => {
      const listing = (await capture("ps", ["-A", "-o", "pid=", "-o", "args="]))?.stdout ?? "";
      const own = new Set(descendants(await ps(), Number(command.child.pid)).map(({ pid }) => pid));
      return listing
        .split("\n")
        .filter((line) => /terraform-provider-aws/.test(line))
        .map((line) => Number.parseInt(line, 10))
        .filter((pid) => own.has(pid));
    };
    let providers: number[] = [];
    const deadline = Date.now() + patience;
    while (providers.length === 0 && Date.now() < deadline) providers = await terraform();
    expect(providers.length).toBeGreaterThan(0);
    const pids = descendants(await ps(), Number(command.child.pid)).map(({ pid }) => pid);
    command.child.kill("SIGTERM");
    expect(await command.status, command.output.stderr).toBe(130);
    expect(await alive(pids)).toEqual([]);
    expect(runs(command)).toEqual([]);
  });

  it("killed with SIGKILL, leaves no process, and the next run removes its folder", async () => {
    const command = start();
    await until(command, () => command.output.stderr.includes("✓ synthesize the stack"));
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const pids = descendants(await ps(), Number(command.child.pid)).map(({ pid }) => pid);
    expect(pids.length).toBeGreaterThan(2);
    command.child.kill("SIGKILL");
    await command.status;
    const deadline = Date.now() + patience;
    while ((await alive(pids)).length > 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await alive(pids)).toEqual([]);
    expect(runs(command)).toHaveLength(1);

    const next = start();
    await until(next, () => next.output.stderr.includes("✓ prepare the local AWS's virtual environment"));
    expect(runs(command)).toEqual([]);
    next.child.kill("SIGINT");
    expect(await next.status).toBe(130);
  });
});
