import { createServer, type IncomingMessage, type RequestOptions, request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../../../src/local-studio/gateway.ts";
import {
  HttpError,
  readObject,
  reply,
  type Server,
  startServer,
} from "../../../src/local-studio/http-server.ts";

let lines: string[];
let server: Server;
beforeEach(async () => {
  lines = [];
  server = await startServer({
    log: (line) => lines.push(line),
    headersTimeout: 300,
    request: async (incoming, response) => {
      const path = incoming.url?.split("?")[0] ?? "";
      if (path === "/fault") throw new Error("a fault");
      if (path === "/sync-fault") JSON.parse("{");
      if (path === "/refused") throw new HttpError(418, "no tea", { "x-tea": "none" });
      if (path === "/half") {
        response.writeHead(200);
        response.write("half");
        await sleep(20);
        throw new Error("a fault in the middle");
      }
      if (path === "/twice") {
        reply(response, 200, {});
        return reply(response, 200, {});
      }
      if (incoming.method === "POST") return reply(response, 200, await readObject(incoming, 1000));
      reply(response, 200, { path });
    },
    upgrade: (incoming, socket) => {
      if (incoming.url === "/fault") throw new Error("a fault");
      if (incoming.url === "/refused") throw new HttpError(403, "no");
      socket.end("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: x\r\n\r\n");
    },
  });
});
afterEach(async () => {
  expect(await get("/alive")).toEqual({ status: 200, text: '{"path":"/alive"}' });
  await server.close();
});

function get(
  path: string,
  options: RequestOptions = {},
): Promise<{ status?: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const one = request(
      { host: "127.0.0.1", port: server.port, path, agent: false, ...options },
      async (response) => {
        try {
          let text = "";
          for await (const piece of response) text += String(piece);
          resolve({ status: response.statusCode, text });
        } catch (error) {
          reject(error);
        }
      },
    );
    one.once("error", reject);
    one.end();
  });
}

/** Sends bytes; resolves to the answer when it is sufficient, when the connection closes, or after the timeout. */
function raw(
  port: number,
  bytes: string | Buffer,
  milliseconds = 5000,
  enough = (_text: string) => false,
): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const done = () => {
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(done, milliseconds);
    socket.on("data", (piece) => {
      text += String(piece);
      if (enough(text)) done();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      done();
    });
  });
}
async function status(bytes: string): Promise<number> {
  const text = await raw(server.port, bytes, 5000, (one) => one.includes("\r\n"));
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
}
const host = () => `Host: 127.0.0.1:${server.port}\r\n`;

describe("an error in a handler", () => {
  it.each(["/fault", "/sync-fault"])("is answered with 500 and logged, at %s", async (path) => {
    expect((await get(path)).status).toBe(500);
    expect(lines).toEqual([expect.stringMatching(new RegExp(`^500 GET "${path}": \\w*Error: .*\\n +at `))]);
  });

  it("in the middle of an answer closes the connection", async () => {
    await expect(get("/half")).rejects.toThrow("aborted");
    expect(lines).toEqual([expect.stringContaining("a fault in the middle")]);
  });

  it("after the answer is logged", async () => {
    expect((await get("/twice")).status).toBe(200);
    expect(lines).toEqual([expect.stringContaining("Cannot write headers after they are sent")]);
  });

  it("of an upgrade rejects the handshake", async () => {
    const headers = { connection: "Upgrade", upgrade: "websocket" };
    expect((await get("/fault", { headers })).status).toBe(500);
    expect((await get("/refused", { headers })).status).toBe(403);
    expect(lines).toHaveLength(2);
  });
});

