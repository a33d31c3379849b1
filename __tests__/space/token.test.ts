import { chmodSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Captured } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import { gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { marimoInstalled } from "../support/space-browser.ts";
import { type Container, realPayload, Space } from "../support/space-fixture.ts";

const base = "/jupyterlab/default/marimo";

let space: Space;
let container: Container;
let gateway: Gateway;
let browser: Browser;
let token: string;
let port: string;
beforeAll(async () => {
  const { python } = await pythonEnvironment("image");
  space = new Space();
  // Other users can enter the home folder, as in the image.
  chmodSync(space.folder, 0o755);
  space.upload(realPayload());
  container = await space.start(python);
  gateway = await startGateway({
    faults: gatewayProfiles["reported-studio"].faults,
    upstreamPort: () => Number(new URL(container.url).port),
  });
  browser = await launchBrowser();
  await marimoInstalled(container);
  token = space.read("home/.local/share/sagemaker-marimo/token").trim();
  const { stdout } = await space.run("ps", ["-eo", "args", "-ww"]);
  const server = stdout.split("\n").find((line) => line.includes(`edit ${space.home}/marimo-notebooks`));
  port = /--port (\d+)/.exec(server ?? "")?.[1] ?? "";
});
afterAll(async () => {
  await browser?.close();
  await gateway?.close();
  await space.dispose();
});

/** Runs a command as another user. Only root can do that; otherwise the test runs it as the same user. */
const anotherUser = (...command: string[]): Promise<Captured> => {
  const drop = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  const [program = "", ...args] = process.getuid?.() === 0 ? ["setpriv", ...drop, ...command] : command;
  return space.run(program, args, { PATH: "/usr/bin:/bin" });
};

/** The answer of marimo's own port to that user. */
async function answer(path: string, method = "GET", headers: Record<string, string> = {}): Promise<string> {
  const body = method === "GET" ? "" : "{}";
  const all = { Host: "127.0.0.1", Connection: "close", ...headers };
  const lines = Object.entries(body ? { "Content-Length": "2", ...all } : all).map((pair) => pair.join(": "));
  const text = [`${method} ${base}${path} HTTP/1.1`, ...lines, "", body].join("\r\n");
  // Only bash, because other users may not be able to run the user's programs. A WebSocket stays open.
  const script = 'exec 3<>"/dev/tcp/127.0.0.1/$0"; printf %s "$1" >&3; timeout 5 cat <&3';
  return (await anotherUser("bash", "-c", script, port, text)).stdout;
}
const askPort = async (...request: Parameters<typeof answer>) =>
  /^HTTP\S+ (\d+)/.exec(await answer(...request))?.[1];

const authorization = () => ({ Authorization: `Bearer ${token}` });
const upgrade = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

describe("the token of a space", () => {
  it("is random, and only the user can read its file", async () => {
    expect(token).toMatch(/^[\w-]{40,}$/);
    const other = new Space();
    try {
      const make = "from sagemaker_marimo import state; print(state.token_file())";
      const python = join(space.prefix, "bin/python");
      const environment = {
        ...other.environment,
        PYTHONPATH: join(space.state, "payload/current/python"),
      };
      const { stdout } = await other.run(python, ["-c", make], environment);
      expect(readFileSync(stdout.trim(), "utf8").trim()).not.toBe(token);
    } finally {
      await other.dispose();
    }
    expect((await anotherUser("stat", "-c", "%a", join(space.state, "token"))).stdout.trim()).toBe("600");
    if (process.getuid?.() !== 0) return;
    // The other user can read another file in the folder, so only the token's file is protected.
    expect((await anotherUser("cat", join(space.state, "status"))).stdout).toBe("installed\n");
    expect((await anotherUser("cat", join(space.state, "token"))).status).not.toBe(0);
  });

  it("is required by marimo's port from every user on this machine", async () => {
    for (const [path, method, status] of [
      ["/", "GET", "303"], // redirects to marimo's sign-in form
      ["/api/status", "GET", "401"],
      ["/api/kernel/run", "POST", "401"],
    ] as const)
      expect([path, await askPort(path, method)]).toEqual([path, status]);
    expect(await askPort("/terminal/ws", "GET", upgrade)).toBe("403");
    // marimo rejects a stream with an event. A page below opens another notebook, so it does not find this session.
    const stream = "/sse?session_id=s_other1&file=02_training_jobs.py";
    expect(await answer(stream)).toMatch(
      /event: close\s+data: \{"code": 3000, "reason": "MARIMO_UNAUTHORIZED"\}/,
    );
    // The same requests succeed with the token.
    expect(await askPort("/api/status", "GET", authorization())).toBe("200");
    expect(await answer(stream, "GET", authorization())).toContain("kernel-ready");
    expect(await askPort("/terminal/ws", "GET", { ...upgrade, ...authorization() })).toBe("101");
  });

  it("leaves skew protection on: a page of another server is rejected even with the token", async () => {
    const run = (headers: Record<string, string>) =>
      askPort("/api/kernel/run", "POST", {
        "Content-Type": "application/json",
        ...authorization(),
        ...headers,
      });
    expect(await run({})).toBe("401");
    expect(await run({ "Marimo-Server-Token": "other" })).toBe("401");
    const page = await (await fetch(`${container.url}/marimo/`)).text();
    const skew = /"serverToken": "([^"]+)"/.exec(page)?.[1] ?? "";
    expect(skew).not.toBe("");
    // Accepted, but there is no session.
    expect(await run({ "Marimo-Server-Token": skew })).toMatch(/^(4(?!01)|5)/);
  });

  it("does not help another origin: its WebSockets are rejected, marimo's own are not", async () => {
    const handshake = (headers: Record<string, string>) =>
      new Promise<number | undefined>((resolve, reject) => {
        const one = request(`${container.url}/marimo/terminal/ws`, {
          headers: { ...upgrade, ...headers },
        });
        const done = (answer: IncomingMessage) => {
          resolve(answer.statusCode);
          one.destroy();
        };
        one.on("response", done).on("upgrade", done).on("error", reject).end();
      });
    expect(await handshake({ Origin: "https://evil.example" })).toBe(403);
    expect(await handshake({ Origin: "null" })).toBe(403);
    expect(await handshake({ "Sec-Fetch-Site": "same-site", Origin: new URL(container.url).origin })).toBe(
      403,
    );
    expect(await handshake({ Origin: new URL(container.url).origin })).toBe(101);
  });

  it("is in no URL in the browser, in no process's arguments or variables, and in no log", async () => {
    const page = await browser.newPage();
    const seen: string[] = [];
    page.on("request", (one) => seen.push(one.url()));
    page.on("response", (one) => seen.push(one.headers().location ?? ""));
    page.on("websocket", (one) => seen.push(one.url()));
    page.on("framenavigated", (one) => seen.push(one.url()));
    const marimo = new MarimoPage(page);
    await marimo.open(`${gateway.url}${base}/?file=01_explore_data.py`, patience);
    await marimo.waitForKernel(patience);
    await marimo.waitForOutputs(patience);
    await marimo.openTerminal(patience);
    await page.goto(`${gateway.url}${base}`);
    await page.goto(`${gateway.url}${base}/auth/login?next=/`);
    expect(seen.filter((url) => /\/sse\?|\/terminal\/ws/.test(url)).length).toBeGreaterThan(1);
    expect(seen.filter((url) => url.includes(token))).toEqual([]);

    // An error is logged with the request's headers.
    await fetch(`${container.url}/marimo/api/nothing`);
    await fetch(`${container.url}/marimo/api/kernel/run`, { method: "POST", body: "no JSON" });
    const { stdout } = await space.run("ps", ["eww", "-eo", "args"]);
    expect(stdout).toContain(`edit ${space.home}/marimo-notebooks`);
    expect(stdout).not.toContain(token);

    const found = holding(token);
    expect(found).toEqual([join(space.state, "token")]);
    // The search would have found the token in other files.
    space.write(join(space.home, ".cache/marimo/logs/other.log"), `Authorization: Bearer ${token}\n`);
    expect(holding(token)).toHaveLength(2);
  });
});

/** The files with this text in the home folder and the prefix, and the app's log. */
function holding(text: string): string[] {
  const files = [space.log, ...filesBelow(space.home), ...filesBelow(join(space.prefix, "etc"))];
  return files.filter((file) => existsSync(file) && readFileSync(file).includes(text));
}

const filesBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("/site-packages/"))
    .map((entry) => join(entry.parentPath, entry.name));
