import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { constants, createGzip } from "node:zlib";
import { type GatewayFaults, isProxiedApplication } from "./gateway-faults.ts";

export interface GatewayProps {
  readonly faults: GatewayFaults;
  /** Port of the JupyterLab behind the gateway, or `undefined` while none runs. */
  readonly upstreamPort: () => number | undefined;
  /** Answers a request itself, ahead of JupyterLab, and says so (sign-in pages). */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** @default a free port */
  readonly port?: number;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Headers that concern one connection only (RFC 9110, 7.6.1); `upgrade` goes on with a WebSocket's handshake. */
const hopByHop = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** A reverse proxy in front of one space's JupyterLab, which treats the traffic as its faults say. */
export async function startGateway(props: GatewayProps): Promise<Gateway> {
  const { faults } = props;
  const server = createServer((incoming, response) => {
    if (props.intercept?.(incoming, response)) return;
    const port = props.upstreamPort();
    if (port === undefined) return refuse(response, 503, "This space's app is not running.");
    forward(incoming, response, port, faults);
  });
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    const port = props.upstreamPort();
    if (port === undefined)
      return void socket.end("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n");
    forwardUpgrade(incoming, socket, head, port, faults);
  });
  const upgraded = new Set<Duplex>();
  server.on("upgrade", (_, socket) => {
    upgraded.add(socket);
    socket.once("close", () => upgraded.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(props.port ?? 0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
      }),
  };
}

function forward(
  incoming: IncomingMessage,
  response: ServerResponse,
  port: number,
  faults: GatewayFaults,
): void {
  const outgoing = request({
    host: "127.0.0.1",
    port,
    agent: false,
    method: incoming.method,
    path: incoming.url,
    headers: passedOn(incoming, faults),
  });
  const idle = idleCut(faults, () => {
    outgoing.destroy();
    incoming.socket.destroy();
  });
  outgoing.on("response", (answer) => {
    const headers = without(answer.headers, hopByHop);
    const compress =
      faults.gzip &&
      !headers["content-encoding"] &&
      /\bgzip\b/.test(String(incoming.headers["accept-encoding"] ?? ""));
    if (compress) {
      delete headers["content-length"];
      headers["content-encoding"] = "gzip";
    }
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
    // A buffering hop sends nothing, not even the headers, before its buffer is full or the response ends.
    if (!faults.bufferBytes) response.flushHeaders();
    const gzip = compress ? createGzip({ flush: constants.Z_SYNC_FLUSH }) : undefined;
    gzip?.pipe(response);
    const sink = gzip ?? response;
    let held: Buffer[] = [];
    let heldBytes = 0;
    answer.on("data", (piece: Buffer) => {
      idle.touch();
      held.push(piece);
      heldBytes += piece.length;
      if (heldBytes < (faults.bufferBytes ?? 0)) return;
      if (!sink.write(Buffer.concat(held))) {
        answer.pause();
        sink.once("drain", () => answer.resume());
      }
      held = [];
      heldBytes = 0;
    });
    answer.on("end", () => {
      idle.stop();
      sink.end(Buffer.concat(held));
    });
    answer.on("error", () => response.destroy());
  });
  outgoing.on("error", (error) => {
    idle.stop();
    if (response.headersSent) response.destroy();
    else refuse(response, 502, `JupyterLab did not answer: ${error.message}`);
  });
  incoming.on("data", () => idle.touch());
  incoming.pipe(outgoing);
  // The browser left: the application behind must learn of it (an event stream would stay open otherwise).
  response.on("close", () => {
    idle.stop();
    outgoing.destroy();
  });
}

function forwardUpgrade(
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  port: number,
  faults: GatewayFaults,
): void {
  const path = incoming.url ?? "/";
  const outgoing = request({
    host: "127.0.0.1",
    port,
    agent: false,
    path: faults.dropQuery ? path.split("?")[0] : path,
    headers: {
      ...passedOn(incoming, faults),
      connection: "Upgrade",
      upgrade: incoming.headers.upgrade,
    },
  });
  socket.on("error", () => outgoing.destroy());
  outgoing.on("error", () => socket.destroy());
  outgoing.on("response", (answer) => {
    // Refused, such as with 403: the browser sees the handshake fail.
    socket.end(
      `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
    );
    answer.resume();
  });
  outgoing.on("upgrade", (answer, upstream: Socket, rest: Buffer) => {
    const lines = [`HTTP/1.1 101 ${answer.statusMessage}`];
    for (let index = 0; index < answer.rawHeaders.length; index += 2) {
      lines.push(`${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}`);
    }
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    const close = () => {
      idle.stop();
      socket.destroy();
      upstream.destroy();
    };
    const idle = idleCut(faults, close);
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      from.on("data", () => idle.touch());
      from.on("error", close);
      from.on("close", close);
      from.pipe(to);
    }
    if (rest.length > 0) socket.write(rest);
    if (head.length > 0) upstream.write(head);
    if (faults.closeWebSockets && isProxiedApplication(path)) close();
  });
  outgoing.end();
}

/** A request's headers as the gateway passes them on. */
function passedOn(incoming: IncomingMessage, faults: GatewayFaults): IncomingHttpHeaders {
  const dropCookies = faults.dropCookies && isProxiedApplication(incoming.url ?? "/");
  return without(incoming.headers, [
    ...hopByHop,
    ...(dropCookies ? ["cookie"] : []),
    ...(faults.rewriteHost ? ["host"] : []), // Node.js then names the server that it connects to
  ]);
}

function without(headers: IncomingHttpHeaders, names: readonly string[]): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}

function idleCut(faults: GatewayFaults, cut: () => void): { touch: () => void; stop: () => void } {
  if (faults.idleCut === undefined) return { touch: () => {}, stop: () => {} };
  const timer = setTimeout(cut, faults.idleCut);
  return { touch: () => timer.refresh(), stop: () => clearTimeout(timer) };
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
  });
  response.end(`${message}\n`);
}