describe("a request", () => {
  it("that is rejected gets the status, the reason and the headers", async () => {
    const refused = await fetch(`${server.url}/refused?token=secret`);
    expect([refused.status, refused.headers.get("x-tea"), await refused.json()]).toEqual([
      ...[418, "none", { reason: "no tea" }],
    ]);
    // The log must not contain the query string.
    expect(lines).toEqual(['418 GET "/refused": no tea']);
  });

  it.each([
    ["127.0.0.1:PORT", 200],
    ["localhost:PORT", 200],
    ["rebound.example:PORT", 421],
    ["127.0.0.1", 421],
    ["127.0.0.1:PORT.example", 421],
    ["", 421],
  ])("for the host %j gets %i", async (name, expected) => {
    const header = name.replace("PORT", String(server.port));
    expect(await status(`GET / HTTP/1.1\r\nHost: ${header}\r\n\r\n`)).toBe(expected);
    const upgrade = `GET / HTTP/1.1\r\nHost: ${header}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`;
    expect(await status(upgrade)).toBe(expected === 200 ? 101 : expected);
  });

  it.each([
    ["//", 400],
    ["http://127.0.0.1/", 400],
    ["*", 400],
    ["/%zz", 200], // the handler must check it
  ])("for the target %s gets %i", async (target, expected) => {
    expect(await status(`GET ${target} HTTP/1.1\r\n${host()}\r\n`)).toBe(expected);
  });

  it.each([
    ["application/json", "{}", 200],
    ["Application/JSON; charset=utf-8", "{}", 200],
    ["text/plain", "{}", 415],
    ["application/jsonp", "{}", 415],
    ["application/json", "[]", 400],
    ["application/json", "null", 400],
    ["application/json", "", 400],
    ["application/json", `{"x":"${"x".repeat(2000)}"}`, 413],
  ])("with %s %j gets %i", async (type, body, expected) => {
    const answer = await fetch(server.url, { method: "POST", body, headers: { "content-type": type } });
    expect(answer.status).toBe(expected);
  });

  it("with incomplete headers gets 408", async () => {
    expect(await status(`GET / HTTP/1.1\r\n${host()}X: `)).toBe(408);
  });

  it("with too many headers gets 431", async () => {
    const long = `GET / HTTP/1.1\r\n${host()}X: ${"x".repeat(20_000)}\r\n\r\n`;
    expect(await status(long)).toBe(431);
    expect(lines).toEqual([expect.stringMatching(/^431 /)]);
  });
});

describe("random input", () => {
  /** A reproducible random number generator. */
  const random = (seed: number) => () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  const pieces = [
    ...[
      "GET",
      "POST",
      "OPTIONS",
      "CONNECT",
      "PUT",
      "\0",
      "é",
      " ",
      "\r\n",
      "\r\n\r\n",
      "\n",
      ":",
      "/",
      "//",
      "*",
    ],
    ...[
      "/jobs",
      "/auth?token=%zz",
      "/%00",
      "http://x/",
      "x:1",
      " HTTP/1.1\r\n",
      " HTTP/1.0\r\n",
      " HTTP/9.9\r\n",
    ],
    ...["Host: 127.0.0.1:PORT\r\n", "Host: x\r\n", "Content-Length: 5\r\n", "Content-Length: -1\r\n"],
    ...[
      "Transfer-Encoding: chunked\r\n",
      "5\r\nhello\r\n",
      "0\r\n\r\n",
      "ffffffffff\r\n",
      "Expect: 100-continue\r\n",
    ],
    ...[
      "Connection: Upgrade\r\nUpgrade: websocket\r\n",
      "Connection: close\r\n",
      "Cookie: ;=;__proto__=1\r\n",
    ],
    ...["Content-Type: application/json\r\n", '{"x":1}', "\xff\xfe", "x".repeat(9000)],
  ];

  it("never ends a server, or a gateway whose space sends random answers", async () => {
    const next = random(1);
    const some = () => pieces[Math.floor(next() * pieces.length)] ?? "";
    let reached = 0;
    const upstream = createServer((incoming: IncomingMessage) => {
      const lines = ["HTTP/1.1 000 x", "HTTP/1.1 999 \x01", "HTTP/1.1 101 x", "HTTP/1.1 200 x", "x"];
      reached += 1;
      const head = lines[Math.floor(next() * lines.length)] ?? "";
      incoming.socket.end(
        `${head}\r\n${next() < 0.5 ? "Content-Length: 9\r\n" : "A\x7f: b\r\n"}\r\n${some()}`,
      );
    });
    upstream.on("upgrade", (_, socket) =>
      socket.on("error", () => {}).end(`HTTP/1.1 101 x\r\n${some()}\r\n\r\n`),
    );
    await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    const { port } = upstream.address() as AddressInfo;
    const gateway: Gateway = await startGateway({ faults: { gzip: true }, upstreamPort: () => port });
    for (let round = 0; round < 30; round += 1) {
      const tries = Array.from({ length: 20 }, (_, index) => {
        const target = index % 2 ? gateway.port : server.port;
        // Two of three requests have a valid beginning; half of those are valid to the end.
        const head = "GET /x HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n";
        const begin = ["", head, `${head}\r\n`][Math.floor(next() * 3)] ?? "";
        // Bytes after a complete request close the connection before the request reaches the space.
        const length = begin.endsWith("\r\n\r\n") && next() < 0.7 ? 0 : 1 + Math.floor(next() * 8);
        const bytes = begin + Array.from({ length }, some).join("");
        return raw(target, Buffer.from(bytes.replaceAll("PORT", String(target)), "latin1"), 20 + next() * 80);
      });
      await Promise.all(tries);
    }
    upstream.closeAllConnections();
    upstream.close();
    const answer = await fetch(`${gateway.url}/`);
    expect(answer.status).toBe(502);
    expect(reached).toBeGreaterThan(20);
    await gateway.close();
  });
});
