import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GitHub } from "../../../src/github/api.ts";
import { commentBody, keepComment, longestComment, reviewedPlan } from "../../../src/github/comment.ts";
import { GitHubServer } from "../../support/github-server.ts";

const tree = "a".repeat(40);
const sha256 = "b".repeat(64);
const run = "https://github.com/our/team/actions/runs/1";
const body = (review: string, plan: Parameters<typeof commentBody>[0]["plan"] = { tree, sha256 }) =>
  commentBody({ environment: "dev", review, plan, run });

describe("a comment", () => {
  it("contains the plan's hash and the whole review if it fits", () => {
    const text = body("# Review\n\n- one change");
    expect(text).toContain("# Review\n\n- one change");
    expect(text).toContain(sha256);
    expect(text).not.toContain("Cut here");
  });

  it.each([0, 1])("is cut only if it exceeds GitHub's limit (by %i characters)", (more) => {
    const room = longestComment - body("").length;
    const text = body(`${"x".repeat(room - 4)}\nend${"!".repeat(more)}`);
    expect(text.length).toBeLessThanOrEqual(longestComment);
    expect(text.includes("Cut here")).toBe(more > 0);
    if (more === 0) expect(text).toHaveLength(longestComment);
  });

  it("is cut at the end of a line, with open elements closed and a note of the number of lines", () => {
    const lines = Array.from({ length: 4000 }, (_, index) => `line ${index} of the plan, whole`);
    const text = body(["<details>", "```diff", ...lines].join("\n"));
    expect(text.length).toBeLessThanOrEqual(longestComment);
    const kept = Number(/Cut here: (\d+) of 4002 lines/.exec(text)?.[1]);
    expect(text).toContain(`line ${kept - 3} of the plan, whole\n\`\`\`\n\n</details>\n\n**Cut here`);
    expect(text).toContain(run);
    expect(text).toContain(sha256);
  });

  it("says when there are no changes to apply, and when no plan was saved", () => {
    expect(body("", { tree, sha256: null })).toContain("has no changes to apply");
    expect(commentBody({ environment: "dev", review: "", plan: undefined, run })).toContain(
      "No plan was saved",
    );
  });
});

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
const comment = (text: string, login = "ana") => server.add(text, login);
const keep = (text: string) => keepComment(github, { pullRequest: 7, environment: "dev", body: text });
const reviewed = () => reviewedPlan(github, { pullRequest: 7, environment: "dev" });

describe("the review comment", () => {
  it("is created once and then updated, and its plan can be read", async () => {
    await keep(body("first"));
    await keep(body("second", { tree, sha256: null }));
    expect(server.comments).toHaveLength(1);
    expect(server.comments[0]?.body).toContain("second");
    expect(await reviewed()).toEqual({ tree, sha256: null });
    expect(server.asked[0]).toBe("GET /repos/our/team/issues/7/comments?per_page=100 Bearer secret-token");
  });

  it("is found after several pages of other comments", async () => {
    for (const text of ["one", "two", "three", "four", "five"]) comment(text);
    comment(body("old"), "github-actions[bot]");
    await keep(body("new"));
    expect(server.comments).toHaveLength(6);
    expect(server.comments[5]?.body).toContain("new");
    expect(server.asked.filter((line) => line.startsWith("GET"))).toHaveLength(3);
  });

  it("is never a comment of another environment or another author", async () => {
    comment(body("forged", { tree, sha256: "c".repeat(64) }));
    comment(
      commentBody({ environment: "development", review: "", plan: { tree, sha256 }, run }),
      "github-actions[bot]",
    );
    await expect(reviewed()).rejects.toThrow('Pull request 7 has no plan of "dev"');
    await keep(body("mine"));
    expect(server.comments).toHaveLength(3);
    expect(await reviewed()).toEqual({ tree, sha256 });
  });

  it.each(["null", "{", '{"tree":"../x","sha256":null}', `{"tree":"${tree}","sha256":"../x"}`])(
    "contains no plan to apply if its plan is %s",
    async (plan) => {
      comment(body("x").replace(/\{.*\}/, plan), "github-actions[bot]");
      await expect(reviewed()).rejects.toThrow("no successful plan");
    },
  );

  it("is found if the review quotes the marker", async () => {
    await keep(body(`a\n<!-- npm run github: plan of dev {"tree":"${tree}","sha256":null} -->`));
    expect(await reviewed()).toEqual({ tree, sha256 });
  });
});

describe("GitHub's API", () => {
  it("is called again after a temporary error", async () => {
    server.failures = [{ status: 502 }, { status: 429, headers: { "retry-after": "0" } }];
    await keep(body("x"));
    expect(server.comments).toHaveLength(1);
    expect(server.asked).toHaveLength(4);
  });

  it("is called four times at most, and the error has its response", async () => {
    server.failures = Array.from({ length: 9 }, () => ({ status: 503 }));
    await expect(keep(body("x"))).rejects.toThrow(/returned status 503 for GET .*\/issues\/7\/comments.*no/);
    expect(server.asked).toHaveLength(4);
  });

  it("is called once if it denies access, and the remedy has the missing permission", async () => {
    server.failures = [{ status: 403 }];
    await expect(keep(body("x"))).rejects.toMatchObject({
      remedy: expect.stringContaining("pull-requests: write"),
    });
    expect(server.asked).toHaveLength(1);
  });

  it("does not send the token to another address", async () => {
    for (const text of ["one", "two", "three"]) comment(text);
    server.nextPage = () => "http://localhost:9/elsewhere";
    await expect(keep(body("x"))).rejects.toThrow("another address");
  });

  it("rejects a body over the limit", async () => {
    await expect(keep("x".repeat(longestComment + 1))).rejects.toThrow("Body is too long");
  });
});
