import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** The part of GitHub's API that the workflow reads: two entries per page, and failures that a test can inject. */
export class GitHubServer {
  readonly asked: string[] = [];
  failures: { status: number; headers?: Record<string, string> }[] = [];
  /** Pull requests by commit. */
  readonly pulls = new Map<string, readonly object[]>();
  /** The URL of the next page in the `Link` header. */
  nextPage = (url: string): string => url;
  private readonly events: { readonly pullRequest: number; readonly event: object }[] = [];
  private readonly server = createServer((request, response) => this.answer(request, response));

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

  /** Adds an event of a label, one second after the previous one. */
  label(pullRequest: number, event: string, login: string, name: string): void {
    const created_at = `2026-01-01T00:00:${String(this.events.length + 1).padStart(2, "0")}Z`;
    this.events.push({ pullRequest, event: { event, created_at, actor: { login }, label: { name } } });
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    this.asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    const failure = this.failures.shift();
    if (failure) return void response.writeHead(failure.status, failure.headers).end('{"message":"no"}');
    const url = new URL(request.url ?? "", this.url);
    const commit = /\/commits\/(\w+)\/pulls$/.exec(url.pathname)?.[1];
    const number = Number(/\/issues\/(\d+)\/events$/.exec(url.pathname)?.[1]);
    const all =
      commit === undefined
        ? this.events.filter(({ pullRequest }) => pullRequest === number).map(({ event }) => event)
        : (this.pulls.get(commit) ?? []);
    const page = Number(url.searchParams.get("page") ?? 1);
    const link = this.nextPage(`${this.url}${url.pathname}?per_page=100&page=${page + 1}`);
    if (all.length > page * 2) response.setHeader("link", `<${link}>; rel="next", <${link}>; rel="last"`);
    response.end(JSON.stringify(all.slice((page - 1) * 2, page * 2)));
  }
}
