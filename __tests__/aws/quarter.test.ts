import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import {
  AuthorizeSecurityGroupIngressCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { ListDomainsCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, it } from "vitest";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { leaveOutLifecycleRules } from "../../src/local-studio/lifecycle-rules.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { consentVariable } from "../../src/removal/guard.ts";
import { artifactBucketName } from "../../src/settings/basics.ts";
import type { EnvironmentSettings } from "../../src/settings/environment.ts";
import { Clone } from "../support/clone-fixture.ts";
import { makeSpace } from "../support/studio-work.ts";

/** A quarter of a platform engineer, in this order. Each step starts from what the one before left. */
const [account, otherAccount] = ["123456789012", "222233334444"];
const stateBucket = "our-terraform-state";
const stateKey = "sagemaker-marimo/dev.tfstate";
const guardRails: EnvironmentSettings["guardRails"] = {
  budget: { monthlyUsd: 100, alertAddresses: ["ops@example.com"], stopAtPercent: 100 },
};
const dev: EnvironmentSettings = {
  name: "dev",
  account,
  homeFileSystemRetention: "Delete",
  userProfiles: [{ name: "ana" }, { name: "bo" }],
  guardRails,
};
const stage: EnvironmentSettings = {
  name: "stage",
  vpcCidr: "10.1.0.0/16",
  homeFileSystemRetention: "Delete",
  userProfiles: [{ name: "ana" }],
};
const withoutBo: EnvironmentSettings = { ...dev, userProfiles: [{ name: "ana" }, { name: "cy" }] };
const inS3: EnvironmentSettings = { ...withoutBo, backend: { type: "s3", bucket: stateBucket } };

let project: Clone;
let localAws: LocalAws;
let environment: NodeJS.ProcessEnv;
let terraform: string;
let s3: S3Client;
let domainId: string;
const bucket = artifactBucketName({ prefix: "marimo-dev", account, region: "us-east-1" });

const path = (file: string) => join(project.folder, file);
const npmRun = (script: string, ...args: string[]) => project.run(`scripts/${script}.ts`, args, environment);
const plan = (name: string, ...args: string[]) => npmRun("plan", "--environment", name, ...args);
const reviewJson = (name: string) => JSON.parse(readFileSync(path(`cdktf.out/plan/${name}.json`), "utf8"));
const risksOf = (name: string): string[] => reviewJson(name).risks.map((risk: { name: string }) => risk.name);

/** Runs the command that the last review ends with. */
const apply = async (name: string) => {
  const args: string[] = reviewJson(name).apply.split(" ").slice(4);
  return npmRun("apply", ...args);
};

/** Plans and applies, with the accepted risks that the review names. */
async function deploy(name: string): Promise<void> {
  const reviewed = await plan(name);
  expect([3, 4], reviewed.stderr).toContain(reviewed.status);
  const applied = await apply(name);
  expect(applied.status, applied.stdout + applied.stderr).toBe(0);
}

async function expectNoChanges(name: string): Promise<void> {
  const { status, stdout, stderr } = await plan(name);
  expect(status, stdout + stderr).toBe(0);
  expect(stdout).toContain("No changes.");
}

/** Runs `marimo-backup` in a space of ana, whose settings start.sh has written. */
async function marimoBackup(home: string, space: string, ...args: readonly string[]) {
  const { python } = await pythonEnvironment("image");
  const state = join(home, ".local/share/sagemaker-marimo");
  mkdirSync(state, { recursive: true });
  const settings = `MARIMO_BUCKET=${bucket}\nMARIMO_PREFIX=s3://${bucket}/people/ana\nMARIMO_REGION=us-east-1\n`;
  writeFileSync(join(state, "space.env"), settings);
  const metadata = path(`${space}.json`);
  writeFileSync(metadata, JSON.stringify({ SpaceName: space }));
  const command = path("src/space/payload/python/sagemaker_marimo/backup/command.py");
  const env = { ...process.env, ...environment, HOME: home, SAGEMAKER_RESOURCE_METADATA: metadata };
  const ended = await capture(python, ["-B", command, ...args], { env, timeout: 60_000 });
  if (ended === undefined) throw new Error(`${python} could not be started.`);
  return ended;
}

beforeAll(async () => {
  project = new Clone(dev, stage);
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: path("local-aws.log") });
  s3 = new S3Client({ ...localAws.clientSettings(), forcePathStyle: true });
  terraform = (await findTerraform()).command;
  environment = {
    ...(await terraformEnvironment({ command: terraform, runFolder: project.folder })),
    ...localAws.environment,
  };
  const synthesis = await project.run("main.ts");
  expect(synthesis.status, synthesis.stderr).toBe(0);
  for (const { name } of [dev, stage]) leaveOutLifecycleRules(project.stackOf(name));
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
});

