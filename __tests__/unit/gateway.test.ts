import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
  request,
  type Server,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { createGunzip } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { type GatewayProps, startGateway } from "../../src/local-studio/gateway.ts";
import {
  type GatewayFaults,
  gatewayProfileNames,
  gatewayProfiles,
} from "../../src/local-studio/gateway-faults.ts";

const marimo = "/jupyterlab/default/marimo";
const lab = "/jupyterlab/default";
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Seen {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly closed: Promise<void>;
}

/** Stands for JupyterLab: records what reaches it; `/stream` sends one line every 50 ms, `/silent` never ends. */
async function startUpstream(): Promise<{ port: number; seen: Seen[] }> {
  const seen: Seen[] = [];
  const sockets = new Set<Duplex>();
  const server: Server = createServer((incoming, response) => {
    const closed = new Promise<void>((resolve) => response.once("close", () => resolve()));
    seen.push({ url: incoming.url ?? "", headers: incoming.headers, closed });
    response.setHeader("content-type", "text/plain");
    if (incoming.url?.includes("/silent")) return void response.write("first\n");
    if (incoming.url?.includes("/stream")) {
      const timer = setInterval(() => response.write("line\n"), 50);
      response.once("close", () => clearInterval(timer));
      return void response.write("line\n");
    }
    incoming.pipe(response);
    if (incoming.method === "GET") response.end(`hello ${"x".repeat(200)}`);
  });
  server.on("upgrade", (incoming: IncomingMessage, socket) => {
    sockets.add(socket);
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    seen.push({ url: incoming.url ?? "", headers: incoming.headers, closed });
    // As marimo does: without its session's id, the handshake is refused.
    if (incoming.url?.startsWith(`${marimo}/ws`) && !incoming.url.includes("session_id=")) {
      return void socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n");
    }
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

async function start(faults: GatewayFaults, props: Partial<GatewayProps> = {}) {
  const upstream = await startUpstream();
  const gateway = await startGateway({ faults, upstreamPort: () => upstream.port, ...props });
  cleanups.push(() => gateway.close());
  return { ...upstream, gateway };
}

function open(port: number, path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, agent: false, ...options }, resolve);
    outgoing.once("error", reject);
    outgoing.end();
  });
}

async function text(message: IncomingMessage | NodeJS.ReadableStream): Promise<string> {
  let all = "";
  for await (const piece of message) all += String(piece);
  return all;
}

/** The first piece of a response, or "nothing" when none came in time, or "cut" when the connection ended. */
function first(stream: NodeJS.ReadableStream, milliseconds: number): Promise<string> {
  return new Promise((resolve) => {
    setTimeout(() => resolve("nothing"), milliseconds);
    stream.once("data", (piece) => resolve(String(piece)));
    stream.once("error", () => resolve("cut"));
  });
}

interface Upgraded {
  readonly status: number;
  readonly socket?: Duplex;
}

function upgrade(port: number, path: string): Promise<Upgraded> {
  return new Promise((resolve, reject) => {
    const headers = { connection: "Upgrade", upgrade: "websocket", cookie: "a=1" };
    const outgoing = request({ host: "127.0.0.1", port, path, headers, agent: false });
    outgoing.once("upgrade", (_, socket) => {
      socket.on("error", () => {});
      resolve({ status: 101, socket });
    });
    outgoing.once("response", (response) => resolve({ status: response.statusCode ?? 0 }));
    outgoing.once("error", reject);
    outgoing.end();
  });
}

const closes = (socket: NodeJS.EventEmitter | undefined, milliseconds: number) =>
  Promise.race([
    new Promise<boolean>((resolve) => socket?.once("close", () => resolve(true))),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), milliseconds)),
  ]);

