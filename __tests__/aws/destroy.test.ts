import { setTimeout } from "node:timers/promises";
import {
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import {
  CreateMountTargetCommand,
  DescribeFileSystemsCommand,
  DescribeMountTargetsCommand,
  EFSClient,
} from "@aws-sdk/client-efs";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { DescribeKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreatePipelineCommand,
  CreateProcessingJobCommand,
  CreateUserProfileCommand,
  DescribeProcessingJobCommand,
  DescribeUserProfileCommand,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { consentVariable } from "../../src/removal/guard.ts";
import { deleteMadeAsJobs, runningJobs } from "../../src/removal/jobs.ts";
import { Jobs } from "../support/jobs-fixture.ts";
import { StackFixture } from "../support/stack-fixture.ts";
import { inService, makeSpace, sweepOf } from "../support/studio-work.ts";

describe("an environment with users' work", () => {
  let stack: StackFixture;
  let domainId: string;
  let before: { inventory: readonly string[]; state: readonly string[] };
  /** The command that `cdktf destroy` runs. */
  const destroyWith = (consent: string) =>
    stack.terraform(["destroy", "-auto-approve", "-no-color"], { [consentVariable]: consent });
  const facts = async () => ({ inventory: await stack.localAws.inventory(), state: await stack.state() });

  beforeAll(async () => {
    stack = await StackFixture.start('homeFileSystemRetention: "Delete"');
    await stack.apply();
    domainId = await stack.output("studio_domain_id");
    const byHand = { DomainId: domainId, UserProfileName: "made-in-the-console" };
    await stack.sagemaker.send(new CreateUserProfileCommand(byHand));
    await inService(() => stack.sagemaker.send(new DescribeUserProfileCommand(byHand)));
    await makeSpace(stack, domainId, { name: "mine", owner: "data-scientist", sharing: "Private" });
    await makeSpace(stack, domainId, { name: "ours", owner: byHand.UserProfileName, sharing: "Shared" });
    await stack.sagemaker.send(
      new CreatePipelineCommand({
        PipelineName: "marimo-dev-grid-1",
        ...sweepOf("data-scientist"),
      }),
    );
    await new S3Client(stack.client).send(
      new PutObjectCommand({
        Bucket: await stack.output("artifact_bucket"),
        Key: "results/model.bin",
        Body: "a".repeat(2048),
      }),
    );
    before = await facts();
    expect(before.inventory.filter((line) => /^sagemaker (space|app|user-profile)/.test(line))).toHaveLength(
      6,
    );
  });
  afterAll(() => stack?.stop());

  it("is not destroyed without consent, and the message lists what would be lost", async () => {
    const { code, output } = await stack.destroy();
    expect(code).not.toBe(0);
    for (const lost of [
      "space mine, of data-scientist, private, volume of 7 GB, JupyterLab InService, NO BACKUP",
      "marimo-backup now",
      "space ours, of made-in-the-console, shared, volume of 7 GB, JupyterLab InService",
      "pipeline marimo-dev-grid-1",
      "user profile made-in-the-console, not created by Terraform",
      "1 objects, 1 versions, 2.0 KiB",
      `${consentVariable}=${domainId}`,
    ]) {
      expect(output).toContain(lost);
    }
    expect(await facts()).toEqual(before);
  });

  it("is not destroyed with consent for another domain", async () => {
    const { code, output } = await destroyWith("d-another");
    expect(code).not.toBe(0);
    expect(output).toContain('not "d-another"');
    expect(await facts()).toEqual(before);
  });

  it("stays in the state if the guard's credentials expire", async () => {
    await stack.localAws.setFaults([{ operation: "sagemaker:DeleteSpace", fault: "expired-token" }]);
    const { code, output } = await destroyWith(domainId);
    const [expired] = await stack.localAws.faults();
    await stack.localAws.setFaults([]);
    expect(code).not.toBe(0);
    expect(output).toContain("removal guard: the credentials have expired");
    expect(output).toContain("sign in again, then destroy again");
    expect(expired?.broken).toBe(1);
    const now = await facts();
    expect(now.state).toEqual(before.state);
    // The apps were deleted before the credentials expired.
    expect(now.inventory).toEqual(before.inventory.filter((line) => !line.startsWith("sagemaker app ")));
  });

  it("is not destroyed if all requests of the guard are throttled, eight times at most", async () => {
    await stack.localAws.setFaults([{ operation: "sagemaker:DescribeDomain", fault: "throttle", after: 1 }]);
    const { code, output } = await destroyWith(domainId);
    const [throttled] = await stack.localAws.faults();
    await stack.localAws.setFaults([]);
    expect(code).not.toBe(0);
    expect(output).toContain("removal guard: Rate exceeded");
    expect(throttled?.broken).toBe(8);
    expect((await facts()).state).toEqual(before.state);
  });

  it("keeps the remaining resources in the state if the credentials expire during the destroy", async () => {
    // All requests fail from Terraform's first deletion in SageMaker on.
    await stack.localAws.setFaults([
      { operation: "sagemaker:DeleteUserProfile", fault: "latency", seconds: 1 },
    ]);
    const destroyed = destroyWith(domainId);
    let ended = false;
    void destroyed.then(() => {
      ended = true;
    });
    // The guard deletes the manually created profile, Terraform the other one.
    while (!ended && ((await stack.localAws.faults())[0]?.matched ?? 0) < 2) {
      await setTimeout(20);
    }
    await stack.localAws.setFaults([{ operation: "*", fault: "expired-token" }]);
    const { code, output } = await destroyed;
    await stack.localAws.setFaults([]);
    expect(code).not.toBe(0);
    expect(output).toMatch(/ExpiredToken/);
    // The provider retries EC2's error as often as the stack configures, not 25 times.
    expect(output).toContain("exceeded maximum number of attempts, 8");
    const left = await stack.leftovers();
    expect(left.code, left.output).toBe(0);
    expect(await stack.state()).not.toEqual([]);
  });

  it("is destroyed with consent, despite throttling and internal errors, and nothing is left", async () => {
    await stack.localAws.setFaults([
      { operation: "*", fault: "throttle", probability: 0.1, seed: 1 },
      { operation: "*", fault: "error", probability: 0.1, seed: 2 },
    ]);
    const { code, output } = await stack.destroy({ [consentVariable]: domainId });
    const broken = (await stack.localAws.faults()).map((rule) => rule.broken);
    await stack.localAws.setFaults([]);
    expect(code, output).toBe(0);
    expect(Math.min(...broken)).toBeGreaterThan(3);
    expect(await stack.localAws.inventory()).toEqual([]);
    expect(await stack.state()).toEqual([]);
  });
});

describe("running jobs of two environments", () => {
  let jobs: Jobs;
  beforeAll(async () => {
    jobs = await Jobs.start({}, { jobGraceSeconds: 1 });
  });
  afterAll(() => jobs?.stop());

  it("are distinguished by their roles, and only the job of the destroyed environment is stopped", async () => {
    const names = ["marimo-dev", "marimo-dev-two"].map((prefix) => ({ prefix, name: `${prefix}-train-1` }));
    const statement = {
      Effect: "Allow",
      Principal: { Service: "sagemaker.amazonaws.com" },
      Action: "sts:AssumeRole",
    };
    const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
    for (const { name, prefix } of names) {
      const role = { RoleName: `${prefix}-jobs`, AssumeRolePolicyDocument };
      const { Role } = await new IAMClient(jobs.localAws.clientSettings()).send(new CreateRoleCommand(role));
      const request = await jobs.request("sleep 600", { RoleArn: Role?.Arn });
      await jobs.sagemaker.send(new CreateProcessingJobCommand({ ...request, ProcessingJobName: name }));
    }
    const [dev, two] = await Promise.all(names.map(({ prefix }) => runningJobs({ prefix }, jobs.sagemaker)));
    expect(dev).toEqual([{ name: "marimo-dev-train-1", status: "InProgress", instanceType: "ml.m5.large" }]);
    expect(two).toEqual([expect.objectContaining({ name: "marimo-dev-two-train-1" })]);
    const lines: string[] = [];
    await deleteMadeAsJobs(
      { prefix: "marimo-dev" },
      {
        clients: { sagemaker: jobs.sagemaker },
        log: (line) => lines.push(line),
        wait: (milliseconds) => setTimeout(milliseconds),
      },
    );
    expect(lines).toContain("stopped 1 jobs");
    const statuses = await Promise.all(
      names.map(({ name }) =>
        jobs.sagemaker.send(new DescribeProcessingJobCommand({ ProcessingJobName: name })),
      ),
    );
    expect(statuses.map(({ ProcessingJobStatus }) => ProcessingJobStatus)).toEqual(["Stopped", "InProgress"]);
  });
});

describe("an environment whose bucket must be empty and whose home file system is kept", () => {
  let stack: StackFixture;
  let s3: S3Client;
  let bucket: string;
  beforeAll(async () => {
    stack = await StackFixture.start("removalProtection: false, bucketForceDestroy: false");
    await stack.apply();
    s3 = new S3Client(stack.client);
    bucket = await stack.output("artifact_bucket");
  });
  afterAll(() => stack?.stop());

  it("is not destroyed while its bucket contains objects, even with consent", async () => {
    const key = { Bucket: bucket, Key: "results/model.bin" };
    const { VersionId } = await s3.send(new PutObjectCommand({ ...key, Body: "model" }));
    const domainId = await stack.output("studio_domain_id");
    const before = await stack.localAws.inventory();
    const { code, output } = await stack.terraform(["destroy", "-auto-approve", "-no-color"], {
      [consentVariable]: domainId,
    });
    expect(code).not.toBe(0);
    expect(output).toContain("Set bucketForceDestroy to true and deploy, or empty them");
    expect(await stack.localAws.inventory()).toEqual(before);
    await s3.send(new DeleteObjectCommand({ ...key, VersionId }));
  });

  it("keeps the file system and its key, and the printed command restores access", async () => {
    // The buckets always contain access logs and the payload, so follow the message above.
    stack.edit('"force_destroy": false', '"force_destroy": true');
    await stack.apply();
    const domainId = await stack.output("studio_domain_id");
    const destroyed = await stack.destroy({ [consentVariable]: domainId });
    expect(destroyed.code, destroyed.output).toBe(0);
    expect(await stack.state()).toEqual([]);
    const left = await stack.localAws.inventory();
    expect(left).toEqual([expect.stringMatching(/^efs file-system fs-/), expect.stringMatching(/^kms key /)]);
    const [home = "", key = ""] = left.map((line) => line.split(" ")[2]);
    expect(destroyed.output).toContain(`kept home file system ${home} of domain ${domainId} in us-east-1`);
    expect(destroyed.output).toMatch(new RegExp(`kept key \\S*${key}: home file system ${home}`));
    const { KeyMetadata } = await new KMSClient(stack.client).send(new DescribeKeyCommand({ KeyId: key }));
    expect(KeyMetadata?.KeyState).toBe("Enabled");
    expect(KeyMetadata?.DeletionDate).toBeUndefined();
    const efs = new EFSClient(stack.client);
    const { FileSystems } = await efs.send(new DescribeFileSystemsCommand({ FileSystemId: home }));
    expect(FileSystems?.[0]?.KmsKeyId).toContain(key);

    const command = /aws efs create-mount-target .*/.exec(destroyed.output)?.[0] ?? "";
    const FileSystemId = /--file-system-id (\S+)/.exec(command)?.[1];
    const ec2 = new EC2Client(stack.client);
    const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: "10.9.0.0/16" }));
    const place = { VpcId: Vpc?.VpcId };
    const { Subnet } = await ec2.send(new CreateSubnetCommand({ ...place, CidrBlock: "10.9.0.0/24" }));
    const { GroupId = "" } = await ec2.send(
      new CreateSecurityGroupCommand({ ...place, GroupName: "nfs", Description: "2049" }),
    );
    await efs.send(
      new CreateMountTargetCommand({ FileSystemId, SubnetId: Subnet?.SubnetId, SecurityGroups: [GroupId] }),
    );
    const { MountTargets } = await efs.send(new DescribeMountTargetsCommand({ FileSystemId: home }));
    expect(MountTargets).toEqual([expect.objectContaining({ ...place, LifeCycleState: "available" })]);
  });

  it("deletes them as leftovers only with consent", async () => {
    const kept = await stack.leftovers(["--remove", "--yes"]);
    expect(kept.code).toBe(1);
    expect(kept.output).toMatch(/kept: home file system fs-.*\n.*kept: key /);
    const domainId = /of domain (d-\w+)/.exec(kept.output)?.[1];
    const removed = await stack.leftovers(["--remove", "--yes"], { [consentVariable]: domainId });
    expect(removed.code, removed.output).toBe(0);
    expect((await stack.localAws.inventory()).filter((line) => /^(efs|kms) /.test(line))).toEqual([]);
  });
});
