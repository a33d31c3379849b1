import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const file = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../${path}`, import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-interrupt-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A command that says its number, and when it is asked to stop; it lives for ten seconds at the most. */
writeFileSync(
  join(folder, "command.ts"),
  `import { onInterrupt } from ${file("scripts/lib/interrupt.ts")};
   setTimeout(() => {}, 10_000);
   const stop = onInterrupt({ message: "Stopping.", cleanUp: () => {} });
   stop.addEventListener("abort", () => setTimeout(() => process.exit(0), 50));
   console.log("up", process.pid);`,
);
const command = `${JSON.stringify(process.execPath)} --import ${file("node_modules/tsx/dist/loader.mjs")} command.ts`;
writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", scripts: { start: command } }));

const isThere = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Starts it, kills what started it, and returns what came of it: at once, or in the time that it has to notice. */
async function orphaned(name: string, starter: readonly [string, ...string[]], environment = process.env) {
  const log = join(folder, `${name}.log`);
  const output = openSync(log, "w");
  const [program, ...args] = starter;
  const parent = spawn(program, args, { cwd: folder, env: environment, stdio: ["ignore", output, output] });
  closeSync(output);
  const said = () => readFileSync(log, "utf8");
  const up = () => Number(/up (\d+)/.exec(said())?.[1]);
  for (const deadline = Date.now() + 20_000; Number.isNaN(up()) && Date.now() < deadline; ) await sleep(50);
  const pid = up();
  parent.kill("SIGKILL");
  for (const deadline = Date.now() + 3000; isThere(pid) && Date.now() < deadline; ) await sleep(50);
  const outcome = { stopped: said().includes("npm was killed. Stopping."), isThere: isThere(pid) };
  if (outcome.isThere) process.kill(pid, "SIGKILL");
  return outcome;
}

const withoutNpm = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")),
);

describe("a command whose starter was killed outright", () => {
  it.concurrent("comes to an orderly end where npm was it", async () => {
    expect(await orphaned("npm", ["npm", "start"])).toEqual({ stopped: true, isThere: false });
  });

  it.concurrent("goes on where it was a shell, as under nohup", async () => {
    expect(await orphaned("shell", ["sh", "-c", `${command} & wait`], withoutNpm)).toEqual({
      stopped: false,
      isThere: true,
    });
  });

  it.concurrent("goes on under npm when it is npm's own starter that has gone", async () => {
    expect(await orphaned("starter", ["sh", "-c", "npm start & wait"])).toEqual({
      stopped: false,
      isThere: true,
    });
  });
});
