import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  EC2Client,
  ModifySubnetAttributeCommand,
  ModifyVpcAttributeCommand,
} from "@aws-sdk/client-ec2";
import {
  CreatePolicyCommand,
  CreateRoleCommand,
  GetRoleCommand,
  IAMClient,
  ListAttachedRolePoliciesCommand,
} from "@aws-sdk/client-iam";
import {
  CreateKeyCommand,
  type CreateKeyCommandInput,
  DisableKeyCommand,
  KMSClient,
} from "@aws-sdk/client-kms";
import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import {
  CreateDomainCommand,
  DeleteDomainCommand,
  DescribeDomainCommand,
  SageMakerClient,
  UpdateDomainCommand,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { leaveOutLifecycleRules } from "../../src/local-studio/lifecycle-rules.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import type { Plan } from "../../src/plan-review/plan.ts";
import { reviewOf } from "../../src/plan-review/review.ts";
import { rules } from "../../src/plan-review/risks/index.ts";
import type { EnvironmentSettings } from "../../src/settings/environment.ts";

const region = "us-east-1";
const account = "123456789012";
const idle = { LifecycleManagement: "ENABLED", IdleTimeoutInMinutes: 120 } as const;
const jupyterLab = { AppLifecycleManagement: { IdleSettings: idle } };

let folder: string;
let localAws: LocalAws;
let environment: NodeJS.ProcessEnv;
let terraform: string;
let ec2: EC2Client;
let iam: IAMClient;
let kms: KMSClient;
let sagemaker: SageMakerClient;
let s3At: (region: string) => S3Client;
let project: ReturnType<typeof copyProject>;
let given: Awaited<ReturnType<typeof prepare>>;

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-existing-"));
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
  terraform = (await findTerraform()).command;
  environment = {
    ...process.env,
    ...(await terraformEnvironment({ command: terraform, runFolder: folder })),
    ...localAws.environment,
  };
  const configuration = { ...localAws.clientSettings(region), maxAttempts: 1 };
  ec2 = new EC2Client(configuration);
  iam = new IAMClient(configuration);
  kms = new KMSClient(configuration);
  sagemaker = new SageMakerClient(configuration);
  s3At = (region) => new S3Client({ ...configuration, region });
  given = await prepare();
  project = copyProject(JSON.stringify(Object.values(given)));
  const main = ["--import", "tsx", "main.ts"];
  const synthesis = await capture(process.execPath, main, { cwd: project.folder, env: environment });
  expect(synthesis?.status, synthesis?.stderr).toBe(0);
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** Sets AWS's defaults explicitly, because moto does not. */
async function createKey(
  settings: CreateKeyCommandInput = { KeySpec: "SYMMETRIC_DEFAULT", KeyUsage: "ENCRYPT_DECRYPT" },
): Promise<string> {
  return String((await kms.send(new CreateKeyCommand(settings))).KeyMetadata?.Arn);
}

const policy = (statement: object) => JSON.stringify({ Version: "2012-10-17", Statement: statement });

async function createRole(name: string, service: string, path = "/"): Promise<string> {
  const trust = policy({ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" });
  const request = { RoleName: name, Path: path, AssumeRolePolicyDocument: trust };
  return String((await iam.send(new CreateRoleCommand(request))).Role?.Arn);
}

const policiesOf = async (RoleName: string) =>
  (await iam.send(new ListAttachedRolePoliciesCommand({ RoleName }))).AttachedPolicies?.map(
    ({ PolicyName }) => PolicyName,
  ).sort();

async function boundaryOf(RoleName: string) {
  return (await iam.send(new GetRoleCommand({ RoleName }))).Role?.PermissionsBoundary?.PermissionsBoundaryArn;
}

async function createBoundary(): Promise<string> {
  const PolicyDocument = policy({ Effect: "Allow", Action: "*", Resource: "*" });
  const request = { PolicyName: "boundary", PolicyDocument };
  return String((await iam.send(new CreatePolicyCommand(request))).Policy?.Arn);
}

async function createBucket(name: string, at = region): Promise<string> {
  const otherRegion = { CreateBucketConfiguration: { LocationConstraint: "eu-west-1" } } as const;
  await s3At(at).send(new CreateBucketCommand({ Bucket: name, ...(at === region ? {} : otherRegion) }));
  return name;
}

async function keysIn(Bucket: string) {
  return (await s3At(region).send(new ListObjectVersionsCommand({ Bucket }))).Versions?.map(({ Key }) => Key);
}

async function createVpc(cidr: string): Promise<string> {
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: cidr }));
  return String(Vpc?.VpcId);
}

