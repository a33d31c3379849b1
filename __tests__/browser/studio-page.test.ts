import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { IAMClient, ListRolesCommand } from "@aws-sdk/client-iam";
import { ListBucketsCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreateProcessingJobCommand,
  CreateUserProfileCommand,
  DeleteUserProfileCommand,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { descendants } from "../../src/cli/process-tree.ts";
import { launchBrowser, newContext } from "../support/browser.ts";
import { type Command, startScript, until } from "../support/command.ts";
import { alive, announced, isUp, ps, runs, start } from "../support/start-command.ts";

const links = [
  ...["awsEndpoint", "awsEnvironment", "exports", "domainId", "spaceName", "jupyterUrl", "gatewayUrl"],
  ...["studioUrl", "jupyterLabUrl", "marimoUrl"],
];
const pictures = join(workFolder, "studio-page");

let rehearsal: Command;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let domainId: string;
let client: {
  region: string;
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
};
/** Errors and warnings of the browser. */
const complaints: string[] = [];
beforeAll(async () => {
  rehearsal = start("--json");
  await until(rehearsal, isUp(rehearsal), 500);
  const { awsEndpoint, awsEnvironment, ...up } = announced(rehearsal);
  domainId = up.domainId;
  client = {
    region: "us-east-1",
    endpoint: awsEndpoint,
    credentials: { accessKeyId: awsEnvironment.AWS_ACCESS_KEY_ID ?? "", secretAccessKey: "test" },
  };
  browser = await launchBrowser();
  context = await newContext(browser);
  page = await context.newPage();
  page.on("pageerror", ({ message }) => complaints.push(message));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(up.studioUrl);
  mkdirSync(pictures, { recursive: true });
});
afterAll(() => browser?.close());

const space = (name: string) => page.locator("#spaces li").filter({ hasText: name });
const state = (name: string, wanted: string) =>
  space(name)
    .locator(".state", { hasText: new RegExp(`^${wanted}$`) })
    .waitFor();
const press = (name: string, button: string) => space(name).getByRole("button", { name: button }).click();
const picture = (name: string) => page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });

it("creates a space, opens marimo in it, stops it and deletes it", async () => {
  await page.getByText(/^On AWS: \$37\.50 per month/).waitFor();
  await page.getByText(/^\d{2,} resources$/).waitFor();
  await page.getByText("No jobs yet.").waitFor();
  expect(await page.getByLabel("New space").inputValue()).toBe("data-scientist-1");
  await page.getByRole("button", { name: "Create and start" }).click();
  await state("data-scientist-1", "starting");
  // The app is not running yet, so its button has no effect.
  await space("data-scientist-1").getByRole("button", { name: "marimo" }).click({ force: true });
  await picture("1280-starting");
  await state("data-scientist-1", "running");
  expect(await page.getByRole("status").textContent()).toBe("Space data-scientist-1: running");
  expect(context.pages()).toHaveLength(1);
  expect(await page.getByLabel("New space").inputValue()).toBe("data-scientist-2");
  await expect
    .poll(() => page.getByRole("textbox", { name: "Log" }).inputValue())
    .toContain("marimo is installed");

  // The space's app and volume are the user's; the network is nobody's.
  await page.getByRole("button", { name: "Count" }).click();
  const costs = page.locator("#costs tbody tr");
  await costs.filter({ hasText: /^data-scientist\s*apps \$\d+\.\d\d/ }).waitFor();
  await costs.filter({ hasText: /^nobody.*other \$\d+\.\d\d/ }).waitFor();
  expect(await costs.locator("svg rect").count()).toBeGreaterThan(1);
  await page.getByText(/^\d{4}-\d\d on AWS: \$\d+\.\d\d, of it \$\d+\.\d\d estimated/).waitFor();

  const opened = context.waitForEvent("page");
  await press("data-scientist-1", "marimo");
  const marimo = await opened;
  await marimo.getByText("01_explore_data.py").waitFor();
  expect(await marimo.evaluate("window.opener")).toBeNull();
  await marimo.close();

  await press("data-scientist-1", "Stop");
  await state("data-scientist-1", "stopped");
  await press("data-scientist-1", "Delete");
  await page.getByRole("button", { name: "Cancel" }).click();
  await press("data-scientist-1", "Delete");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await space("data-scientist-1").waitFor({ state: "detached" });
  expect(complaints).toEqual([]);
});

it("shows an error of AWS and the remedy", async () => {
  const [first] = await page.locator("#spaces .name").allTextContents();
  await page.getByLabel("New space").fill(first ?? "");
  await page.keyboard.press("Enter");
  const problem = page.getByRole("alert").filter({ hasText: "already exists" });
  await problem.waitFor();
  expect(await problem.textContent()).toMatch(/What to do: .*choose another name/);
  await page.getByRole("button", { name: "Dismiss" }).click();
  await problem.waitFor({ state: "hidden" });
  // The browser logs the status of the answer.
  expect(complaints.splice(0)).toEqual([expect.stringContaining("409")]);
});

