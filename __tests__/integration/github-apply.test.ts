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
import { GitHub } from "../../scripts/github/api.ts";
import { apply } from "../../scripts/github/apply.ts";
import { review } from "../../scripts/github/review.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { projectFolder, workFolder } from "../../src/local-studio/paths.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { findTerraform } from "../../src/local-studio/terraform-cli.ts";
import { resolveEnvironment } from "../../src/settings/resolve.ts";
import { GitHubServer } from "../github-server.ts";

const bucket = "our-state";
const key = "dev.tfstate";
const environment = resolveEnvironment({ name: "dev", backend: { type: "s3", bucket, key } });

/** A project of one resource that needs no provider: what is tested is whose plan is applied, not the stack. */
const main = `
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
mkdirSync("cdktf.out/stacks/dev", { recursive: true });
writeFileSync("cdktf.out/stacks/dev/cdk.tf.json", JSON.stringify({
  terraform: { backend: { s3: { bucket: "${bucket}", key: "${key}", region: "us-east-1", use_lockfile: true, use_path_style: true } } },
  resource: { terraform_data: { value: { input: readFileSync("value.txt", "utf8") } } },
}));
`;
/** \`npm run plan\` for it: the same options and exit statuses. */
const plan = (terraform: string) => `
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
await import("../main.ts");
const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const terraform = (...args) => spawnSync("${terraform}", args, { cwd: "cdktf.out/stacks/dev", stdio: "inherit" }).status;
const value = readFileSync("value.txt", "utf8");
terraform("init", "-input=false");
const status = value === "broken" ? 1 : terraform("plan", "-input=false", "-detailed-exitcode", "-out=" + option("--save"));
writeFileSync(option("--out"), "value becomes " + value + ", token: " + process.env.GITHUB_TOKEN);
const risky = value === "risky" && !(process.argv.includes("--accept") && option("--accept") === "the risk");
process.exitCode = status === 2 && risky ? 3 : status;
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
/** What was applied last. */
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
  it("is applied after the merge, though the merge has another commit, and only once", async () => {
    commit("one");
    expect(await reviewed()).toBe(0);
    expect(github.comments[0]?.body).toContain("value becomes one, token: undefined");
    const squashed = commit("one");
    expect(await merged(squashed)).toBe(0);
    expect(await applied()).toBe("one");
    await expect(merged(squashed)).rejects.toThrow("The state has changed since the plan was reviewed");
    expect(github.asked.some((line) => /issues\/[56]\//.test(line))).toBe(false);
  });

  it("changes nothing where nothing is to change", async () => {
    expect(await reviewed()).toBe(0);
    expect(github.comments[0]?.body).toContain("nothing to apply");
    expect(await merged(commit("one"))).toBe(0);
  });

  it("is not applied to other files than those that were planned", async () => {
    commit("two");
    await reviewed();
    await expect(merged(commit("three"))).rejects.toThrow("is of other files");
    expect(await applied()).toBe("one");
  });

  it("is not applied when another plan lies in its place", async () => {
    const planned = commit("four");
    await reviewed();
    const hash = /SHA-256 `(\w+)`/.exec(github.comments[0]?.body ?? "")?.[1] ?? "none";
    const { Contents = [] } = await s3.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: `${key}.plans/` }),
    );
    const place = Contents.map(({ Key }) => Key).find((one) => one?.includes(hash));
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: place, Body: "other" }));
    await expect(merged(planned)).rejects.toThrow("is not the plan that was reviewed");
    expect(await applied()).toBe("one");
  });

  it("is not there for a commit without a pull request", async () => {
    await expect(apply(step({ commit: commit("five") }))).rejects.toThrow("came without a pull request");
  });

  it("is kept with a risk, which fails the job unless a label accepts it", async () => {
    commit("risky");
    expect(await reviewed()).toBe(3);
    expect(await reviewed(["bug", "accept the risk"])).toBe(0);
    expect(github.comments).toHaveLength(1);
  });

  it("is not there when the plan failed, and the comment says so", async () => {
    const planned = commit("broken");
    expect(await reviewed()).toBe(1);
    expect(github.comments[0]?.body).toContain("failed with status 1");
    await expect(merged(planned)).rejects.toThrow("no plan that succeeded");
  });
});