async function createSubnet(vpcId: string, cidr: string, zone: string): Promise<string> {
  const request = { VpcId: vpcId, CidrBlock: cidr, AvailabilityZone: region + zone };
  const { Subnet } = await ec2.send(new CreateSubnetCommand(request));
  return String(Subnet?.SubnetId);
}

async function createNetwork(zones = ["a", "b"], dnsHostNames = true, prefix = 24) {
  const vpcId = await createVpc("10.9.0.0/16");
  await ec2.send(
    new ModifyVpcAttributeCommand({ VpcId: vpcId, EnableDnsHostnames: { Value: dnsHostNames } }),
  );
  const subnetIds: string[] = [];
  for (const [index, zone] of zones.entries()) {
    subnetIds.push(await createSubnet(vpcId, `10.9.${index}.0/${prefix}`, zone));
  }
  return { vpcId, subnetIds };
}

async function createDomain(executionRoleArn: string): Promise<string> {
  const { subnetIds, vpcId } = await createNetwork();
  const group = { VpcId: vpcId, GroupName: "analysts", Description: "spaces" };
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand(group));
  const { DomainId } = await sagemaker.send(
    new CreateDomainCommand({
      DomainName: "analysts",
      AuthMode: "IAM",
      VpcId: vpcId,
      SubnetIds: subnetIds,
      AppNetworkAccessType: "VpcOnly",
      DefaultUserSettings: {
        ExecutionRole: executionRoleArn,
        SecurityGroups: [String(GroupId)],
        JupyterLabAppSettings: jupyterLab,
      },
    }),
  );
  return String(DomainId);
}

/** Creates existing resources, and returns the environments that use them by name. */
async function prepare() {
  const disabled = await createKey();
  await kms.send(new DisableKeyCommand({ KeyId: disabled.split("/")[1] }));
  const open = await createNetwork();
  const foreign = await createSubnet(await createVpc("10.8.0.0/16"), "10.8.0.0/24", "a");
  await ec2.send(
    new ModifySubnetAttributeCommand({
      SubnetId: open.subnetIds[1],
      MapPublicIpOnLaunch: { Value: true },
    }),
  );
  await createRole("moved", "sagemaker.amazonaws.com", "/there/");
  const nowhere = `arn:aws:kms:${region}:${account}:key/1234abcd-12ab-44cd-86ef-1234567890ab`;
  const executionRoleArn = await createRole("analysts", "sagemaker.amazonaws.com", "/team/");
  return {
    guest: {
      name: "guest",
      existing: {
        encryptionKeyArn: await createKey(),
        bucket: await createBucket("acme-studio"),
        network: await createNetwork(),
      },
      permissionsBoundaryArn: await createBoundary(),
      guardRails: {
        budget: { monthlyUsd: 500, alertAddresses: ["ana@example.com"], stopAtPercent: 100 },
      },
      sampleNotebooks: false,
      homeFileSystemRetention: "Delete",
    },
    attached: {
      name: "attached",
      existing: {
        domainId: await createDomain(executionRoleArn),
        executionRoleArn,
        encryptionKeyArn: await createKey(),
        bucket: await createBucket("acme-analysts"),
      },
      sampleNotebooks: false,
      removalProtection: false,
    },
    unfit: {
      name: "unfit",
      existing: {
        encryptionKeyArn: disabled,
        bucket: await createBucket("acme-elsewhere", "eu-west-1"),
        executionRoleArn: await createRole("batch", "batch.amazonaws.com"),
        network: { vpcId: open.vpcId, subnetIds: [foreign, String(open.subnetIds[1])] },
      },
      permissionsBoundaryArn: "arn:aws:iam::210987654321:policy/boundary",
    },
    another: {
      name: "another",
      existing: {
        encryptionKeyArn: await createKey({ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }),
        executionRoleArn: `arn:aws:iam::${account}:role/moved`,
        network: await createNetwork(["a", "a"]),
      },
    },
    missing: {
      name: "missing",
      existing: {
        encryptionKeyArn: nowhere,
        bucket: "acme-nowhere",
        executionRoleArn: "arn:aws:iam::210987654321:role/studio",
        network: await createNetwork(["a", "b"], false, 28),
      },
      permissionsBoundaryArn: `arn:aws:iam::${account}:policy/nowhere`,
      userProfiles: Array.from({ length: 12 }, (_, index) => ({ name: `user-${index}` })),
    },
  } as const satisfies Record<string, EnvironmentSettings>;
}

