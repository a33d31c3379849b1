import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const file = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../../${path}`, import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-interrupt-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A command that prints its process ID and stops on request, after ten seconds at most. */
writeFileSync(
  join(folder, "command.ts"),
  `import { onInterrupt } from ${file("src/cli/interrupt.ts")};
   setTimeout(() => {}, 10_000);
   const stop = onInterrupt({ message: "Stopping.", cleanUp: () => {} });
   stop.addEventListener("abort", () => setTimeout(() => process.exit(0), 50));
   console.log("up", process.pid);`,
);
const command = `${JSON.stringify(process.execPath)} --import ${file("node_modules/tsx/dist/loader.mjs")} command.ts`;
writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", scripts: { start: command } }));

const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Starts the command, kills its starter, and returns whether the command stopped within three seconds. */
async function orphaned(name: string, starter: readonly [string, ...string[]], environment = process.env) {
  const log = join(folder, `${name}.log`);
  const output = openSync(log, "w");
  const [program, ...args] = starter;
  const parent = spawn(program, args, { cwd: folder, env: environment, stdio: ["ignore", output, output] });
  closeSync(output);
  const logged = () => readFileSync(log, "utf8");
  const up = () => Number(/up (\d+)/.exec(logged())?.[1]);
  for (const deadline = Date.now() + 50_000; Number.isNaN(up()) && Date.now() < deadline; ) await sleep(50);
  const pid = up();
  parent.kill("SIGKILL");
  for (const deadline = Date.now() + 3000; isRunning(pid) && Date.now() < deadline; ) await sleep(50);
  const outcome = { stopped: logged().includes("npm was killed. Stopping."), isRunning: isRunning(pid) };
  if (outcome.isRunning) process.kill(pid, "SIGKILL");
  return outcome;
}

const withoutNpm = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")),
);

describe("a command whose starter was killed with SIGKILL", () => {
  it.concurrent("stops if npm was the starter", async () => {
    expect(await orphaned("npm", ["npm", "start"])).toEqual({ stopped: true, isRunning: false });
  });

  it.concurrent("continues if a shell was the starter, as with nohup", async () => {
    expect(await orphaned("shell", ["sh", "-c", `${command} & wait`], withoutNpm)).toEqual({
      stopped: false,
      isRunning: true,
    });
  });

  it.concurrent("continues if npm's starter was killed but not npm", async () => {
    expect(await orphaned("starter", ["sh", "-c", "npm start & wait"])).toEqual({
      stopped: false,
      isRunning: true,
    });
  });
});
