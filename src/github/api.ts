import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../cli/problem.ts";

export interface GitHubProps {
  /** `https://api.github.com`, or the API of a GitHub Enterprise Server. */
  readonly apiUrl: string;
  /** As `owner/name`. */
  readonly repository: string;
  readonly token: string;
  /** Delay before the first retry of a request. It doubles with each further retry. @default 1000 */
  readonly retryMilliseconds?: number | undefined;
}

/** Temporary errors, including the rate limit (GitHub, "Rate limits for the REST API"). */
const temporary = new Set([429, 500, 502, 503, 504]);
const attempts = 4;

/** Reads lists from GitHub's REST API, for one repository. */
export class GitHub {
  private readonly props: GitHubProps;

  constructor(props: GitHubProps) {
    this.props = props;
  }

  get repository(): string {
    return this.props.repository;
  }

  /** All pages of a list (GitHub, "Using pagination in the REST API": the header `link` contains the next page). */
  async list<Item>(path: string): Promise<readonly Item[]> {
    const items: Item[] = [];
    let next: string | undefined = `${this.props.apiUrl}/repos/${this.props.repository}/${path}?per_page=100`;
    while (next !== undefined) {
      const answer = await this.get(next);
      items.push(...((await answer.json()) as Item[]));
      next = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
    }
    return items;
  }

  private async get(url: string): Promise<Response> {
    // The token must not be sent to another origin, even if a `link` header points there.
    if (new URL(url).origin !== new URL(this.props.apiUrl).origin) {
      throw new Error(`GitHub's API returned a page at another address: ${url}`);
    }
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.attempt(url);
      if (answer instanceof Response && answer.ok) return answer;
      const again = answer instanceof Error || temporary.has(answer.status);
      if (!again || attempt === attempts) throw await problemOf(url, answer);
      const asked = answer instanceof Response ? Number(answer.headers.get("retry-after")) * 1000 : 0;
      const wait = Math.max(asked, (this.props.retryMilliseconds ?? 1000) * 2 ** (attempt - 1));
      console.error(`GitHub's API: ${answer instanceof Error ? answer.message : answer.status}, retrying`);
      await sleep(Math.min(wait, 60_000));
    }
  }

  private async attempt(url: string): Promise<Response | Error> {
    try {
      return await fetch(url, {
        headers: {
          Accept: "application/vnd.github+json",
          Authorization: `Bearer ${this.props.token}`,
          "X-GitHub-Api-Version": "2022-11-28",
        },
        signal: AbortSignal.timeout(30_000),
      });
    } catch (error) {
      if (error instanceof Error) return error;
      throw error;
    }
  }
}

async function problemOf(url: string, answer: Response | Error): Promise<Problem> {
  if (answer instanceof Error) {
    return new Problem({
      message: `GitHub's API did not respond to GET ${url}: ${answer.message}`,
      remedy: "run the job again; for GitHub Enterprise Server, check GITHUB_API_URL",
    });
  }
  const denied = [401, 403, 404].includes(answer.status);
  return new Problem({
    message: `GitHub's API returned status ${answer.status} for GET ${url}: ${(await answer.text()).slice(0, 500)}`,
    remedy: denied
      ? "give the job the permissions `issues: read` and `pull-requests: read`, and pass GITHUB_TOKEN to the step"
      : "see GitHub's message above, and run the job again",
  });
}
