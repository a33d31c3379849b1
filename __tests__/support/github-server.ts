import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

interface Comment {
  readonly id: number;
  body: string;
  readonly user: { readonly login: string };
}

/** The part of GitHub's API for reviews: two comments per page, and failures that a test can inject. */
export class GitHubServer {
  readonly comments: Comment[] = [];
  readonly asked: string[] = [];
  failures: { status: number; headers?: Record<string, string> }[] = [];
  /** Pull requests by commit. */
  readonly pulls = new Map<string, readonly object[]>();
  /** The URL of the next page in the `Link` header. */
  nextPage = (url: string): string => url;
  private readonly server = createServer((request, response) => void this.answer(request, response));

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  add(body: string, login: string): void {
    this.comments.push({ id: this.comments.length + 1, body, user: { login } });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    const failure = this.failures.shift();
    const body = await text(request);
    const url = new URL(request.url ?? "", this.url);
    if (failure) response.writeHead(failure.status, failure.headers).end('{"message":"no"}');
    else if (request.method === "GET") this.list(url, response);
    else this.write(request.method ?? "", url, (JSON.parse(body) as { body: string }).body, response);
  }

  private list(url: URL, response: ServerResponse): void {
    const commit = /\/commits\/(\w+)\/pulls$/.exec(url.pathname)?.[1];
    const all: readonly unknown[] = commit === undefined ? this.comments : (this.pulls.get(commit) ?? []);
    const page = Number(url.searchParams.get("page") ?? 1);
    const link = this.nextPage(`${this.url}${url.pathname}?per_page=100&page=${page + 1}`);
    if (all.length > page * 2) response.setHeader("link", `<${link}>; rel="next", <${link}>; rel="last"`);
    response.end(JSON.stringify(all.slice((page - 1) * 2, page * 2)));
  }

  private write(method: string, url: URL, body: string, response: ServerResponse): void {
    if (body.length > 65_536) return void response.writeHead(422).end('{"message":"Body is too long"}');
    const known = this.comments.find(({ id }) => url.pathname.endsWith(`/issues/comments/${id}`));
    if (method === "PATCH" && known === undefined) return void response.writeHead(404).end("{}");
    if (known) known.body = body;
    else this.add(body, "github-actions[bot]");
    response.writeHead(known ? 200 : 201).end("{}");
  }
}
