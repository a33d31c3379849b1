import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { descendants } from "../../src/local-studio/process-tree.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { type Command, root, startScript, until } from "./command.ts";

interface Announced {
  readonly awsEndpoint: string;
  readonly domainId: string;
  readonly spaceName: string;
  readonly jupyterUrl: string;
  readonly gatewayUrl: string;
  readonly marimoUrl: string;
}

const started: Command[] = [];
afterEach(async () => {
  for (const { child, status } of started.splice(0)) {
    if (child.exitCode === null) child.kill("SIGKILL");
    await status;
  }
});

function start(...args: string[]): Command {
  const command = startScript("start", args);
  started.push(command);
  return command;
}

const announced = ({ output }: Command) => JSON.parse(output.stdout) as Announced;
const isUp = (command: Command) => () => command.output.stdout.includes("\n");

const ps = async () => (await capture("ps", ["-A", "-o", "pid=", "-o", "ppid=", "-o", "rss="]))?.stdout ?? "";
/** Those of the processes that run; one that has ended and waits for its parent to notice does not. */
async function alive(pids: readonly number[]): Promise<string[]> {
  const listing = await capture("ps", ["-o", "pid=", "-o", "stat=", "-o", "args=", "-p", pids.join(",")]);
  return (listing?.stdout ?? "").split("\n").filter((line) => line !== "" && !/^\s*\d+\s+Z/.test(line));
}

/** Folders of runs under way, by the number of their process. */
const runs = (command: Command) => {
  const folder = join(root, ".local-studio/runs");
  return existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith(`-${command.child.pid}`))
    : [];
};

const links = ["awsEndpoint", "domainId", "spaceName", "jupyterUrl", "gatewayUrl", "marimoUrl"];

describe("npm start and npm run verify", () => {
  it("check and stay side by side; verify passes; an interrupt destroys everything and leaves nothing", async () => {
    const check = start("--check", "--json");
    const stay = start("--json");
    await Promise.all([until(check, isUp(check), 400), until(stay, isUp(stay), 400)]);
    expect(Object.keys(announced(stay))).toEqual(links);
    expect(new Set([announced(check).gatewayUrl, announced(stay).gatewayUrl]).size).toBe(2);
    expect(await check.status, check.output.stderr).toBe(0);
    expect(check.output.stdout.trim().split("\n")).toHaveLength(1);
    expect(check.output.stderr).toContain("✓ see that nothing is left");
    expect(runs(check)).toEqual([]);

    const { awsEndpoint, jupyterUrl, gatewayUrl, domainId } = announced(stay);
    for (const base of [jupyterUrl, `${gatewayUrl}/jupyterlab/default`]) {
      expect((await fetch(`${base}/api`)).status).toBe(200);
    }
    const verify = startScript("verify", [], {
      ...process.env,
      AWS_ENDPOINT_URL: awsEndpoint,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    });
    expect(await verify.status, verify.output.stderr).toBe(0);
    expect(verify.output.stderr).toContain("✓ reload, and go on editing");
    const inventory = (await (await fetch(`${awsEndpoint}/local-aws/inventory`)).json()) as string[];
    expect(inventory.filter((line) => line.includes(domainId)).length).toBeGreaterThan(0);
    expect(inventory.filter((line) => line.includes("verify-"))).toEqual([]);

    const pids = descendants(await ps(), Number(stay.child.pid)).map(({ pid }) => pid);
    expect(pids.length).toBeGreaterThan(3);
    stay.child.kill("SIGINT");
    expect(await stay.status, stay.output.stderr).toBe(0);
    expect(stay.output.stderr).toContain("✓ see that nothing is left");
    expect(await alive(pids)).toEqual([]);
    expect(runs(stay)).toEqual([]);
  });

  it("the reported Studio lets no WebSocket transport through, and the check says at which step", async () => {
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

describe("npm start, interrupted on the way up", () => {
  it("ends Terraform with everything below it", async () => {
    const command = start();
    await until(command, () => command.output.stderr.includes("✓ synthesize the stack"), 120);
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
    const deadline = Date.now() + 60_000;
    while (providers.length === 0 && Date.now() < deadline) providers = await terraform();
    expect(providers.length).toBeGreaterThan(0);
    const pids = descendants(await ps(), Number(command.child.pid)).map(({ pid }) => pid);
    command.child.kill("SIGTERM");
    expect(await command.status, command.output.stderr).toBe(130);
    expect(await alive(pids)).toEqual([]);
    expect(runs(command)).toEqual([]);
  });

  it("killed outright, leaves no process; the next run removes its folder", async () => {
    const command = start();
    await until(command, () => command.output.stderr.includes("✓ synthesize the stack"), 120);
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const pids = descendants(await ps(), Number(command.child.pid)).map(({ pid }) => pid);
    expect(pids.length).toBeGreaterThan(2);
    command.child.kill("SIGKILL");
    await command.status;
    const deadline = Date.now() + 15_000;
    while ((await alive(pids)).length > 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await alive(pids)).toEqual([]);
    expect(runs(command)).toHaveLength(1);

    const next = start();
    await until(next, () => next.output.stderr.includes("✓ prepare the Python environments"), 120);
    expect(runs(command)).toEqual([]);
    next.child.kill("SIGINT");
    expect(await next.status).toBe(130);
  });
});
