import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
  request,
  type Server,
} from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import type { Duplex } from "node:stream";
import { createGunzip } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { type GatewayProps, startGateway } from "../../../src/local-studio/gateway.ts";
import {
  type GatewayFaults,
  gatewayProfileNames,
  gatewayProfiles,
} from "../../../src/local-studio/gateway-faults.ts";
import { HttpError } from "../../../src/local-studio/http-server.ts";

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

/** Replaces JupyterLab: records all requests. `/stream` sends one line every 50 ms, `/silent` never ends. */
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
    // Like marimo, rejects a handshake without a session id.
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

/** Resolves to the first chunk of a response, to "nothing" after the timeout, or to "cut" when the stream fails. */
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

describe("a gateway without faults", () => {
  it("forwards requests, bodies, cookies and query strings unchanged", async () => {
    const { gateway, seen } = await start({});
    const answer = await open(gateway.port, `${lab}/lab?a=b%20c`, { headers: { cookie: "a=1" } });
    expect(await text(answer)).toContain("hello");
    expect(seen[0]?.url).toBe(`${lab}/lab?a=b%20c`);
    expect(seen[0]?.headers.cookie).toBe("a=1");
    expect(seen[0]?.headers.host).toBe(`127.0.0.1:${gateway.port}`);
    const posted = await fetch(`${gateway.url}${marimo}/api`, { method: "POST", body: "abc" });
    expect(await posted.text()).toBe("abc");
  });

  it("forwards the first line of a stream immediately, and closes it when the browser disconnects", async () => {
    const { gateway, seen } = await start({});
    const answer = await open(gateway.port, `${marimo}/stream`);
    expect(await first(answer, 1000)).toBe("line\n");
    answer.destroy();
    await seen[0]?.closed;
  });

  it("forwards WebSockets in both directions with their query string and cookies", async () => {
    const { gateway, seen } = await start({});
    const { status, socket } = await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    expect(status).toBe(101);
    socket?.write("ping");
    expect(await first(socket as Duplex, 1000)).toBe("ping");
    expect(seen[0]?.url).toBe(`${marimo}/ws?session_id=s1`);
    expect(seen[0]?.headers.cookie).toBe("a=1");
  });

  it("answers 503 when no app is running, and 502 when the app does not respond", async () => {
    const stopped = await start({}, { upstreamPort: () => undefined });
    expect((await open(stopped.gateway.port, lab)).statusCode).toBe(503);
    const port = 1; // nothing listens on port 1
    const broken = await start({}, { upstreamPort: () => port });
    expect((await open(broken.gateway.port, lab)).statusCode).toBe(502);
  });

  it("fails when the port is in use", async () => {
    const { gateway } = await start({});
    await expect(
      startGateway({ faults: {}, upstreamPort: () => undefined, port: gateway.port }),
    ).rejects.toThrow("EADDRINUSE");
  });
});

describe("an application with an invalid status line", () => {
  it.each(["HTTP/1.1 000 x", "HTTP/1.1 099 x", "HTTP/1.1 200 \x01", "HTTP/1.1 1000 x", "nothing"])(
    "results in 502: %j",
    async (line) => {
      const application = createTcpServer((socket) => {
        socket.on("error", () => {});
        socket.once("data", () => socket.end(`${line}\r\nContent-Length: 0\r\n\r\n`));
      });
      await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
      cleanups.push(async () => void application.close());
      const { port } = application.address() as AddressInfo;
      const { gateway } = await start({}, { upstreamPort: () => port });
      expect((await open(gateway.port, `${lab}/proxy/8000/`)).statusCode).toBe(502);
      expect((await upgrade(gateway.port, `${lab}/proxy/8000/`)).status).not.toBe(101);
    },
  );
});

describe("a WebSocket that is not admitted", () => {
  it("does not reach the space and is logged", async () => {
    const lines: string[] = [];
    const admit = () => {
      throw new HttpError(403, "no session");
    };
    const { gateway, seen } = await start({}, { admit, log: (line) => lines.push(line) });
    expect((await upgrade(gateway.port, `${marimo}/ws`)).status).toBe(403);
    expect([seen, lines]).toEqual([[], [`403 GET "${marimo}/ws": no session`]]);
  });
});

describe("dropQuery", () => {
  it("makes marimo reject its WebSocket, and does not change other requests", async () => {
    const { gateway, seen } = await start({ dropQuery: true });
    expect((await upgrade(gateway.port, `${marimo}/ws?session_id=s1`)).status).toBe(403);
    expect(seen[0]?.url).toBe(`${marimo}/ws`);
    await text(await open(gateway.port, `${marimo}/?file=a.py`));
    expect(seen[1]?.url).toBe(`${marimo}/?file=a.py`);
  });
});

