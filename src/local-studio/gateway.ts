import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { constants, createGzip } from "node:zlib";
import { type GatewayFaults, isProxiedApplication } from "./gateway-faults.ts";
import { type Log, refuseUpgrade, type Server, startServer } from "./http-server.ts";
import { sessionCookiePrefix } from "./presigned-urls.ts";

export interface GatewayProps {
  readonly faults: GatewayFaults;
  /** Port of the JupyterLab behind the gateway, or `undefined` while it is not running. */
  readonly upstreamPort: () => number | undefined;
  /** Authenticates the gateway to JupyterLab (image/gateway_guard.py). */
  readonly token?: string | undefined;
  /** Answers a request instead of JupyterLab and returns `true`, for example with a sign-in page. */
  readonly intercept?: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** Throws an `HttpError` for a WebSocket that must not be opened. @default all are opened */
  readonly admit?: ((request: IncomingMessage) => void) | undefined;
  /** Receives a line for each rejected request and for each error. @default none */
  readonly log?: Log | undefined;
  /** @default a free port */
  readonly port?: number | undefined;
}

export type Gateway = Server;

/** Headers of a single connection (RFC 9110, 7.6.1). A WebSocket handshake forwards `upgrade`. */
const hopByHop = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** Starts a reverse proxy in front of one space's JupyterLab that adds faults to the traffic. */
export async function startGateway(props: GatewayProps): Promise<Gateway> {
  const { log = () => {} } = props;
  return await startServer({
    log,
    port: props.port,
    request: (incoming, response) => {
      if (props.intercept?.(incoming, response)) return;
      const port = props.upstreamPort();
      if (port === undefined) return refuse(response, 503, "This space's app is not running.");
      forward(incoming, response, port, props);
    },
    upgrade: (incoming, socket, head) => {
      props.admit?.(incoming);
      const port = props.upstreamPort();
      if (port === undefined) return refuseUpgrade(socket, 503);
      forwardUpgrade(incoming, socket, head, port, props);
    },
  });
}

function forward(
  incoming: IncomingMessage,
  response: ServerResponse,
  port: number,
  props: GatewayProps,
): void {
  const { faults } = props;
  const outgoing = request({
    host: "127.0.0.1",
    port,
    agent: false,
    method: incoming.method,
    path: incoming.url,
    headers: passedOn(incoming, props),
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
    try {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
    } catch (error) {
      // An application in the space can send an invalid status, such as 000.
      outgoing.destroy(error as Error);
      return;
    }
    // A buffering proxy sends nothing, not even headers, until its buffer is full or the response ends.
    if (!faults.bufferBytes) response.flushHeaders();
    const gzip = compress ? createGzip({ flush: constants.Z_SYNC_FLUSH }) : undefined;
    gzip?.on("error", () => response.destroy()).pipe(response);
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
    else refuse(response, 502, `JupyterLab did not respond: ${error.message}`);
  });
  incoming.on("data", () => idle.touch());
  incoming.pipe(outgoing);
  // The browser has disconnected. Without this, an event stream of the application would stay open.
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
  props: GatewayProps,
): void {
  const { faults } = props;
  const path = incoming.url ?? "/";
  const outgoing = request({
    host: "127.0.0.1",
    port,
    agent: false,
    path: faults.dropQuery ? path.split("?")[0] : path,
    headers: {
      ...passedOn(incoming, props),
      connection: "Upgrade",
      upgrade: incoming.headers.upgrade,
    },
  });
  socket.once("close", () => outgoing.destroy());
  outgoing.on("error", () => refuseUpgrade(socket, 502));
  outgoing.on("response", (answer) => {
    // The upgrade was rejected, for example with 403: the browser's handshake fails.
    refuseUpgrade(socket, answer.statusCode ?? 502);
    answer.on("error", () => {}).resume();
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

/** The request headers that the gateway forwards. */
function passedOn(incoming: IncomingMessage, { faults, token }: GatewayProps): IncomingHttpHeaders {
  const dropCookies = faults.dropCookies && isProxiedApplication(incoming.url ?? "/");
  // Applications in a space must not receive session cookies, also not those of other spaces on this host.
  const cookies = (incoming.headers.cookie ?? "")
    .split(/;\s*/)
    .filter((cookie) => cookie !== "" && !cookie.startsWith(sessionCookiePrefix));
  return {
    ...without(incoming.headers, [
      ...hopByHop,
      "cookie",
      ...(faults.rewriteHost ? ["host"] : []), // Node.js then sets the address that it connects to
    ]),
    ...(token === undefined ? {} : { "x-local-studio-gateway": token }),
    ...(dropCookies || cookies.length === 0 ? {} : { cookie: cookies.join("; ") }),
  };
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
  // Sets the reason phrase, because `response` may already have an invalid one.
  response.writeHead(status, STATUS_CODES[status], {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
  });
  response.end(`${message}\n`);
}
