import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import {
  DescribeProcessingJobCommand,
  ListProcessingJobsCommand,
  type ProcessingJobSummary,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { patience } from "../support/patience.ts";
import type { StackFixture } from "../support/stack-fixture.ts";
import { StackWithApps } from "../support/stack-with-apps.ts";

const notebook = `import marimo

app = marimo.App()


@app.cell
def _():
    from pathlib import Path

    import marimo as mo
    from helpers import answer

    assert "--fail" not in str(mo.cli_args()) and not mo.cli_args().get("fail"), "failed as requested"
    Path("result.csv").write_text(f"answer\\n{answer}\\n")
    mo.md(f"the answer is {answer}")
    return


if __name__ == "__main__":
    app.run()
`;
const schedule = (name: string, more = "") =>
  `{ name: "${name}", notebook: "reports/daily.py", files: ["helpers.py"], expression: "cron(0 7 1 1 ? 2099)"${more} }`;
const settings = `userProfiles: [{ name: "ana" }], homeFileSystemRetention: "Delete", jobs: { alertAddresses: ["team@example.com"] },
  schedules: [${schedule("daily")}, ${schedule("broken", ', arguments: ["--fail", "1"]')}]`;

let fixture: StackFixture;
let running: StackWithApps;
let s3: S3Client;
beforeAll(async () => {
  const project = copyProject(`[{ name: "dev", ${settings} }]`);
  mkdirSync(join(project.folder, "reports"));
  writeFileSync(join(project.folder, "reports/daily.py"), notebook);
  writeFileSync(join(project.folder, "reports/helpers.py"), "answer = 42\n");
  running = await StackWithApps.start({ project });
  ({ fixture } = running);
  s3 = new S3Client(fixture.client);
  await fixture.apply();
});
afterAll(async () => {
  await running?.stop();
});

/** Runs the image's AWS CLI as an administrator of this deployment. */
async function aws(...args: string[]): Promise<string> {
  const { prefix } = await pythonEnvironment("image");
  const environment = { ...fixture.environment, AWS_DEFAULT_REGION: "us-east-1" };
  const result = await capture(
    join(prefix, "bin/aws"),
    [...args, "--output", "text", "--endpoint-url", fixture.localAws.endpoint],
    { env: environment },
  );
  if (result?.status !== 0) throw new Error(result?.stderr);
  return result.stdout.trim();
}

/** Triggers a schedule, and waits until its job ends. */
async function fire(name: string): Promise<ProcessingJobSummary & { output: string }> {
  const fired = await fixture.localAws.fireSchedule(name, "marimo-dev");
  expect(fired).toHaveProperty("ProcessingJobArn");
  for (const deadline = Date.now() + patience; Date.now() < deadline; await sleep(200)) {
    const { ProcessingJobSummaries = [] } = await fixture.sagemaker.send(
      new ListProcessingJobsCommand({ NameContains: `marimo-dev-${name}-`, SortOrder: "Descending" }),
    );
    const [job] = ProcessingJobSummaries;
    if (job && !["InProgress", "Stopping"].includes(job.ProcessingJobStatus ?? ""))
      return { ...job, output: `shared/jobs/${job.ProcessingJobName}` };
  }
  throw new Error(`the job of ${name} did not end`);
}

const bucket = () => fixture.output("artifact_bucket");
const get = async (key: string) =>
  (await s3.send(new GetObjectCommand({ Bucket: await bucket(), Key: key }))).Body?.transformToString();

describe("a scheduled notebook", () => {
  it("runs with the settings of the deployed stack, and saves its page and files", async () => {
    const job = await fire("daily");
    const described = await fixture.sagemaker.send(
      new DescribeProcessingJobCommand({ ProcessingJobName: job.ProcessingJobName }),
    );
    expect(job.ProcessingJobStatus, JSON.stringify(described)).toBe("Completed");
    expect(await get(`${job.output}/files/result.csv`)).toBe("answer\n42\n");
    expect(await get(`${job.output}/page.html`)).toContain("the answer is 42");
    expect(described.RoleArn).toMatch(/role\/marimo-dev-jobs$/);
    expect(described.NetworkConfig?.VpcConfig?.Subnets).toHaveLength(2);
  });

  it("sends an alert to the topic only if it fails", async () => {
    const topic = await fixture.output("job_alert_topic_arn");
    const queue = await aws("sqs", "create-queue", "--queue-name", "alerts", "--query", "QueueUrl");
    const arn = "arn:aws:sqs:us-east-1:123456789012:alerts";
    await aws("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", arn);
    const received = () => aws("sqs", "receive-message", "--queue-url", queue, "--query", "Messages[].Body");
    await fire("daily");
    expect(await received()).toBe("None");

    const job = await fire("broken");
    expect(job.ProcessingJobStatus).toBe("Failed");
    await expect.poll(received).toContain(job.ProcessingJobName);
    expect(await get(`${job.output}/page.html`)).toContain("failed as requested");
  });

  it("can also be started with marimo-job, with the settings of the stack", async () => {
    const { python } = await pythonEnvironment("image");
    const reports = join(fixture.folder, "reports");
    const script = join(fixture.folder, "src/space/payload/python/sagemaker_marimo/jobs/command.py");
    const environment = {
      HOME: reports,
      MARIMO_BUCKET: await bucket(),
      MARIMO_USER: "ana",
      AWS_REGION: "us-east-1",
    };
    const { code, output } = await fixture.run(
      python,
      ["-B", script, "run", "daily.py", "--output", reports],
      reports,
      environment,
    );
    expect(code, output).toBe(0);
    const [folder = ""] = readdirSync(reports).filter((name) => name.startsWith("marimo-dev-ana-daily-"));
    expect(readFileSync(join(reports, folder, "files/result.csv"), "utf8")).toBe("answer\n42\n");
    const refused = await fixture.run(python, ["-B", script, "run", "none.py"], reports, environment);
    expect([refused.code, refused.output]).toEqual([2, expect.stringContaining("none.py does not exist")]);
  });

  it("is updated with the changes of the project, and the second plan is empty", async () => {
    const empty = await fixture.terraform(["plan", "-no-color", "-detailed-exitcode"]);
    expect(empty.code, empty.output).toBe(0);
  });

  it("is destroyed with the stack, including its queue, topic and rule", async () => {
    const { Contents = [] } = await s3.send(
      new ListObjectsV2Command({ Bucket: await bucket(), Prefix: "marimo/schedules/" }),
    );
    // Of each of the two: the notebook, its module and the list of both.
    expect(Contents.length).toBe(6);
    const ended = await fixture.destroy({
      SAGEMAKER_MARIMO_DELETE_WORK_IN: await fixture.output("studio_domain_id"),
    });
    expect(ended.code, ended.output).toBe(0);
    const left = await fixture.localAws.inventory();
    expect(left.filter((line) => !/^(kms key|efs file-system|sqs .*alerts)/.test(line))).toEqual([]);
  });
});