describe("a faultless gateway", () => {
  it("passes requests, bodies, cookies and queries on unchanged", async () => {
    const { gateway, seen } = await start({});
    const answer = await open(gateway.port, `${lab}/lab?a=b%20c`, { headers: { cookie: "a=1" } });
    expect(await text(answer)).toContain("hello");
    expect(seen[0]?.url).toBe(`${lab}/lab?a=b%20c`);
    expect(seen[0]?.headers.cookie).toBe("a=1");
    expect(seen[0]?.headers.host).toBe(`127.0.0.1:${gateway.port}`);
    const posted = await fetch(`${gateway.url}${marimo}/api`, { method: "POST", body: "abc" });
    expect(await posted.text()).toBe("abc");
  });

  it("passes on the first line of a stream at once, and tells the application when the browser left", async () => {
    const { gateway, seen } = await start({});
    const answer = await open(gateway.port, `${marimo}/stream`);
    expect(await first(answer, 1000)).toBe("line\n");
    answer.destroy();
    await seen[0]?.closed;
  });

  it("carries WebSockets both ways with their query and cookies", async () => {
    const { gateway, seen } = await start({});
    const { status, socket } = await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    expect(status).toBe(101);
    socket?.write("ping");
    expect(await first(socket as Duplex, 1000)).toBe("ping");
    expect(seen[0]?.url).toBe(`${marimo}/ws?session_id=s1`);
    expect(seen[0]?.headers.cookie).toBe("a=1");
  });

  it("says so when no app runs, and when the app does not answer", async () => {
    const stopped = await start({}, { upstreamPort: () => undefined });
    expect((await open(stopped.gateway.port, lab)).statusCode).toBe(503);
    const port = 1; // nothing listens on tcpmux's port
    const broken = await start({}, { upstreamPort: () => port });
    expect((await open(broken.gateway.port, lab)).statusCode).toBe(502);
  });

  it("refuses a port that is taken", async () => {
    const { gateway } = await start({});
    await expect(
      startGateway({ faults: {}, upstreamPort: () => undefined, port: gateway.port }),
    ).rejects.toThrow("EADDRINUSE");
  });
});

describe("query dropped from WebSocket upgrades", () => {
  it("makes marimo refuse its WebSocket, and leaves plain requests alone", async () => {
    const { gateway, seen } = await start({ dropQuery: true });
    expect((await upgrade(gateway.port, `${marimo}/ws?session_id=s1`)).status).toBe(403);
    expect(seen[0]?.url).toBe(`${marimo}/ws`);
    await text(await open(gateway.port, `${marimo}/?file=a.py`));
    expect(seen[1]?.url).toBe(`${marimo}/?file=a.py`);
  });
});

describe("WebSockets closed", () => {
  it("ends marimo's at once without a closing handshake, and leaves JupyterLab's open", async () => {
    const { gateway } = await start({ closeWebSockets: true });
    const { status, socket } = await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    expect(status).toBe(101);
    expect(await closes(socket, 1000)).toBe(true);
    const kernel = await upgrade(gateway.port, `${lab}/api/kernels/1/channels`);
    expect(await closes(kernel.socket, 200)).toBe(false);
  });
});

describe("cookies dropped", () => {
  it("takes them from marimo and other proxied applications, not from JupyterLab", async () => {
    const { gateway, seen } = await start({ dropCookies: true });
    for (const path of [`${marimo}/`, `${lab}/proxy/8000/`, `${lab}/lab`, `${lab}/marimo-files`]) {
      await text(await open(gateway.port, path, { headers: { cookie: "a=1", "x-kept": "1" } }));
    }
    await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    expect(seen.map(({ headers }) => headers.cookie)).toEqual([
      undefined,
      undefined,
      "a=1",
      "a=1",
      undefined,
    ]);
    expect(seen[0]?.headers["x-kept"]).toBe("1");
  });
});

describe("Host rewritten", () => {
  it("names the server behind, to requests and WebSockets alike", async () => {
    const { gateway, seen, port } = await start({ rewriteHost: true });
    await text(await open(gateway.port, `${marimo}/`));
    await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    expect(seen.map(({ headers }) => headers.host)).toEqual([`127.0.0.1:${port}`, `127.0.0.1:${port}`]);
    const { gateway: other, seen: kept } = await start({});
    await text(await open(other.port, `${marimo}/`));
    expect(kept[0]?.headers.host).toBe(`127.0.0.1:${other.port}`);
  });
});

