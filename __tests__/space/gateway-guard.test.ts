import { chmodSync, statSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import { type Container, Space } from "../support/space-fixture.ts";

const token = "the-gateway-of-this-space";
const fromPage = { Origin: "https://example.com" };

let space: Space;
let guarded: Container;
let gateway: Gateway;
beforeAll(async () => {
  const { python } = await pythonEnvironment("image");
  space = new Space();
  chmodSync(space.folder, 0o755);
  guarded = await space.start(python, { lifecycleConfigs: [], gatewayToken: token });
  gateway = await startGateway({
    ...{ faults: {}, token },
    upstreamPort: () => Number(new URL(guarded.url).port),
  });
});
afterAll(async () => {
  await gateway?.close();
  await space.dispose();
});

const status = async (path: string, headers: Record<string, string> = {}) =>
  (await fetch(`${guarded.url}${path}`, { headers })).status;

/** The answer to another user of this machine. Only root can become one. */
const anotherUser = async () => {
  const url = new URL(`${guarded.url}/api/status`);
  const text = `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`;
  const script = 'exec 3<>"/dev/tcp/127.0.0.1/$0"; printf %s "$1" >&3; timeout 5 head -1 <&3';
  const drop = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  return (await capture("setpriv", [...drop, "bash", "-c", script, url.port, text]))?.stdout ?? "";
};

describe("JupyterLab's own port in a rehearsal", () => {
  it("rejects a page of another origin, but accepts the same request from the gateway", async () => {
    expect(await status("/api/contents", fromPage)).toBe(403);
    expect(await status("/api/contents", { ...fromPage, "X-Local-Studio-Gateway": "guess" })).toBe(403);
    const passed = await fetch(`${gateway.url}/jupyterlab/default/api/contents`, { headers: fromPage });
    expect(passed.status).toBe(200);
  });

  it("rejects a WebSocket of another origin", async () => {
    const handshake = (url: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const upgrade = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
        const headers = { ...fromPage, ...upgrade, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" };
        const one = request(`${url}/api/events/subscribe`, { headers });
        one.once("upgrade", (_, socket) => {
          socket.destroy();
          resolve(101);
        });
        one.once("response", (response) => resolve(response.resume().statusCode));
        one.once("error", reject);
        one.end();
      });
    expect(await handshake(`${gateway.url}/jupyterlab/default`)).toBe(101);
    expect(await handshake(guarded.url)).toBe(403);
  });

  it("answers the user's own programs", async () => {
    expect(await status("/api/status")).toBe(200);
    expect(await status("/lab")).toBe(200);
  });

  it.runIf(process.getuid?.() === 0 && process.platform === "linux")("rejects another user", async () => {
    expect(await anotherUser()).toContain("403 Forbidden");
  });

  it("keeps the token in a file that only the user can read", () => {
    const file = join(space.prefix, "etc/jupyter/jupyter_server_config.py");
    expect(space.read("prefix/etc/jupyter/jupyter_server_config.py")).toContain(token);
    expect(statSync(file).mode & 0o077).toBe(0);
  });
});

describe("without the guard, as in tests of JupyterLab itself,", () => {
  it("the same page and the same user have access", async () => {
    await guarded.stop();
    const { python } = await pythonEnvironment("image");
    guarded = await space.start(python, { lifecycleConfigs: [] });
    expect(await status("/api/contents", fromPage)).toBe(200);
    if (process.getuid?.() === 0) expect(await anotherUser()).toContain("200 OK");
  });
});