/** Prepares an environment's folder, and returns a function that runs Terraform in it. */
async function terraformIn({ name }: EnvironmentSettings) {
  const cwd = join(project.folder, "cdktf.out", "stacks", name);
  const run = async (command: string, ...args: string[]) => {
    const all = [command, "-no-color", ...args];
    const done = await capture(terraform, all, { cwd, env: environment, timeout: 500_000 });
    if (done === undefined) throw new Error(`no ${terraform}`);
    // Removes the frames and line breaks of Terraform's messages.
    return { status: done.status, output: (done.stdout + done.stderr).replaceAll(/[\s│]+/g, " ") };
  };
  leaveOutLifecycleRules(cwd);
  const init = await run("init");
  expect(init.status, init.output).toBe(0);
  return run;
}

/** Plans, applies the plan, and returns the names of the risks in its review. */
async function applyReviewed(run: Awaited<ReturnType<typeof terraformIn>>): Promise<readonly string[]> {
  const planned = await run("plan", "-out=reviewed.tfplan");
  expect(planned.status, planned.output).toBe(0);
  const plan = JSON.parse((await run("show", "-json", "reviewed.tfplan")).output) as Plan;
  const applied = await run("apply", "reviewed.tfplan");
  expect(applied.status, applied.output).toBe(0);
  return reviewOf({ plan, apps: { running: [] }, rules, accept: [] }).risks.map(({ name }) => name);
}

describe("existing resources", () => {
  it("are used instead of the stack's own, and are not changed by the destroy", async () => {
    const { existing, permissionsBoundaryArn } = given.guest;
    const work = { Bucket: existing.bucket, Key: "results/model.bin", Body: "work" };
    await s3At(region).send(new PutObjectCommand(work));
    const before = await localAws.inventory();
    const run = await terraformIn(given.guest);

    expect(await applyReviewed(run)).toEqual([]);
    const added = (await localAws.inventory()).filter((line) => !before.includes(line));
    expect(added.join("\n")).toMatch(/sagemaker domain d-/);
    const own = added.filter((line) => /^(kms|s3 bucket|logs)|vpc|subnet|route|gateway/.test(line));
    expect(own).toEqual([`s3 bucket marimo-guest-123456789012-${region}-trail`]);
    for (const role of ["execution", "budget"]) {
      expect(await boundaryOf(`marimo-guest-${role}`), role).toBe(permissionsBoundaryArn);
    }

    const second = await run("plan", "-detailed-exitcode");
    expect(second.status, second.output).toBe(0);
    expect(second.output).not.toContain("addresses are free");

    // No consent is needed, because users' objects are in an existing bucket, which is kept.
    const destroy = await run("destroy", "-auto-approve");
    expect(destroy.status, destroy.output).toBe(0);
    const after = await localAws.inventory();
    expect(after.filter((line) => before.includes(line))).toEqual(before);
    // SageMaker's leftovers of a domain, see types.ts.
    const left = after.filter((line) => !before.includes(line));
    expect(left.filter((line) => !/^ec2 security-group /.test(line))).toEqual([]);
    expect(left).toHaveLength(2);
    expect(await keysIn(existing.bucket)).toEqual([work.Key]);
  });
});