it("deploys two environments, each by the command that its review ends with", async () => {
  for (const { name } of [dev, stage]) await deploy(name);
  const { Domains } = await new SageMakerClient(localAws.clientSettings()).send(new ListDomainsCommand({}));
  domainId = Domains?.find(({ DomainName }) => DomainName === "marimo-dev")?.DomainId ?? "";
  expect(domainId).toMatch(/^d-/);
});

it("adds a person, and removes one whose space is in the way only after that is said and cleared", async () => {
  const sagemaker = new SageMakerClient(localAws.clientSettings());
  await makeSpace({ sagemaker }, domainId, { name: "ana-1", owner: "ana", sharing: "Private" });
  await makeSpace({ sagemaker }, domainId, { name: "bo-1", owner: "bo", sharing: "Private" });
  project.setEnvironments(withoutBo, stage);
  const refused = await plan("dev");
  expect(refused.status, refused.stderr).toBe(3);
  expect(refused.stdout).toContain("add user profile `cy`");
  expect(risksOf("dev")).toContain("profile-in-use:studio_profiles.bo");
  expect(refused.stdout).toContain("npm run people -- remove bo");

  const removed = await npmRun("people", "remove", "bo", "--environment", "dev", "--yes");
  expect(removed.status, removed.stdout + removed.stderr).toBe(0);
  await plan("dev");
  expect(risksOf("dev")).not.toContain("profile-in-use:studio_profiles.bo");
  expect((await apply("dev")).status).toBe(0);
});

it("names what each change of the settings takes away, and applies nothing by itself", async () => {
  const before = await localAws.inventory();
  const changes: readonly (readonly [Partial<EnvironmentSettings>, RegExp])[] = [
    [{ egress: "endpoints-only" }, /^lost-internet:/],
    [{ guardRails: {} }, /^lost-protection:/],
    [{ guardRails: { ...guardRails, allowedInstanceTypes: "any" } }, /^wider-permissions:/],
    [{ vpcCidr: "10.9.0.0/16" }, /^replaced-domain:/],
  ];
  for (const [change, risk] of changes) {
    project.setEnvironments({ ...withoutBo, ...change }, stage);
    const { status, stdout, stderr } = await plan("dev");
    expect(status, stdout + stderr).toBe(3);
    expect(risksOf("dev")).toContainEqual(expect.stringMatching(risk));
  }
  project.setEnvironments(withoutBo, stage);
  expect(await localAws.inventory()).toEqual(before);
  // The control: tags are no risk.
  project.setEnvironments({ ...withoutBo, tags: { CostCenter: "43" } }, stage);
  const harmless = await plan("dev");
  expect(harmless.status, harmless.stdout).toBe(4);
  project.setEnvironments(withoutBo, stage);
});

it("shows what was changed by hand, and takes it back", async () => {
  const clients = localAws.clientSettings();
  const [iam, ec2] = [new IAMClient(clients), new EC2Client(clients)];
  const PolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
  });
  const RoleName = "marimo-dev-execution";
  await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: "evil", PolicyDocument }));
  const Filters = [{ Name: "group-name", Values: ["marimo-dev-user-ana"] }];
  const { SecurityGroups } = await ec2.send(new DescribeSecurityGroupsCommand({ Filters }));
  const ssh = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] };
  const GroupId = SecurityGroups?.[0]?.GroupId;
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [ssh] }));
  const { stdout } = await plan("dev");
  expect(stdout).toContain("## Changed outside of Terraform");
  expect(stdout).toContain("allows * on *");
  expect(stdout).toContain("tcp port 22 from 0.0.0.0/0");
  expect(reviewJson("dev").drift.map(({ outcome }: { outcome: string }) => outcome)).toEqual([
    "reverted",
    "reverted",
  ]);
  await deploy("dev");
  await expectNoChanges("dev");
});

it("refuses the credentials of another account, with and without the setting", async () => {
  const before = await localAws.inventory();
  const assume = { RoleArn: `arn:aws:iam::${otherAccount}:role/admin`, RoleSessionName: "engineer" };
  const { Credentials } = await new STSClient(localAws.clientSettings()).send(new AssumeRoleCommand(assume));
  const others = {
    ...environment,
    AWS_ACCESS_KEY_ID: Credentials?.AccessKeyId,
    AWS_SECRET_ACCESS_KEY: Credentials?.SecretAccessKey,
    AWS_SESSION_TOKEN: Credentials?.SessionToken,
  };
  for (const [name, place] of [
    ["dev", 'The environment "dev"'],
    ["stage", "The Terraform state"],
  ] as const) {
    const { status, stderr } = await project.run("scripts/plan.ts", ["--environment", name], others);
    expect(status).toBe(1);
    expect(stderr).toContain(`${place} belongs to AWS account ${account}`);
  }
  const opened = await project.run("scripts/open.ts", ["ana", "--print"], others);
  expect(opened.status).toBe(1);
  expect(opened.stderr).toContain(`The environment "dev" belongs to AWS account ${account}`);
  expect(await localAws.inventory()).toEqual(before);
});