describe("closeWebSockets", () => {
  it("closes marimo's WebSockets without a closing handshake, and not JupyterLab's", async () => {
    const { gateway } = await start({ closeWebSockets: true });
    const { status, socket } = await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    expect(status).toBe(101);
    expect(await closes(socket, 1000)).toBe(true);
    const kernel = await upgrade(gateway.port, `${lab}/api/kernels/1/channels`);
    expect(await closes(kernel.socket, 200)).toBe(false);
  });
});

describe("dropCookies", () => {
  it("removes the cookies from requests to proxied applications, not from those to JupyterLab", async () => {
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

describe("session cookies", () => {
  it("are removed from requests to the space, and other cookies are not", async () => {
    const { gateway, seen } = await start({}, { token: "t" });
    const mine = "local-studio.d-1.my-space=secret";
    for (const cookie of [`a=1; ${mine}; b=local-studio.x=2`, mine]) {
      await text(await open(gateway.port, `${lab}/lab`, { headers: { cookie } }));
    }
    expect(seen.map(({ headers }) => headers.cookie)).toEqual(["a=1; b=local-studio.x=2", undefined]);
    expect(seen[0]?.headers["x-local-studio-gateway"]).toBe("t");
  });
});

describe("rewriteHost", () => {
  it("sends the server's own address as Host in requests and WebSocket upgrades", async () => {
    const { gateway, seen, port } = await start({ rewriteHost: true });
    await text(await open(gateway.port, `${marimo}/`));
    await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    expect(seen.map(({ headers }) => headers.host)).toEqual([`127.0.0.1:${port}`, `127.0.0.1:${port}`]);
    const { gateway: other, seen: kept } = await start({});
    await text(await open(other.port, `${marimo}/`));
    expect(kept[0]?.headers.host).toBe(`127.0.0.1:${other.port}`);
  });
});

describe("idleCut", () => {
  it("closes an idle response on both sides, and not an active one", async () => {
    const { gateway, seen } = await start({ idleCut: 200 });
    const silent = await open(gateway.port, `${marimo}/silent`);
    await expect(text(silent)).rejects.toThrow("aborted");
    await seen[0]?.closed;
    const talking = await open(gateway.port, `${marimo}/stream`);
    talking.on("data", () => {});
    expect(await closes(talking, 600)).toBe(false);
    talking.destroy();
  });

  it("closes an idle WebSocket, and not one with pings", async () => {
    const { gateway } = await start({ idleCut: 200 });
    const silent = await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    expect(await closes(silent.socket, 1000)).toBe(true);
    const talking = await upgrade(gateway.port, `${marimo}/ws?session_id=s1`);
    const pings = setInterval(() => talking.socket?.write("ping"), 50);
    expect(await closes(talking.socket, 600)).toBe(false);
    clearInterval(pings);
  });

  it("closes no connection without the fault", async () => {
    const { gateway } = await start({});
    const silent = await open(gateway.port, `${marimo}/silent`);
    silent.resume();
    expect(await closes(silent, 500)).toBe(false);
    silent.destroy();
  });
});

describe("bufferBytes", () => {
  it("buffers a stream until the buffer is full, then forwards the buffer", async () => {
    const { gateway } = await start({ bufferBytes: 20 });
    const answer = await open(gateway.port, `${marimo}/stream`);
    expect(await first(answer, 1000)).toBe("line\nline\nline\nline\n");
    answer.destroy();
  });

  it("does not send the headers of a short stream, and forwards a complete response", async () => {
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
  it("compresses a stream and flushes after each line", async () => {
    const { gateway } = await start({ gzip: true });
    const answer = await open(gateway.port, `${marimo}/stream`, { headers: { "accept-encoding": "gzip" } });
    expect(answer.headers["content-encoding"]).toBe("gzip");
    expect(await first(answer.pipe(createGunzip()), 1000)).toContain("line\n");
    answer.destroy();
  });

  it("compresses only if the browser accepts it", async () => {
    const { gateway } = await start({ gzip: true });
    const answer = await open(gateway.port, `${lab}/lab`);
    expect(answer.headers["content-encoding"]).toBeUndefined();
    expect(await text(answer)).toContain("hello");
  });

  it("forwards a complete response unchanged", async () => {
    const { gateway } = await start({ gzip: true });
    const answer = await fetch(`${gateway.url}${lab}/lab`);
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(await answer.text()).toMatch(/^hello x{200}$/);
  });
});

describe("profiles", () => {
  it("are nine, each with its faults", () => {
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