describe("an existing domain", () => {
  async function describeDomain(DomainId: string) {
    for (;;) {
      const domain = await sagemaker.send(new DescribeDomainCommand({ DomainId }));
      if (domain.Status === "InService") return domain;
      await sleep(50);
    }
  }

  it("gets marimo with the command that the stack prints, can be restored, and must exist", async () => {
    const { domainId } = given.attached.existing;
    const domain = await describeDomain(domainId);
    const before = await localAws.inventory();
    expect(await policiesOf("analysts")).toEqual([]);
    const run = await terraformIn(given.attached);

    // The existing role gets more permissions, which a reviewer of the plan must accept.
    const names = ["artifacts", "spaces"];
    const risks = await applyReviewed(run);
    expect(risks.toSorted()).toEqual(names.map((name) => `wider-permissions:execution_${name}_attachment`));
    const added = (await localAws.inventory()).filter((line) => !before.includes(line));
    expect(added.toSorted()).toEqual([
      "cloudtrail trail marimo-attached-audit",
      "events rule marimo-attached-audit-changes",
      "events rule marimo-attached-audit-denied",
      ...names.map((name) => `iam policy marimo-attached-${name}`),
      `s3 bucket marimo-attached-123456789012-${region}-trail`,
      expect.stringMatching(/^sagemaker studio-lifecycle-config marimo-attached-code-editor-domain-/),
      expect.stringMatching(/^sagemaker studio-lifecycle-config marimo-attached-domain-/),
      "sns topic marimo-attached-audit",
    ]);
    expect(await describeDomain(domainId)).toMatchObject({ DefaultUserSettings: domain.DefaultUserSettings });
    expect(await policiesOf("analysts")).toEqual(names.map((name) => `marimo-attached-${name}`));

    const command = (await run("output", "-raw", "update_domain_command")).output.trim();
    const { prefix } = await pythonEnvironment("image");
    const update = await capture("bash", ["-c", command], {
      env: { ...environment, PATH: `${join(prefix, "bin")}:${process.env.PATH}` },
    });
    expect(update?.status, update?.stderr).toBe(0);
    const builtIn = (name: string) => ({
      BuiltInLifecycleConfigArn: expect.stringContaining(`studio-lifecycle-config/marimo-attached-${name}-`),
    });
    expect((await describeDomain(domainId)).DefaultUserSettings).toMatchObject({
      JupyterLabAppSettings: { AppLifecycleManagement: { IdleSettings: idle }, ...builtIn("domain") },
      CodeEditorAppSettings: builtIn("code-editor-domain"),
    });
    const second = await run("plan", "-detailed-exitcode");
    expect(second.status, second.output).toBe(0);

    const early = await run("destroy", "-auto-approve");
    expect(early.status).toBe(1);
    expect(early.output).toContain("in use by Domain");
    const DefaultUserSettings = { JupyterLabAppSettings: jupyterLab, CodeEditorAppSettings: {} };
    await sagemaker.send(new UpdateDomainCommand({ DomainId: domainId, DefaultUserSettings }));
    expect((await describeDomain(domainId)).DefaultUserSettings).toEqual({
      ...domain.DefaultUserSettings,
      CodeEditorAppSettings: {},
    });
    const destroy = await run("destroy", "-auto-approve");
    expect(destroy.status, destroy.output).toBe(0);
    expect(await localAws.inventory()).toEqual(before);
    expect(await policiesOf("analysts")).toEqual([]);

    const retention = { HomeEfsFileSystem: "Delete" } as const;
    await sagemaker.send(new DeleteDomainCommand({ DomainId: domainId, RetentionPolicy: retention }));
    await expect(describeDomain(domainId)).rejects.toMatchObject({ name: "ResourceNotFound" });
    const lost = await run("plan");
    expect(lost.status).toBe(1);
    expect(lost.output).toContain(
      `reading Cloud Control API (AWS::SageMaker::Domain) Resource (${domainId}): couldn't find resource`,
    );
  });
});

describe("the plan rejects unusable existing resources, all at once,", () => {
  it("with the wrong state, location or account", async () => {
    const { encryptionKeyArn, network } = given.unfit.existing;
    const [foreign, open] = network.subnetIds;
    const { output, status } = await (await terraformIn(given.unfit))("plan");
    expect(status).toBe(1);
    expect(output).toContain(`existing.encryptionKeyArn: ${encryptionKeyArn} is in state Disabled.`);
    expect(output).toContain(
      "existing.bucket: acme-elsewhere is at acme-elsewhere.s3.eu-west-1.amazonaws.com",
    );
    expect(output).toContain("role/batch cannot be assumed by SageMaker");
    expect(output).toMatch(new RegExp(`${foreign} is in vpc-\\w+, not in ${network.vpcId}\\.`));
    expect(output).toContain(`${open} gives its instances public addresses.`);
    expect(output).toContain("is a policy of account 210987654321, and these roles are of 123456789012.");
  });

  it("with the wrong kind or name", async () => {
    const { output, status } = await (await terraformIn(given.another))("plan");
    expect(status).toBe(1);
    const { encryptionKeyArn } = given.another.existing;
    expect(output).toContain(`${encryptionKeyArn} is a key of RSA_2048 for SIGN_VERIFY.`);
    expect(output).toContain(`The role with that name is arn:aws:iam::${account}:role/there/moved.`);
    expect(output).toContain("existing.network.subnetIds: all are in us-east-1a.");
  });

  it("that are missing, in another account, or in a VPC without DNS host names", async () => {
    const { existing, permissionsBoundaryArn } = given.missing;
    const { output, status } = await (await terraformIn(given.missing))("plan");
    expect(status).toBe(1);
    for (const missing of [
      `KMS Key (${existing.encryptionKeyArn})`,
      `S3 Bucket (${existing.bucket})`,
      `IAM Policy (${permissionsBoundaryArn})`,
    ]) {
      expect(output).toContain(`reading ${missing}: couldn't find resource`);
    }
    expect(output).toContain(
      "role/studio belongs to account 210987654321, but the deployment goes to 123456789012.",
    );
    const { vpcId } = existing.network;
    expect(output).toContain(`existing.network.vpcId: ${vpcId} has DNS support or DNS host names off.`);
    expect(output).toContain("22 addresses are free for 12 users.");
  });
});
