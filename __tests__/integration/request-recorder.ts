import { request as ask, createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** A request to AWS, as far as its operation can be told from it. */
export interface RecordedRequest {
  /** What it is signed for, such as `s3`: the scope of its signature says it. */
  readonly service: string;
  readonly method: string;
  readonly path: string;
  /** The JSON protocols' header `X-Amz-Target`. */
  readonly target: string;
  /** The query protocols' `Action`. */
  readonly action: string;
  /** Whether an object is to be tagged by the request that makes it. */
  readonly tagged: boolean;
}

export interface RequestRecorder {
  readonly endpoint: string;
  /** The requests since the last call, each kind once. */
  take(): readonly RecordedRequest[];
  close(): void;
}

/** Stands before the local AWS and notes what it is asked, with the service, which the local AWS's log does not name. */
export async function recordRequests(localAws: string): Promise<RequestRecorder> {
  let seen = new Map<string, RecordedRequest>();
  const server = createServer((incoming, outgoing) => {
    const parts: Buffer[] = [];
    incoming.on("data", (part: Buffer) => parts.push(part));
    incoming.on("end", () => {
      const body = Buffer.concat(parts);
      const one = describeRequest(incoming, body);
      seen.set(JSON.stringify(one), one);
      const { method, url, headers } = incoming;
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
