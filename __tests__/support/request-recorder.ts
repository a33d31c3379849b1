import { request as ask, createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** The parts of a request to AWS that identify its operation. */
export interface RecordedRequest {
  /** The service in the scope of the signature, for example `s3`. */
  readonly service: string;
  readonly method: string;
  readonly path: string;
  /** The header `X-Amz-Target` of the JSON protocols. */
  readonly target: string;
  /** The `Action` of the query protocols. */
  readonly action: string;
  /** Whether the request creates an object with tags. */
  readonly tagged: boolean;
}

export interface RequestRecorder {
  readonly endpoint: string;
  /** Returns the different requests since the last call. */
  take(): readonly RecordedRequest[];
  close(): void;
}

/** Starts a proxy for the local AWS that records requests with their service, which the log does not contain. */
export async function recordRequests(localAws: string): Promise<RequestRecorder> {
  let seen = new Map<string, RecordedRequest>();
  const server = createServer((incoming, outgoing) => {
    const parts: Buffer[] = [];
    incoming.on("data", (part: Buffer) => parts.push(part));
    incoming.on("end", () => {
      const body = Buffer.concat(parts);
      const one = describeRequest(incoming, body);
      seen.set(JSON.stringify(one), one);
      const { method, url } = incoming;
      // The local AWS accepts only its own address as Host.
      const headers = { ...incoming.headers, host: new URL(localAws).host };
      const forwarded = ask(new URL(url ?? "/", localAws), { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      forwarded.on("error", () => outgoing.destroy());
      forwarded.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take: () => {
      const taken = [...seen.values()];
      seen = new Map();
      return taken;
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function describeRequest({ headers, method = "", url = "" }: IncomingMessage, body: Buffer): RecordedRequest {
  const form = headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
  return {
    service: /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(headers.authorization ?? "")?.[1] ?? "",
    method,
    path: url,
    target: String(headers["x-amz-target"] ?? ""),
    action: form ? (new URLSearchParams(body.toString()).get("Action") ?? "") : "",
    tagged: headers["x-amz-tagging"] !== undefined,
  };
}
