import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { CreateVpcCommand, EC2Client } from "@aws-sdk/client-ec2";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { ListUserProfilesCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import type { EnvironmentSettings } from "../../src/settings/environment.ts";
import { Clone } from "../support/clone-fixture.ts";
import { type Command, startScript, until } from "../support/command.ts";

interface Announced {
  readonly awsEnvironment: Readonly<Record<string, string>>;
  readonly domainId: string;
  readonly exports: string;
}

const settings: EnvironmentSettings = {
  ...{ name: "dev", homeFileSystemRetention: "Delete", sampleNotebooks: false },
  userProfiles: [{ name: "ana" }],
};
const people = (...names: string[]) => ({ ...settings, userProfiles: names.map((name) => ({ name })) });

let project: Clone;
let folder: string;
let running: Command[];
beforeEach(() => {
  project = new Clone(settings);
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-rehearsal-"));
  running = [];
});
afterEach(async () => {
  for (const { child, status } of running) {
    if (child.exitCode === null) child.kill("SIGKILL");
    await status;
  }
  project.remove();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

async function start(...args: string[]): Promise<Command & Announced> {
  const command = startScript("start", ["--json", ...args], process.env, project.folder);
  running.push(command);
  await until(command, () => command.output.stdout.includes("\n"), 500);
  return { ...command, ...(JSON.parse(command.output.stdout) as Announced) };
}

async function end({ child, status, output }: Command): Promise<void> {
  child.kill("SIGINT");
  expect(await status, output.stderr).toBe(0);
}

const plan = () => project.run("scripts/plan.ts", ["--rehearsal"]);
const apply = (...args: string[]) => project.run("scripts/apply.ts", ["--rehearsal", ...args]);
/** Runs a command in a shell with the exports, which was configured for another AWS account. */
const shell = ({ exports }: Announced, command: string) =>
  capture("sh", ["-c", `. '${exports}' && ${command}`], {
    cwd: project.folder,
    env: { ...process.env, AWS_PROFILE: "production", AWS_ENDPOINT_URL_S3: "http://127.0.0.1:9", CI: "1" },
    timeout: 300_000,
  });

const settingsOf = ({ awsEnvironment }: Announced) => ({
  region: "us-east-1",
  endpoint: awsEnvironment.AWS_ENDPOINT_URL ?? "",
  credentials: {
    accessKeyId: awsEnvironment.AWS_ACCESS_KEY_ID ?? "",
    secretAccessKey: awsEnvironment.AWS_SECRET_ACCESS_KEY ?? "",
  },
});

async function profiles(announced: Announced): Promise<readonly string[]> {
  const client = new SageMakerClient(settingsOf(announced));
  const { UserProfiles } = await client.send(new ListUserProfilesCommand());
  return (UserProfiles ?? []).flatMap(({ UserProfileName }) => UserProfileName ?? []).sort();
}

/** Creates what other terminals' stacks would: a part of the environment stage, and a queue of another project. */
async function deployOthers(announced: Announced): Promise<void> {
  const client = settingsOf(announced);
  const own = { Project: "sagemaker-marimo", Environment: "stage" };
  const Tags = Object.entries(own).map(([Key, Value]) => ({ Key, Value }));
  await new EC2Client(client).send(
    new CreateVpcCommand({
      CidrBlock: "10.1.0.0/16",
      TagSpecifications: [{ ResourceType: "vpc", Tags }],
    }),
  );
  const trust = {
    Effect: "Allow",
    Principal: { Service: "sagemaker.amazonaws.com" },
    Action: "sts:AssumeRole",
  };
  const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [trust] });
  const role = { RoleName: "marimo-stage-execution", AssumeRolePolicyDocument, Tags };
  await new IAMClient(client).send(new CreateRoleCommand(role));
  await new SQSClient(client).send(new CreateQueueCommand({ QueueName: "another-stack" }));
}

/** Holds Terraform's lock of a local state, like an apply, until it is killed. */
async function lock(state: string) {
  const { python } = await pythonEnvironment("aws");
  const info = { ID: "1", Operation: "OperationTypeApply", Who: "ana", Version: "1", Path: state };
  writeFileSync(join(dirname(state), `.${basename(state)}.lock.info`), JSON.stringify(info));
  const source =
    "import fcntl, sys, time; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(600)";
  const locking = spawn(python, ["-c", source, state], { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve) => locking.stdout.once("data", resolve));
  return () => locking.kill("SIGKILL");
}

describe("a running rehearsal", () => {
  it("accepts a change from another terminal, and continues with it at the next start with --keep", async () => {
    const kept = join(folder, "kept");
    const first = await start("--keep", kept);
    project.settings = people("ana", "bo");
    const planned = await plan();
    expect(planned.status, planned.stderr).toBe(4);
    expect(planned.stdout).toContain("- add user profile `bo`");
    const unconfirmed = await apply();
    expect(unconfirmed.status).toBe(1);
    expect(unconfirmed.stderr).toContain(
      "Confirmation needs a terminal, and there is none: nothing was applied.",
    );
    // Control: neither command has applied anything.
    expect(await profiles(first)).toEqual(["ana"]);
    // The review ends with the command.
    const command = /\n(npm run apply -- --rehearsal --run \S+)\n```\n\n$/.exec(planned.stdout)?.[1];
    const options = { cwd: project.folder, timeout: 300_000 };
    const applied = await capture("bash", ["-c", `${command} --yes`], options);
    expect(applied?.status, applied?.stderr).toBe(0);
    expect(await profiles(first)).toEqual(["ana", "bo"]);

    project.settings = people("ana", "bo", "cy");
    const deployed = await shell(first, "npx cdktf deploy dev --auto-approve");
    expect(deployed?.status, `${deployed?.stdout}${deployed?.stderr}`).toBe(0);
    expect(await profiles(first)).toEqual(["ana", "bo", "cy"]);
    // It leaves nothing in the place that a deployment to AWS uses.
    expect(readdirSync(project.folder).filter((name) => /cdktf\.out|tfstate/.test(name))).toEqual([]);

    const { python } = await pythonEnvironment("image");
    const source = "from sagemaker_marimo.jobs.command import main; main()";
    const run = `PYTHONPATH=src/space/payload/python '${python}' -c '${source}' run`;
    writeFileSync(join(project.folder, "analysis.py"), "import marimo\napp = marimo.App()\n");
    const job = await shell(first, `PATH='${dirname(python)}':"$PATH" ${run} analysis.py --dry-run`);
    expect(job?.status, job?.stderr).toBe(0);
    expect(job?.stdout).toContain("marimo-dev-ana-analysis-");

    const second = await project.run("scripts/start.ts", ["--keep", kept]);
    expect(second.status).toBe(1);
    expect(second.stderr).toContain(`is in use by a running rehearsal (process ${first.child.pid})`);

    const home = join(kept, "spaces", first.domainId, "rehearsal/home");
    // The space may not have created it yet.
    mkdirSync(join(home, "marimo-notebooks"), { recursive: true });
    writeFileSync(join(home, "marimo-notebooks/mine.py"), "# mine\n");
    await end(first);
    expect(first.output.stderr).not.toContain("destroy the stack");
    const nobody = await plan();
    expect(nobody.status).toBe(1);
    expect(nobody.stderr).toContain("No rehearsal is running");

    const again = await start("--keep", kept);
    expect(again.domainId).toBe(first.domainId);
    expect(again.output.stderr).not.toContain("create a space");
    expect(await profiles(again)).toEqual(["ana", "bo", "cy"]);
    expect(readFileSync(join(home, "marimo-notebooks/mine.py"), "utf8")).toBe("# mine\n");
    const empty = await plan();
    expect(empty.status, empty.stdout + empty.stderr).toBe(0);
    await end(again);
  }, 1_200_000);

  it("destroys the applied resources after other Terraform runs, even if the settings have changed", async () => {
    project.settings = people("ana", "bo");
    const rehearsal = await start();
    project.settings = people("ana");
    // A plan with a risk that was not accepted is not applied, even with --yes.
    const refused = await apply("--yes");
    expect(refused.status, refused.stderr).toBe(3);
    expect(await profiles(rehearsal)).toEqual(["ana", "bo"]);
    const names = [...refused.stdout.matchAll(/`--accept (\S+)`/g)].flatMap(([, name = ""]) => name);
    expect(names).toEqual(["replaced-user-profile:studio_profiles.bo"]);
    const applied = await apply("--yes", "--accept", names[0] ?? "");
    expect(applied.status, applied.stderr).toBe(0);
    expect(await profiles(rehearsal)).toEqual(["ana"]);

    writeFileSync(join(project.folder, "src/environments.ts"), "this is being edited");
    const run = dirname(rehearsal.exports);
    const unlock = await lock(join(run, "terraform.tfstate"));
    rehearsal.child.kill("SIGINT");
    const log = join(run, "logs/destroy.log");
    const waits = () => existsSync(log) && readFileSync(log, "utf8").includes("Acquiring state lock");
    await until(rehearsal, waits);
    unlock();
    expect(await rehearsal.status, rehearsal.output.stderr).toBe(0);
    expect(rehearsal.output.stderr).toContain("✓ check that nothing is left");
  }, 900_000);

  it("says what is left after Ctrl-C and whose it is, keeps the logs and fails", async () => {
    const rehearsal = await start();
    await deployOthers(rehearsal);
    rehearsal.child.kill("SIGINT");
    expect(await rehearsal.status, rehearsal.output.stderr).toBe(1);
    const { stderr } = rehearsal.output;
    expect(stderr).toContain("✗ check that nothing is left");
    const left = stderr.slice(stderr.indexOf("3 resources are left in the local AWS."));
    expect(left).toMatch(/^Of "stage", which was deployed in this rehearsal too/m);
    expect(left).toMatch(/^ {2}iam role marimo-stage-execution$/m);
    expect(left).toMatch(/^ {2}ec2 vpc vpc-\w+$/m);
    expect(left).toMatch(/^Created by other stacks.*\n {2}sqs queue another-stack$/m);
    expect(left).not.toContain('Of "dev"');
    const logs = /All logs: (\S+)/.exec(left)?.[1] ?? "";
    expect(readdirSync(logs)).toEqual(expect.arrayContaining(["deploy.log", "destroy.log", "local-aws.log"]));
    rmSync(logs, { recursive: true });
  }, 900_000);
});
