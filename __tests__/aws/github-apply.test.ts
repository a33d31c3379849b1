import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform } from "../../src/cli/terraform-cli.ts";
import { GitHub } from "../../src/github/api.ts";
import { apply } from "../../src/github/apply.ts";
import { review } from "../../src/github/review.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { resolveEnvironment } from "../../src/settings/environment.ts";
import { GitHubServer } from "../support/github-server.ts";

const bucket = "our-state";
const key = "dev.tfstate";
const environment = resolveEnvironment({ name: "dev", backend: { type: "s3", bucket, key } });

/** A project with one resource that needs no provider. The tests are about the applied plan, not about the stack. */
const main = `
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
mkdirSync("cdktf.out/stacks/dev", { recursive: true });
writeFileSync("cdktf.out/stacks/dev/cdk.tf.json", JSON.stringify({
  terraform: { backend: { s3: { bucket: "${bucket}", key: "${key}", region: "us-east-1", use_lockfile: true, use_path_style: true } } },
  resource: { terraform_data: { value: { input: readFileSync("value.txt", "utf8") } } },
}));
`;
/** A replacement of `npm run plan` for this project, with the same options and exit statuses. */
const plan = (terraform: string) => `
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
await import("../main.ts");
const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const terraform = (...args) => spawnSync("${terraform}", args, { cwd: "cdktf.out/stacks/" + option("--environment"), stdio: "inherit" }).status;
const value = readFileSync("value.txt", "utf8");
terraform("init", "-input=false");
const status = value === "broken" ? 1 : terraform("plan", "-input=false", "-detailed-exitcode", "-out=" + option("--save"));
writeFileSync(option("--out"), "value becomes " + value + ", token: " + process.env.GITHUB_TOKEN);
const risky = value === "risky" && !(process.argv.includes("--accept") && option("--accept") === "the risk");
process.exitCode = status === 2 ? (risky ? 3 : 4) : status;
`;

let aws: LocalAws;
let s3: S3Client;
let github: GitHubServer;
let base: string;
let folder: string;

const git = (...args: string[]) =>
  execFileSync("git", ["-c", "user.name=ana", "-c", "user.email=ana@example.org", ...args], {
    cwd: folder,
    encoding: "utf8",
  }).trim();
function commit(value: string): string {
  writeFileSync(join(folder, "value.txt"), value);
  git("add", "--all");
  git("commit", "--quiet", "--allow-empty", "--message", value);
  return git("rev-parse", "HEAD");
}
const step = (context: object) => ({
  environment,
  folder,
  signal: new AbortController().signal,
  context: {
    github: new GitHub({ apiUrl: github.url, repository: "our/team", token: "secret", retryMilliseconds: 1 }),
    commit: "",
    run: "https://github.com/our/team/actions/runs/1",
    pullRequest: undefined,
    ...context,
  },
});
const reviewed = (labels: string[] = []) => review(step({ pullRequest: { number: 7, labels } }));
const merged = (commitId: string) => {
  const merge = { merged_at: "2026-01-01T00:00:00Z", merge_commit_sha: commitId };
  github.pulls.set(commitId, [
    { number: 5, merged_at: null, merge_commit_sha: commitId },
    { ...merge, number: 6, merge_commit_sha: "another" },
    { ...merge, number: 7 },
  ]);
  return apply(step({ commit: commitId }));
};
/** The last applied value. */
async function applied(): Promise<unknown> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  const state = JSON.parse((await Body?.transformToString()) ?? "") as {
    resources: { instances: { attributes: { output: { value: unknown } } }[] }[];
  };
  return state.resources[0]?.instances[0]?.attributes.output.value;
}

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  base = mkdtempSync(join(workFolder, "test-github-"));
  folder = join(base, "clone");
  aws = await startLocalAws({
    python: (await pythonEnvironment("aws")).python,
    log: join(base, "local-aws.log"),
  });
  for (const [name, value] of Object.entries({ ...aws.environment, GITHUB_TOKEN: "secret" }))
    vi.stubEnv(name, value);
  s3 = new S3Client({ region: "us-east-1", forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  mkdirSync(join(folder, "scripts"), { recursive: true });
  symlinkSync(join(projectFolder, "node_modules"), join(folder, "node_modules"), "dir");
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, ".gitignore"), "node_modules\ncdktf.out\n");
  writeFileSync(join(folder, "main.ts"), main);
  writeFileSync(join(folder, "scripts/plan.ts"), plan((await findTerraform()).command));
  git("init", "--quiet");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await aws?.stop();
  rmSync(base, { recursive: true, force: true });
});
beforeEach(async () => {
  github?.stop();
  github = await new GitHubServer().start();
});
afterAll(() => github?.stop());

describe("a reviewed plan", () => {
  it("is applied once after the merge, even if the merge commit is different", async () => {
    commit("one");
    expect(await reviewed()).toBe(0);
    expect(github.comments[0]?.body).toContain("value becomes one, token: undefined");
    const squashed = commit("one");
    expect(await merged(squashed)).toBe(0);
    expect(await applied()).toBe("one");
    await expect(merged(squashed)).rejects.toThrow("The state has changed since the plan was reviewed");
    expect(github.asked.some((line) => /issues\/[56]\//.test(line))).toBe(false);
  });

  it("without changes is not applied", async () => {
    expect(await reviewed()).toBe(0);
    expect(github.comments[0]?.body).toContain("has no changes to apply");
    expect(await merged(commit("one"))).toBe(0);
  });

  it("is not applied to files that differ from the planned ones", async () => {
    commit("two");
    await reviewed();
    await expect(merged(commit("three"))).rejects.toThrow("was made from different files");
    expect(await applied()).toBe("one");
  });

  it("is not applied if its object contains another plan", async () => {
    const planned = commit("four");
    await reviewed();
    const hash = /SHA-256 `(\w+)`/.exec(github.comments[0]?.body ?? "")?.[1] ?? "none";
    const { Contents = [] } = await s3.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: `${key}.plans/` }),
    );
    const place = Contents.map(({ Key }) => Key).find((one) => one?.includes(hash));
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: place, Body: "other" }));
    await expect(merged(planned)).rejects.toThrow("is not the reviewed plan");
    expect(await applied()).toBe("one");
  });

  it("does not exist for a commit without a pull request", async () => {
    await expect(apply(step({ commit: commit("five") }))).rejects.toThrow(
      "does not belong to a merged pull request",
    );
  });

  it("is saved if it has a risk, which fails the job unless a label accepts it", async () => {
    commit("risky");
    expect(await reviewed()).toBe(3);
    expect(await reviewed(["bug", "accept the risk"])).toBe(0);
    expect(github.comments).toHaveLength(1);
  });

  it("does not exist if the plan failed, which the comment states", async () => {
    const planned = commit("broken");
    expect(await reviewed()).toBe(1);
    expect(github.comments[0]?.body).toContain("failed with status 1");
    await expect(merged(planned)).rejects.toThrow("no successful plan");
  });
});
