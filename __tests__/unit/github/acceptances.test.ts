import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { acceptancesOf, labelOf, mergedAs } from "../../../src/github/acceptances.ts";
import { GitHub } from "../../../src/github/api.ts";
import { longestSummary, summaryOf } from "../../../src/github/summary.ts";
import { GitHubServer } from "../../support/github-server.ts";

let server: GitHubServer;
let github: GitHub;
beforeEach(async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  server = await new GitHubServer().start();
  github = new GitHub({
    apiUrl: server.url,
    repository: "our/team",
    token: "secret-token",
    retryMilliseconds: 1,
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  server.stop();
});
const risk = "replaced-domain:studio_domain";
const label = (event: string, by = "ana", name = `accept ${risk}`) => server.label(7, event, by, name);

describe("the acceptances of a pull request", () => {
  it("have the person and the time of the last label, on all pages of its events", async () => {
    label("labeled", "bo", "bug");
    label("labeled", "bo");
    label("unlabeled", "bo");
    label("labeled", "cy");
    expect(await acceptancesOf(github, 7)).toEqual([
      { label: `accept ${risk}`, by: "cy", at: "2026-01-01T00:00:04Z", pullRequest: 7 },
    ]);
    expect(server.asked[0]).toBe("GET /repos/our/team/issues/7/events?per_page=100 Bearer secret-token");
    expect(server.asked).toHaveLength(2);
  });

  it("end when the label is removed, and do not come from another pull request or another label", async () => {
    label("labeled");
    label("unlabeled", "bo");
    label("labeled", "ana", `accepted ${risk}`);
    server.label(8, "labeled", "ana", `accept ${risk}`);
    expect(await acceptancesOf(github, 7)).toEqual([]);
  });

  it("fit GitHub's limit for names of labels", () => {
    expect(labelOf(risk)).toBe(`accept ${risk}`);
    expect(labelOf("x".repeat(60))).toBe(`accept ${"x".repeat(43)}`);
  });
});

it("finds the pull request that was merged as a commit", async () => {
  const merge = { merged_at: "2026-01-01T00:00:00Z", merge_commit_sha: "abc" };
  server.pulls.set("abc", [
    { number: 5, merged_at: null, merge_commit_sha: "abc" },
    { ...merge, number: 6, merge_commit_sha: "another" },
    { ...merge, number: 7 },
  ]);
  expect(await mergedAs(github, "abc")).toBe(7);
  expect(await mergedAs(github, "def")).toBeUndefined();
});

describe("a run's summary", () => {
  const acceptance = { label: labelOf(risk), by: "ana", at: "2026-01-01T00:00:00Z", pullRequest: 7 };
  const summary = (accepted: boolean, pullRequest: number | undefined = 7, report = "# Plan review\n") =>
    summaryOf({
      report,
      risks: [{ name: risk, accepted }],
      acceptances: accepted ? [acceptance] : [],
      pullRequest,
    });

  it("says who accepted a risk and when, or what stops the apply and which label accepts it", () => {
    expect(summary(true)).toBe(
      `- Accepted: \`${risk}\` by @ana at 2026-01-01T00:00:00Z, with a label on #7\n\n# Plan review\n`,
    );
    expect(summary(false)).toContain(
      `**Stops the apply:** \`${risk}\`. To accept it, add the label \`accept ${risk}\` to #7`,
    );
    expect(
      summaryOf({
        report: "",
        risks: [{ name: risk, accepted: false }],
        acceptances: [],
        pullRequest: undefined,
      }),
    ).toContain("make the change in a pull request");
  });

  it("is cut at the end of a line only if it exceeds GitHub's limit, and says so first", () => {
    const lines = (count: number) => `${"x".repeat(99)}\n`.repeat(count);
    expect(summary(true, 7, lines(10_000))).not.toContain("is cut");
    const cut = summary(true, 7, lines(11_000));
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(longestSummary);
    expect(cut).toMatch(/^- Accepted.*\n\n\*\*The report is longer than GitHub's limit.*\n\n(x{99}\n)+$/);
  });
});

describe("GitHub's API", () => {
  const ask = () => acceptancesOf(github, 7);

  it("is called again after a temporary error", async () => {
    server.failures = [{ status: 502 }, { status: 429, headers: { "retry-after": "0" } }];
    expect(await ask()).toEqual([]);
    expect(server.asked).toHaveLength(3);
  });

  it("is called four times at most, and the error has its response", async () => {
    server.failures = Array.from({ length: 9 }, () => ({ status: 503 }));
    await expect(ask()).rejects.toThrow(/returned status 503 for GET .*\/issues\/7\/events.*no/);
    expect(server.asked).toHaveLength(4);
  });

  it("is called once if it denies access, and the remedy has the missing permission", async () => {
    server.failures = [{ status: 403 }];
    await expect(ask()).rejects.toMatchObject({ remedy: expect.stringContaining("issues: read") });
    expect(server.asked).toHaveLength(1);
  });

  it("does not send the token to another address", async () => {
    for (const event of ["labeled", "unlabeled", "labeled"]) label(event);
    server.nextPage = () => "http://localhost:9/elsewhere";
    await expect(ask()).rejects.toThrow("another address");
  });
});