it("says what works after a full disk has truncated a state, with a backup and without one", async () => {
  const file = path("terraform.stage.tfstate");
  const whole = readFileSync(file, "utf8");
  const backup = `${file}.backup`;
  copyFileSync(file, backup);
  writeFileSync(file, whole.slice(0, 1000));
  const truncated = await plan("stage");
  expect(truncated.status).toBe(1);
  expect(truncated.stderr).toContain("terraform.stage.tfstate is truncated");
  expect(truncated.stderr).toContain("copy terraform.stage.tfstate.backup over it");
  renameSync(backup, `${backup}.away`);
  const withoutBackup = await npmRun("leftovers", "--environment", "stage");
  expect(withoutBackup.status).toBe(1);
  expect(withoutBackup.stderr).toContain("move it away");
  expect(withoutBackup.stderr).not.toContain(".backup over it");
  writeFileSync(file, whole);
  await expectNoChanges("stage");
});

it("moves the state to S3 before a deploy would create everything a second time", async () => {
  project.setEnvironments(inS3, stage);
  const refused = await plan("dev");
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain("npm run state -- migrate --environment dev");
  await s3.send(new CreateBucketCommand({ Bucket: stateBucket }));
  const moved = await npmRun("state", "migrate", "--environment", "dev", "--yes");
  expect(moved.status, moved.stderr).toBe(0);
  expect(existsSync(path("terraform.dev.tfstate"))).toBe(false);
  await expectNoChanges("dev");
});

it("lets a plan wait for another run", async () => {
  const lock = { Bucket: stateBucket, Key: `${stateKey}.tflock` };
  const Body = JSON.stringify({ ID: "1", Operation: "OperationTypeApply", Who: "bo", Version: "1.10.0" });
  await s3.send(new PutObjectCommand({ ...lock, Body }));
  // The control: Terraform itself does not wait.
  const impatient = await project.terraform(terraform, ["plan"], environment);
  expect(impatient.output).toContain("Error acquiring the state lock");
  const waiting = plan("dev");
  await setTimeout(15_000);
  await s3.send(new DeleteObjectCommand(lock));
  const { status, stdout, stderr } = await waiting;
  expect(status, stdout + stderr).toBe(0);
});

it("names an environment that was renamed, in the review of each other one", async () => {
  project.setEnvironments(inS3, { ...stage, name: "live", vpcCidr: "10.2.0.0/16" });
  const reviewed = await plan("live");
  expect(reviewed.status, reviewed.stderr).toBe(3);
  expect(risksOf("live")).toContain("removed-environment:terraform.stage.tfstate");
  project.setEnvironments(inS3, stage);
});

it("backs up a home, has it back in a new one, and destroys only with consent and nothing of the other environment", async () => {
  const others = (await localAws.inventory()).filter((line) => line.includes("marimo-stage"));
  expect(others.length).toBeGreaterThan(10);
  const destroy = (more: NodeJS.ProcessEnv = {}) =>
    project.terraform(terraform, ["destroy", "-auto-approve"], { ...environment, ...more });
  const refused = await destroy();
  expect(refused.status).not.toBe(0);
  expect(refused.output).toMatch(/space ana-1, of ana, .*NO BACKUP/);
  expect(refused.output).toContain("marimo-backup now");
  const home = path("home");
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "analysis.py"), "a");
  const backup = await marimoBackup(home, "ana-1", "now");
  expect(backup.status, backup.stderr).toBe(0);
  expect((await destroy()).output).toMatch(/space ana-1, of ana, .*backup of 2\d{3}-\S+: 1 files/);
  const restored = await marimoBackup(path("new-home"), "ana-2", "restore", "--space", "ana-1");
  expect(restored.status, restored.stderr).toBe(0);
  expect(readFileSync(path("new-home/analysis.py"), "utf8")).toBe("a");

  const destroyed = await destroy({ [consentVariable]: domainId });
  expect(destroyed.status, destroyed.output).toBe(0);
  const left = await localAws.inventory();
  expect(left.filter((line) => line.includes("marimo-dev"))).toEqual([]);
  expect(left.filter((line) => line.includes("marimo-stage"))).toEqual(others);
  const leftovers = await npmRun("leftovers", "--environment", "dev");
  expect(leftovers.status, leftovers.stdout).toBe(0);
  await expectNoChanges("stage");
});
