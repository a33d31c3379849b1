import { createServer, type IncomingMessage, request } from "node:http";
import { type AddressInfo, connect } from "node:net";

export interface CodeEditorProxy {
  /** The address of Code Editor, as SageMaker returns it for a space. */
  readonly url: string;
  /** Adds a port to the Ports tab. */
  readonly forward: (port: number) => void;
  readonly close: () => void;
}

/**
 * Code Editor's port proxy behind Studio's gateway, which removes `/codeeditor/default`. Source: aws/code-editor,
 * patches/web-server/proxy-uri.diff; for the removal, src/space/README.md.
 */
export async function startCodeEditorProxy(): Promise<CodeEditorProxy> {
  const basePath = "/codeeditor/default";
  const forwarded = new Set<number>();
  const targetOf = ({ url = "" }: IncomingMessage) => {
    const [, name, port = "", rest = ""] =
      /^\/(ports|absports)\/([1-9]\d*)(.*)$/.exec(
        url.startsWith(basePath) ? url.slice(basePath.length) : "",
      ) ?? [];
    if (name === undefined || !forwarded.has(Number(port))) return undefined;
    const base = name === "ports" ? `/ports/${port}` : "";
    return { port: Number(port), base, path: name === "ports" ? rest || "/" : `/absports/${port}${rest}` };
  };
  const server = createServer((incoming, response) => {
    const target = targetOf(incoming);
    if (target === undefined) return response.writeHead(400, "Bad Request").end();
    const { method, headers } = incoming;
    const outgoing = request({ port: target.port, path: target.path, method, headers }, (answer) => {
      const { location } = answer.headers;
      if (location?.startsWith("/")) answer.headers.location = target.base + location;
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    outgoing.on("error", (error) => response.headersSent || response.writeHead(500).end(error.message));
    response.on("close", () => outgoing.destroy());
    return incoming.pipe(outgoing);
  });
  server.on("upgrade", (incoming, socket, head) => {
    const target = targetOf(incoming);
    if (target === undefined) return socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    const upstream = connect({ port: target.port }, () => {
      const lines = incoming.rawHeaders.map((text, i) => text + (i % 2 === 0 ? ": " : "\r\n")).join("");
      upstream.write(`${incoming.method} ${target.path} HTTP/1.1\r\n${lines}\r\n`);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on("error", () => socket.destroy());
    socket.on("error", () => upstream.destroy());
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${basePath}`,
    forward: (port) => forwarded.add(port),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
