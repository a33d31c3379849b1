import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll } from "vitest";
import { capture } from "../../src/cli/processes.ts";
import { type Command, root, startScript } from "./command.ts";

/** The output of `npm start -- --json`. */
export interface Announced {
  readonly awsEndpoint: string;
  readonly awsEnvironment: Readonly<Record<string, string>>;
  readonly domainId: string;
  readonly spaceName: string;
  readonly jupyterUrl: string;
  readonly gatewayUrl: string;
  readonly studioUrl: string;
  readonly jupyterLabUrl: string;
}

const started: Command[] = [];
afterAll(async () => {
  for (const { child, status } of started.splice(0)) {
    if (child.exitCode === null) child.kill("SIGKILL");
    await status;
  }
});

/** Runs `npm start`. It is killed if it is still running at the end of the file. */
export function start(...args: string[]): Command {
  const command = startScript("start", args);
  started.push(command);
  return command;
}

export const announced = ({ output }: Command) => JSON.parse(output.stdout) as Announced;
export const isUp = (command: Command) => () => command.output.stdout.includes("\n");

export const ps = async () =>
  (await capture("ps", ["-A", "-o", "pid=", "-o", "ppid=", "-o", "rss="]))?.stdout ?? "";
/** Lists the running processes among `pids`, without zombies. */
export async function alive(pids: readonly number[]): Promise<string[]> {
  const listing = await capture("ps", ["-o", "pid=", "-o", "stat=", "-o", "args=", "-p", pids.join(",")]);
  return (listing?.stdout ?? "").split("\n").filter((line) => line !== "" && !/^\s*\d+\s+Z/.test(line));
}

/** Lists the run folders of a command. */
export const runs = (command: Command) => {
  const folder = join(root, ".local-studio/runs");
  return existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith(`-${command.child.pid}`))
    : [];
};