it("shows jobs with status, log and page, and never their text as HTML", async () => {
  const script = `echo "the log"
cat >"$2/page.html" <<'PAGE'
<!doctype html><title>The page</title><p></p><script>
const say = (text) => { document.querySelector("p").textContent = self.origin + " " + text; };
fetch("/studio/api/overview").then((answer) => say("read " + answer.status), () => say("nothing"));
</script>
PAGE
[[ "$1" == 0 ]] || echo "<img src=x onerror=alert(1)>" >"$3/message"
exit "$1"`;
  for (const status of [0, 3]) await runJob(`job-${status}`, script, status);
  const job = (name: string) => page.locator("#jobs li").filter({ hasText: name });
  await job("job-0").getByText("Completed").waitFor();
  await job("job-3").getByText("Failed").waitFor();
  await job("job-3").getByText("<img src=x onerror=alert(1)>").waitFor();
  expect(await page.locator("#jobs img").count()).toBe(0);

  await job("job-0").getByRole("button", { name: "Log" }).click();
  await expect.poll(() => page.getByRole("textbox", { name: "Log" }).inputValue()).toBe("the log");
  const opened = context.waitForEvent("page");
  await job("job-0").getByRole("link", { name: "Page" }).click();
  const result = await opened;
  // Control: a script of the page's own origin can read the API.
  await result.getByText("null nothing").waitFor();
  expect(await page.evaluate("fetch('/studio/api/overview').then(({ status }) => status)")).toBe(200);
  await result.close();
  await page.getByText(/^\d{2,} resources$/).click();
  await picture("1280-jobs");
  expect(complaints).toEqual([]);
});

it("fits 400 px, and signs in as another user profile", async () => {
  const sagemaker = new SageMakerClient(client);
  const grace = { DomainId: domainId, UserProfileName: "grace" };
  await sagemaker.send(new CreateUserProfileCommand(grace));
  await page.setViewportSize({ width: 400, height: 800 });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.getByRole("button", { name: "grace" }).waitFor();
  await picture("400-dark");
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(400);
  // Works as soon as the profile is in service.
  await expect
    .poll(
      async () => {
        await page.getByRole("button", { name: "grace" }).click();
        return page.url();
      },
      { interval: 1000 },
    )
    .toMatch(/\/grace$/);
  await page.getByText("No spaces yet. Create one below.").waitFor();
  await picture("400-empty");
  await sagemaker.send(new DeleteUserProfileCommand(grace));
});

it("passes npm run verify, and an interrupt destroys everything and leaves nothing", async () => {
  expect(Object.keys(announced(rehearsal))).toEqual(links);
  const { awsEndpoint, awsEnvironment, jupyterUrl, gatewayUrl, domainId, jupyterLabUrl } =
    announced(rehearsal);
  expect((await fetch(`${jupyterUrl}/api`)).status).toBe(200);
  const api = `${gatewayUrl}/jupyterlab/default/api`;
  expect((await fetch(api)).status).toBe(403);
  const signIn = await fetch(jupyterLabUrl, { redirect: "manual" });
  const [cookie = ""] = (signIn.headers.get("set-cookie") ?? "").split(";");
  expect((await fetch(api, { headers: { cookie } })).status).toBe(200);
  const verify = startScript("verify", [], {
    ...process.env,
    ...awsEnvironment,
  });
  expect(await verify.status, verify.output.stderr).toBe(0);
  expect(verify.output.stderr).toContain("✓ reload and continue editing");
  const inventory = (await (await fetch(`${awsEndpoint}/local-aws/inventory`)).json()) as string[];
  expect(inventory.filter((line) => line.includes(domainId)).length).toBeGreaterThan(0);
  expect(inventory.filter((line) => line.includes("verify-"))).toEqual([]);

  const pids = descendants(await ps(), Number(rehearsal.child.pid)).map(({ pid }) => pid);
  expect(pids.length).toBeGreaterThan(3);
  rehearsal.child.kill("SIGINT");
  expect(await rehearsal.status, rehearsal.output.stderr).toBe(0);
  expect(rehearsal.output.stderr).toContain("✓ check that nothing is left");
  expect(await alive(pids)).toEqual([]);
  expect(runs(rehearsal)).toEqual([]);
});

/** Runs a job with the stack's role and a shell script that exits with a status. */
async function runJob(ProcessingJobName: string, script: string, status: number): Promise<void> {
  const s3 = new S3Client(client);
  const { Buckets = [] } = await s3.send(new ListBucketsCommand({}));
  const Bucket = Buckets.find(({ Name }) => Name?.startsWith("marimo-dev"))?.Name;
  const { Roles = [] } = await new IAMClient(client).send(new ListRolesCommand({}));
  const role = Roles.find(({ AssumeRolePolicyDocument }) =>
    decodeURIComponent(AssumeRolePolicyDocument ?? "").includes("sagemaker.amazonaws.com"),
  );
  await s3.send(new PutObjectCommand({ Bucket, Key: `source/${ProcessingJobName}/run.sh`, Body: script }));
  await new SageMakerClient(client).send(
    new CreateProcessingJobCommand({
      ProcessingJobName,
      RoleArn: role?.Arn,
      AppSpecification: {
        ImageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:tag",
        ContainerEntrypoint: ["/bin/bash", "/opt/ml/processing/input/source/run.sh"],
        ContainerArguments: [String(status), "/opt/ml/processing/output", "/opt/ml/output"],
      },
      ProcessingResources: {
        ClusterConfig: { InstanceCount: 1, InstanceType: "ml.m5.large", VolumeSizeInGB: 30 },
      },
      ProcessingInputs: [
        {
          InputName: "source",
          S3Input: {
            S3Uri: `s3://${Bucket}/source/${ProcessingJobName}/`,
            LocalPath: "/opt/ml/processing/input/source",
            S3DataType: "S3Prefix",
            S3InputMode: "File",
          },
        },
      ],
      ProcessingOutputConfig: {
        Outputs: [
          {
            OutputName: "result",
            S3Output: {
              S3Uri: `s3://${Bucket}/shared/jobs/${ProcessingJobName}`,
              LocalPath: "/opt/ml/processing/output",
              S3UploadMode: "EndOfJob",
            },
          },
        ],
      },
    }),
  );
}
