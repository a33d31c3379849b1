import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { runProgram } from "../../../src/cli/program.ts";

const node = (script: string, signal = new AbortController().signal) =>
  runProgram({ command: [process.execPath, "-e", script], cwd: tmpdir(), environment: process.env, signal });

describe("a program that must not be killed", () => {
  it("runs to its end, with any status", async () => {
    expect(await node("console.log(1); console.error(2); process.exitCode = 3")).toEqual({
      status: 3,
      stdout: "1\n",
      stderr: "2\n",
    });
    const missing = {
      command: ["no-such-program"],
      cwd: tmpdir(),
      environment: {},
      signal: new AbortController().signal,
    };
    await expect(runProgram(missing)).rejects.toThrow("ENOENT");
  });

  it.each([
    [{ shown: true } as const, ["1\n"]],
    [{}, []],
  ])("with %j prints %j, and always returns its output", async (shown, seen) => {
    const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const { signal } = new AbortController();
    const command = [process.execPath, "-e", "console.log(1)"];
    const { stdout } = await runProgram({
      command,
      cwd: tmpdir(),
      environment: process.env,
      signal,
      ...shown,
    });
    const written = write.mock.calls.map(([piece]) => String(piece)).filter((piece) => piece === "1\n");
    write.mockRestore();
    expect(stdout).toBe("1\n");
    expect(written).toEqual(seen);
  });

  it("is interrupted once, and has time to clean up", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-program-"));
    const ready = join(folder, "ready");
    const stop = new AbortController();
    const ended = node(
      `let interrupts = 0;
       process.on("SIGINT", () => {
         interrupts += 1;
         setTimeout(() => { console.log(interrupts); process.exit(0); }, 300);
       });
       setInterval(() => {}, 1000);
       require("node:fs").writeFileSync(${JSON.stringify(ready)}, "");`,
      stop.signal,
    );
    while (!existsSync(ready)) await sleep(20);
    stop.abort();
    expect(await ended).toMatchObject({ status: 0, stdout: "1\n" });
    rmSync(folder, { recursive: true });
  });

  it("does not start after an abort", async () => {
    expect(() => node("", AbortSignal.abort())).toThrow();
  });
});
