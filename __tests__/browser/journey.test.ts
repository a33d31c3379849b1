import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";
import { runs, start } from "../support/start-command.ts";

// Concurrent, because both tests mostly wait for servers.
describe.concurrent("npm start -- --check", () => {
  it("deploys, uses marimo through the gateway reported-studio, destroys, and leaves nothing", async ({
    expect,
  }) => {
    const check = start("--check", "--json");
    expect(await check.status, check.output.stderr).toBe(0);
    expect(check.output.stdout.trim().split("\n")).toHaveLength(1);
    expect(check.output.stderr).toContain("✓ reload and continue editing");
    expect(check.output.stderr).toContain("✓ check that nothing is left");
    expect(runs(check)).toEqual([]);
  });

  it("breaks the WebSocket transport behind the gateway reported-studio, and reports the failed step", async ({
    expect,
  }) => {
    const check = start("--check", "--transport", "websocket", "--gateway", "reported-studio");
    expect(await check.status, check.output.stderr).toBe(1);
    expect(check.output.stderr).toContain("✓ open the sample notebook in marimo");
    expect(check.output.stderr).toContain('The check failed at the step "connect to marimo\'s kernel"');
    const logs = /All logs: (.+)/.exec(check.output.stderr)?.[1] ?? "";
    expect(readdirSync(join(logs, "browser")).sort()).toEqual(["browser.log", "failure.png"]);
    rmSync(logs, { recursive: true });
    expect(runs(check)).toEqual([]);
  });
});
