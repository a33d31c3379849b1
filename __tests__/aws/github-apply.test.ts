import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { labelOf } from "../../src/github/acceptances.ts";
import { GitHub } from "../../src/github/api.ts";
import { apply } from "../../src/github/apply.ts";
import type { JobContext } from "../../src/github/context.ts";
import { plan } from "../../src/github/plan.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { resolveEnvironment } from "../../src/settings/environment.ts";
import { GitHubServer } from "../support/github-server.ts";

const bucket = "our-state";
const key = "dev.tfstate";
const environment = resolveEnvironment({ name: "dev", backend: { type: "s3", bucket, key } });

let aws: LocalAws;
let s3: S3Client;
let github: GitHubServer;
let base: string;

/**
 * Writes what the first job synthesizes: a stack with a value that needs no provider, and the reviewed type of a bucket,
 * whose removal is a risk.
 */
function synthesized(value: string, withBucket = false): void {
  mkdirSync(join(base, "stacks/dev"), { recursive: true });
  const backend = { bucket, key, region: "us-east-1", use_lockfile: true, use_path_style: true };
  const s3Bucket = { aws_s3_bucket: { work: { bucket: "our-work" } } };
  writeFileSync(
    join(base, "stacks/dev/cdk.tf.json"),
    JSON.stringify({
      terraform: {
        backend: { s3: backend },
        required_providers: { aws: { source: "aws", version: "~> 5.100" } },
      },
      provider: { aws: [{ region: "us-east-1", s3_use_path_style: true }] },
      resource: { terraform_data: { value: { input: value } }, ...(withBucket ? s3Bucket : {}) },
    }),
  );
}

let context: JobContext;
/** A new run. */
const run = (runId: string, changed: Partial<JobContext> = {}) => {
  const [summary, outputs] = [join(base, "summary.md"), join(base, "outputs")];
  for (const file of [summary, outputs]) writeFileSync(file, "");
  const api = { apiUrl: github.url, repository: "our/team", token: "secret", retryMilliseconds: 1 };
  context = {
    github: new GitHub(api),
    event: "push",
    commit: "abc",
    runId,
    pullRequest: undefined,
    summary,
    outputs,
    ...changed,
  };
};
const step = () => ({ environment, context, output: base, signal: new AbortController().signal });
const outputOf = () => /^sha256=(\w{64})$/m.exec(readFileSync(context.outputs, "utf8"))?.[1];
const summary = () => readFileSync(context.summary, "utf8");

/** The last applied value. */
async function applied(): Promise<unknown> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  const state = JSON.parse((await Body?.transformToString()) ?? "") as {
    resources: { type: string; instances: { attributes: { output: { value: unknown } } }[] }[];
  };
  return state.resources.find(({ type }) => type === "terraform_data")?.instances[0]?.attributes.output.value;
}

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  base = mkdtempSync(join(workFolder, "test-github-"));
  aws = await startLocalAws({
    python: (await pythonEnvironment("aws")).python,
    log: join(base, "local-aws.log"),
  });
  for (const [name, value] of Object.entries(aws.environment)) vi.stubEnv(name, value);
  s3 = new S3Client({ region: "us-east-1", forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
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

describe("a run on the main branch", () => {
  it("applies exactly its own plan, with the review in its summary", async () => {
    synthesized("one", true);
    run("1");
    expect(await plan(step())).toBe(0);
    expect(summary()).toContain("# Plan review: `dev`");
    expect(summary()).toMatch(
      /```bash\ngh api repos\/our\/team\/actions\/runs\/1\/pending_deployments .*\n```\n$/,
    );
    const sha256 = outputOf() ?? "";
    expect(await apply({ ...step(), sha256 })).toBe(0);
    expect(await applied()).toBe("one");
  });

  it("has nothing to apply without changes", async () => {
    run("2");
    expect(await plan(step())).toBe(0);
    expect(outputOf()).toBeUndefined();
    expect(summary()).toContain("No changes.");
    expect(summary()).not.toContain("## Apply");
  });

  it("does not apply its plan after another apply", async () => {
    synthesized("two", true);
    run("3");
    await plan(step());
    const stale = { ...step(), sha256: outputOf() ?? "" };
    run("4");
    await plan(step());
    expect(await apply({ ...step(), sha256: outputOf() ?? "" })).toBe(0);
    await expect(apply(stale)).rejects.toThrow("The state has changed since the plan was reviewed");
    expect(await applied()).toBe("two");
  });

  it("applies neither another run's plan nor one whose object was replaced", async () => {
    synthesized("three", true);
    run("5");
    await plan(step());
    const sha256 = outputOf() ?? "";
    await expect(apply({ ...step(), context: { ...context, runId: "6" }, sha256 })).rejects.toThrow(
      "does not exist",
    );
    const { Contents = [] } = await s3.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: `${key}.plans/5/` }),
    );
    expect(Contents).toHaveLength(1);
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: Contents[0]?.Key, Body: "other" }));
    await expect(apply({ ...step(), sha256 })).rejects.toThrow("is not the reviewed plan");
    expect(await applied()).toBe("two");
  });

  it("stops at a risk until a label on the merged pull request accepts it, with who and when", async () => {
    const merge = { number: 7, merged_at: "2026-01-01T00:00:00Z", merge_commit_sha: "abc" };
    github.pulls.set("abc", [merge]);
    synthesized("three");
    run("7");
    expect(await plan(step())).toBe(3);
    expect(outputOf()).toBeUndefined();
    const risk = /Stops the apply:\*\* `([^`]+)`/.exec(summary())?.[1] ?? "";
    expect(risk).toMatch(/:work$/);
    expect(summary()).toContain(
      `gh pr edit 7 --add-label 'accept ${risk}' --repo our/team\ngh run rerun 7 --failed`,
    );
    const written = (extension: string) =>
      JSON.parse(readFileSync(join(base, `plan/dev.${extension}`), "utf8"));
    expect(written("json").risks).toMatchObject([{ name: risk, accepted: false }]);
    expect(written("sarif").runs[0].results).toMatchObject([{ level: "error" }]);
    github.label(7, "labeled", "ana", labelOf(risk));
    run("7");
    expect(await plan(step())).toBe(0);
    expect(summary()).toContain(`Accepted: \`${risk}\` by @ana at 2026-01-01T00:00:01Z, with a label on #7`);
    expect(await apply({ ...step(), sha256: outputOf() ?? "" })).toBe(0);
    expect(await applied()).toBe("three");
  });
});

it("informs a pull request, and saves no plan", async () => {
  synthesized("four");
  run("8", { event: "pull_request", pullRequest: 7 });
  expect(await plan(step())).toBe(0);
  expect(summary()).toContain("# Plan review");
  expect(outputOf()).toBeUndefined();
  const { Contents = [] } = await s3.send(
    new ListObjectsV2Command({ Bucket: bucket, Prefix: `${key}.plans/8/` }),
  );
  expect(Contents).toEqual([]);
});

it("fails at night if AWS differs from the main branch", async () => {
  run("9", { event: "schedule" });
  expect(await plan(step())).toBe(4);
  expect(outputOf()).toBeUndefined();
});
