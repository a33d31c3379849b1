import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { HttpError, readObject, reply } from "./http-server.ts";
import type { SignIn } from "./presigned-urls.ts";
import { NotPossible, type StudioApi, spaceActions, spaceApps } from "./studio-api.ts";

export interface StudioRequest {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** The session of the request's cookie. */
  readonly session: SignIn;
  /** `undefined` until the stack is deployed. */
  readonly api: StudioApi | undefined;
}

/** Allows only the page's own files, forbids framing, and never treats text as HTML. */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

/**
 * Serves a job's page in a separate origin without a session, because the page is the output of a notebook and loads
 * marimo's scripts.
 */
const jobPagePolicy = "sandbox allow-scripts allow-popups allow-downloads; frame-ancestors 'none'";

const assets: Readonly<Record<string, readonly [file: string, type: string]>> = {
  "/studio/page.js": ["page.js", "text/javascript"],
  "/studio/costs.js": ["costs.js", "text/javascript"],
  "/studio/page.css": ["page.css", "text/css"],
};

/** Answers every request below /studio/: the page and its API. */
export async function answerStudio(exchange: StudioRequest): Promise<void> {
  const { incoming, response, url, session } = exchange;
  if (url.pathname.startsWith("/studio/api/")) return answerApi(exchange);
  const allow = "GET";
  if (incoming.method !== allow) {
    throw new HttpError(405, `The method must be ${allow}, not ${incoming.method}.`, { allow });
  }
  const own = `/studio/${session.domainId}/${session.userProfileName}`;
  const asset = url.pathname === own ? (["index.html", "text/html"] as const) : assets[url.pathname];
  if (asset) return sendFile(response, ...asset);
  response.writeHead(302, { location: own, "cache-control": "no-store" });
  response.end();
}

async function answerApi({ incoming, response, url, session, api }: StudioRequest): Promise<void> {
  const route = `${incoming.method} ${url.pathname.slice("/studio/api/".length)}`;
  const page = /^GET jobs\/([a-zA-Z0-9-]+)\/page$/.exec(route)?.[1];
  if (!api) throw new HttpError(503, "The stack is not deployed yet.");
  try {
    if (page) return send(response, "text/html", await api.jobPage(page), jobPagePolicy);
    if (route === "GET overview") return reply(response, 200, await api.overview(session));
    if (route === "GET costs") return reply(response, 200, await api.costs(session));
    if (route === "GET log") {
      return reply(response, 200, { text: await api.log(session, url.searchParams.get("id") ?? "") });
    }
    if (route !== "POST spaces" && route !== "POST open") {
      throw new HttpError(404, `The Studio API has no route ${JSON.stringify(route)}.`);
    }
    requireOwnPage(incoming);
    const body = await readObject(incoming);
    if (route === "POST spaces") {
      await api.act(session, oneOf(body, "action", spaceActions), text(body, "spaceName"));
      return reply(response, 200, {});
    }
    const link =
      "userProfileName" in body
        ? api.signIn(session, text(body, "userProfileName"))
        : api.open(session, text(body, "spaceName"), oneOf(body, "app", Object.keys(spaceApps) as App[]));
    reply(response, 200, { url: await link });
  } catch (error) {
    if (error instanceof HttpError) throw error;
    const { status, ...answer } = explained(error);
    reply(response, status, answer);
  }
}

type App = keyof typeof spaceApps;

/** Rejects cross-origin requests: other pages, such as a notebook in JupyterLab, must not act for the user. */
function requireOwnPage({ headers }: IncomingMessage): void {
  const own = `http://${headers.host}`;
  const site = headers["sec-fetch-site"] ?? "same-origin";
  if (headers.origin !== own || site !== "same-origin") {
    throw new HttpError(403, `The Origin header must be ${own}, but is ${headers.origin ?? "missing"}.`);
  }
}

function text(body: Readonly<Record<string, unknown>>, member: string): string {
  const value = body[member];
  if (typeof value === "string" && value !== "") return value;
  throw new HttpError(400, `${member} must be a string, not ${JSON.stringify(value)}.`);
}

function oneOf<T extends string>(
  body: Readonly<Record<string, unknown>>,
  member: string,
  allowed: readonly T[],
): T {
  const value = allowed.find((one) => one === body[member]);
  if (value !== undefined) return value;
  const found = JSON.stringify(body[member]);
  throw new HttpError(400, `${member} must be one of ${allowed.join(", ")}, not ${found}.`);
}

/** Remedies for AWS errors, by error code. */
const remedies: Readonly<Record<string, string>> = {
  ResourceInUse: "wait until the pending change is complete, or choose another name",
  ResourceNotFound: "it has been deleted; choose another one from the list",
  ResourceNotFoundException: "it has been deleted; choose another one from the list",
  ValidationException:
    "correct the value in the message; a name can have up to 63 letters, digits and hyphens, with hyphens only inside",
  AccessDeniedException: "see `guardRails` in src/environments.ts",
  ThrottlingException: "try again",
  NoSuchKey: "the job did not write a page; read its log",
};

/** Converts any error to the answer that the page shows. */
function explained(error: unknown): { status: number; reason: string; remedy: string } {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (error instanceof NotPossible) return { status: error.status, reason: message, remedy: error.remedy };
  const answer = (error as { $response?: unknown; $metadata?: { httpStatusCode?: number } }).$metadata;
  if (answer?.httpStatusCode === undefined) {
    return {
      status: 502,
      reason: `The local AWS does not respond: ${message}`,
      remedy: "read the log of the local AWS",
    };
  }
  const remedy = remedies[name] ?? "read the log of the local AWS, then try again";
  return { status: answer.httpStatusCode < 500 ? 409 : 502, reason: `${name}: ${message}`, remedy };
}

async function sendFile(response: ServerResponse, name: string, type: string): Promise<void> {
  send(response, type, await readFile(new URL(`studio-page/${name}`, import.meta.url)));
}

function send(response: ServerResponse, type: string, body: string | Buffer, policy = pagePolicy): void {
  response.writeHead(200, {
    "content-type": `${type}; charset=utf-8`,
    "content-security-policy": policy,
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
  });
  response.end(body);
}