describe("idle connections cut", () => {
  it("cuts a silent response and tells the application; a talking one goes on", async () => {
    const { gateway, seen } = await start({ idleCut: 200 });
    const silent = await open(gateway.port, `${marimo}/silent`);
    await expect(text(silent)).rejects.toThrow("aborted");
    await seen[0]?.closed;
    const talking = await open(gateway.port, `${marimo}/stream`);
    talking.on("data", () => {});
    expect(await closes(talking, 600)).toBe(false);
    talking.destroy();
  });

  it("cuts a silent WebSocket and not one with pings", async () => {
    const { gateway } = await start({ idleCut: 200 });
    const silent = await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    expect(await closes(silent.socket, 1000)).toBe(true);
    const talking = await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    const pings = setInterval(() => talking.socket?.write("ping"), 50);
    expect(await closes(talking.socket, 600)).toBe(false);
    clearInterval(pings);
  });

  it("cuts nothing without the fault", async () => {
    const { gateway } = await start({});
    const silent = await open(gateway.port, `${marimo}/silent`);
    silent.resume();
    expect(await closes(silent, 500)).toBe(false);
    silent.destroy();
  });
});

describe("buffering", () => {
  it("holds a stream back until the buffer is full, then passes the buffer on", async () => {
    const { gateway } = await start({ bufferBytes: 20 });
    const answer = await open(gateway.port, `${marimo}/stream`);
    expect(await first(answer, 1000)).toBe("line\nline\nline\nline\n");
    answer.destroy();
  });

  it("sends not even the headers of a short stream, but the whole of a response that ends", async () => {
    const { gateway } = await start({ bufferBytes: 8192 });
    const outcome = await Promise.race([
      open(gateway.port, `${marimo}/silent`),
      new Promise((resolve) => setTimeout(() => resolve("nothing"), 300)),
    ]);
    expect(outcome).toBe("nothing");
    expect(await text(await open(gateway.port, `${lab}/lab`))).toMatch(/^hello x{200}$/);
  });
});

describe("gzip", () => {
  it("compresses a stream so that each line can be read as it comes", async () => {
    const { gateway } = await start({ gzip: true });
    const answer = await open(gateway.port, `${marimo}/stream`, { headers: { "accept-encoding": "gzip" } });
    expect(answer.headers["content-encoding"]).toBe("gzip");
    expect(await first(answer.pipe(createGunzip()), 1000)).toContain("line\n");
    answer.destroy();
  });

  it("compresses nothing for a browser that does not ask for it", async () => {
    const { gateway } = await start({ gzip: true });
    const answer = await open(gateway.port, `${lab}/lab`);
    expect(answer.headers["content-encoding"]).toBeUndefined();
    expect(await text(answer)).toContain("hello");
  });

  it("keeps the pieces of a whole response together", async () => {
    const { gateway } = await start({ gzip: true });
    const answer = await fetch(`${gateway.url}${lab}/lab`);
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(await answer.text()).toMatch(/^hello x{200}$/);
  });
});

describe("profiles", () => {
  it("has the nine of the facts' table, each with its faults", () => {
    const studio = { dropQuery: true, dropCookies: true };
    expect(
      Object.fromEntries(gatewayProfileNames.map((name) => [name, gatewayProfiles[name].faults])),
    ).toEqual({
      none: {},
      "query-dropped": { dropQuery: true },
      "websocket-closed": { closeWebSockets: true },
      "cookies-dropped": { dropCookies: true },
      "idle-cut": { idleCut: 10_000 },
      buffering: { bufferBytes: 8192 },
      gzip: { gzip: true },
      "reported-studio": studio,
      "reported-classic": { ...studio, idleCut: 10_000 },
    });
  });
});
