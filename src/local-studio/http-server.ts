import { appendFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

/** Rejects one request. The message becomes the `reason` in the answer. */
export class HttpError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

export type Log = (line: string) => void;

export interface ServerProps {
  /** Answers a request. An `HttpError` that it throws becomes the answer; any other error becomes status 500. */
  readonly request: (incoming: IncomingMessage, response: ServerResponse) => void | Promise<void>;
  /** Answers an upgrade in the same way. @default upgrades are rejected with 400 */
  readonly upgrade?: ((incoming: IncomingMessage, socket: Duplex, head: Buffer) => void) | undefined;
  /** Receives a line for each rejected request and for each error. */
  readonly log: Log;
  /** @default a free port */
  readonly port?: number | undefined;
  /** Time limit in milliseconds for the headers of a request. @default 10000 */
  readonly headersTimeout?: number | undefined;
}

export interface Server {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * An HTTP server on the loopback interface. Errors of its handlers are answered and logged, and never end the server.
 * It accepts only its own address as `Host`, which prevents DNS rebinding.
 */
export async function startServer(props: ServerProps): Promise<Server> {
  const { log } = props;
  const sockets = new Set<Duplex>();
  const answering = new WeakSet<Duplex>();
  let hosts: readonly string[] = [];
  const check = (incoming: IncomingMessage) => {
    const { host } = incoming.headers;
    if (!hosts.includes(host ?? "")) {
      throw new HttpError(421, `The Host header must be ${hosts.join(" or ")}, not ${JSON.stringify(host)}.`);
    }
    if (!/^\/(?!\/)/.test(incoming.url ?? "")) {
      throw new HttpError(400, `The request target must be a path, not ${JSON.stringify(incoming.url)}.`);
    }
  };
  const server = createServer(
    // Disconnects a client that sends its headers too slowly.
    { headersTimeout: props.headersTimeout ?? 10_000, connectionsCheckingInterval: 1000 },
    (incoming, response) => {
      answering.add(incoming.socket);
      response.once("close", () => answering.delete(incoming.socket));
      const failed = (error: unknown) => {
        // The client disconnected while it sent the body.
        if ((error as NodeJS.ErrnoException | undefined)?.code !== "ECONNRESET")
          log(describe(incoming, error));
        refuse(response, error);
      };
      incoming.on("error", () => {}); // the client disconnected: `response` closes too
      response.on("error", failed);
      void (async () => {
        check(incoming);
        await props.request(incoming, response);
      })().catch(failed);
    },
  );
  server.on("upgrade", (incoming, socket, head) => {
    socket.on("error", () => socket.destroy());
    try {
      check(incoming);
      if (props.upgrade === undefined) throw new HttpError(400, "This server does not accept WebSockets.");
      props.upgrade(incoming, socket, head);
    } catch (error) {
      log(describe(incoming, error));
      refuseUpgrade(socket, error instanceof HttpError ? error.status : 500);
    }
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // The bytes are not valid HTTP. A second answer must not be mixed into a pending one.
    const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ""] ?? 400;
    if (error.code !== "ECONNRESET") log(`${status} not a valid request: ${error.code ?? error.message}`);
    if (answering.has(socket) || error.code === "ECONNRESET") socket.destroy();
    else refuseUpgrade(socket, status);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(props.port ?? 0, "127.0.0.1", resolve);
  });
  server.on("error", (error) => log(`500 ${error.message}`));
  const { port } = server.address() as AddressInfo;
  hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Rejects an upgrade, which makes the browser's handshake fail. A status outside 200-999 becomes 502. */
export function refuseUpgrade(socket: Duplex, statusOfSpace: number): void {
  const status = statusOfSpace >= 200 && statusOfSpace <= 999 ? statusOfSpace : 502;
  if (socket.writable)
    socket.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  else socket.destroy();
}

/** Whether a request has the server's own `Origin`, or none (a navigation, or a program that is not a browser). */
export function isSameOrigin(incoming: IncomingMessage): boolean {
  const { origin, host } = incoming.headers;
  return origin === undefined || origin === `http://${host}`;
}

/** The path and the query string of a request, as a URL. */
export function urlOf(incoming: IncomingMessage): URL {
  const target = incoming.url ?? "";
  try {
    decodeURIComponent(target);
    return new URL(target, "http://localhost");
  } catch {
    throw new HttpError(
      400,
      `The request target ${JSON.stringify(target.split("?")[0])} is not a valid URL.`,
    );
  }
}

/** Reads the JSON object in the body of a request. */
export async function readObject(
  incoming: IncomingMessage,
  limit = 1 << 20,
): Promise<Record<string, unknown>> {
  const type = incoming.headers["content-type"] ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new HttpError(415, `Content-Type must be application/json, not ${JSON.stringify(type)}.`);
  }
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > limit) {
      incoming.resume(); // lets the client finish and read the answer; the server limits the time
      throw new HttpError(413, `The body must not be longer than ${limit} bytes.`);
    }
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces)));
  } catch (error) {
    throw new HttpError(400, `The body is not valid JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new HttpError(400, "The body must be a JSON object.");
  }
  return value as Record<string, unknown>;
}

export function reply(response: ServerResponse, status: number, body: object, headers = {}): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers });
  response.end(JSON.stringify(body));
}

/** Appends up to 10,000 lines to a file, so that requests cannot fill the disk. */
export function fileLog(file: string): Log {
  let left = 10_000;
  return (line) => {
    if (left-- <= 0) return;
    try {
      const limit = left === 0 ? "\nThe limit of 10,000 lines is reached." : "";
      appendFileSync(file, `${new Date().toISOString()} ${line}${limit}\n`);
    } catch {
      // The run has ended and its folder has been removed.
    }
  };
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.writableEnded) return;
  if (response.headersSent || response.destroyed) response.destroy();
  else if (error instanceof HttpError)
    reply(response, error.status, { reason: error.message }, error.headers);
  else reply(response, 500, { reason: `Internal error of the rehearsal: ${messageOf(error)}` });
}

/** Omits the query string, which can contain a token. */
function describe(incoming: IncomingMessage, error: unknown): string {
  const target = JSON.stringify(incoming.url?.split("?")[0]?.slice(0, 200));
  const status = error instanceof HttpError ? error.status : 500;
  const reason = error instanceof HttpError || !(error instanceof Error) ? messageOf(error) : error.stack;
  return `${status} ${incoming.method} ${target}: ${reason?.slice(0, 2000)}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
