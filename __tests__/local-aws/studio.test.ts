import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DeleteVpcCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
} from "@aws-sdk/client-ec2";
import { DescribeFileSystemsCommand, EFSClient } from "@aws-sdk/client-efs";
import {
  AddTagsCommand,
  CreateAppCommand,
  type CreateAppCommandInput,
  CreateDomainCommand,
  type CreateDomainCommandInput,
  CreatePresignedDomainUrlCommand,
  CreateSpaceCommand,
  CreateStudioLifecycleConfigCommand,
  CreateUserProfileCommand,
  DeleteAppCommand,
  DeleteDomainCommand,
  DeleteSpaceCommand,
  DeleteStudioLifecycleConfigCommand,
  DeleteTagsCommand,
  DeleteUserProfileCommand,
  DescribeAppCommand,
  DescribeDomainCommand,
  DescribeSpaceCommand,
  DescribeStudioLifecycleConfigCommand,
  DescribeUserProfileCommand,
  ListAppsCommand,
  ListSpacesCommand,
  ListStudioLifecycleConfigsCommand,
  ListTagsCommand,
  ListTrainingJobsCommand,
  paginateListUserProfiles,
  SageMakerClient,
  UpdateDomainCommand,
  UpdateSpaceCommand,
  UpdateUserProfileCommand,
  type UserSettings,
} from "@aws-sdk/client-sagemaker";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { patience } from "../support/patience.ts";

const script = fileURLToPath(new URL("../../src/local-studio/aws/server.py", import.meta.url));
const region = "us-east-1";
const credentials = { accessKeyId: "test", secretAccessKey: "test" };

class LocalAws {
  readonly child: ChildProcess;
  readonly endpoint: string;
  readonly sagemaker: SageMakerClient;
  readonly ec2: EC2Client;
  readonly efs: EFSClient;

  private constructor(child: ChildProcess, endpoint: string) {
    this.child = child;
    this.endpoint = endpoint;
    const configuration = { endpoint, region, credentials, maxAttempts: 1 };
    this.sagemaker = new SageMakerClient(configuration);
    this.ec2 = new EC2Client(configuration);
    this.efs = new EFSClient(configuration);
  }

  static async start(...args: string[]): Promise<LocalAws> {
    const { python } = await pythonEnvironment("aws");
    const child = spawn(python, [script, ...args], { stdio: ["pipe", "pipe", "ignore"] });
    for await (const line of createInterface({ input: child.stdout })) {
      return new LocalAws(child, (JSON.parse(line) as { endpoint: string }).endpoint);
    }
    throw new Error("The local AWS exited before it was ready.");
  }

  async stop(): Promise<void> {
    const exited = once(this.child, "exit");
    this.child.stdin?.end();
    await exited;
  }

  async inventory(): Promise<string[]> {
    return (await (await fetch(`${this.endpoint}/local-aws/inventory`)).json()) as string[];
  }

  /** Sends a request that the SDKs would not send. */
  async raw(operation: string, body: unknown): Promise<{ status: number; __type: string; message: string }> {
    const response = await fetch(this.endpoint, {
      method: "POST",
      headers: {
        Authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/sagemaker/aws4_request, Signature=0`,
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": `SageMaker.${operation}`,
      },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const { __type, Message } = (await response.json()) as { __type: string; Message: string };
    return { status: response.status, __type, message: Message };
  }

  /** Creates a role without an SDK client. */
  async createRole(name: string, service = "sagemaker.amazonaws.com"): Promise<string> {
    const trust = {
      Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" }],
    };
    const response = await fetch(this.endpoint, {
      method: "POST",
      headers: {
        Authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/iam/aws4_request, Signature=0`,
      },
      body: new URLSearchParams({
        Action: "CreateRole",
        Version: "2010-05-08",
        RoleName: name,
        AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", ...trust }),
      }),
    });
    expect(response.status).toBe(200);
    return `arn:aws:iam::123456789012:role/${name}`;
  }

  async createLifecycleConfig(
    name: string,
    content = "#!/bin/bash\n",
    appType = "JupyterLab",
  ): Promise<string> {
    const { StudioLifecycleConfigArn } = await this.sagemaker.send(
      new CreateStudioLifecycleConfigCommand({
        StudioLifecycleConfigName: name,
        StudioLifecycleConfigContent: Buffer.from(content).toString("base64"),
        StudioLifecycleConfigAppType: appType as "JupyterLab",
      }),
    );
    return String(StudioLifecycleConfigArn);
  }
}

/** A domain with its network and its role. */
class Fixture {
  readonly aws: LocalAws;
  vpcId = "";
  subnetIds: string[] = [];
  groupId = "";
  role = "";
  domainId = "";

  constructor(aws: LocalAws) {
    this.aws = aws;
  }

  async createNetwork(): Promise<void> {
    const { ec2 } = this.aws;
    const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: "10.0.0.0/16" }));
    this.vpcId = String(Vpc?.VpcId);
    for (const [index, zone] of ["a", "b"].entries()) {
      const request = { VpcId: this.vpcId, CidrBlock: `10.0.${index}.0/24`, AvailabilityZone: region + zone };
      const { Subnet } = await ec2.send(new CreateSubnetCommand(request));
      this.subnetIds.push(String(Subnet?.SubnetId));
    }
    const group = { VpcId: this.vpcId, GroupName: "studio", Description: "spaces" };
    this.groupId = String((await ec2.send(new CreateSecurityGroupCommand(group))).GroupId);
    this.role = await this.aws.createRole(`execution-${this.vpcId}`);
  }

  request(changes: Partial<CreateDomainCommandInput> = {}): CreateDomainCommandInput {
    return {
      DomainName: `domain-${this.vpcId}`,
      AuthMode: "IAM",
      VpcId: this.vpcId,
      SubnetIds: this.subnetIds,
      AppNetworkAccessType: "VpcOnly",
      DefaultUserSettings: { ExecutionRole: this.role, SecurityGroups: [this.groupId] },
      ...changes,
    };
  }

  async createDomain(changes: Partial<CreateDomainCommandInput> = {}): Promise<string> {
    const { DomainId } = await this.aws.sagemaker.send(new CreateDomainCommand(this.request(changes)));
    this.domainId = String(DomainId);
    await this.status(() => this.describeDomain(), "InService");
    return this.domainId;
  }

  describeDomain() {
    return this.aws.sagemaker.send(new DescribeDomainCommand({ DomainId: this.domainId }));
  }

  describeProfile(name: string) {
    const request = { DomainId: this.domainId, UserProfileName: name };
    return this.aws.sagemaker.send(new DescribeUserProfileCommand(request));
  }

  describeSpace(name: string) {
    return this.aws.sagemaker.send(new DescribeSpaceCommand({ DomainId: this.domainId, SpaceName: name }));
  }

  app(space: string): Pick<CreateAppCommandInput, "DomainId" | "SpaceName" | "AppType" | "AppName"> & {
    AppType: "JupyterLab";
  } {
    return { DomainId: this.domainId, SpaceName: space, AppType: "JupyterLab", AppName: "default" };
  }

  describeApp(space: string) {
    return this.aws.sagemaker.send(new DescribeAppCommand(this.app(space)));
  }

  async createProfile(name: string, UserSettings = {}): Promise<void> {
    const request = { DomainId: this.domainId, UserProfileName: name, UserSettings };
    await this.aws.sagemaker.send(new CreateUserProfileCommand(request));
    await this.status(() => this.describeProfile(name), "InService");
  }

  async createSpace(name: string, owner: string, JupyterLabAppSettings = {}): Promise<void> {
    await this.aws.sagemaker.send(
      new CreateSpaceCommand({
        DomainId: this.domainId,
        SpaceName: name,
        OwnershipSettings: { OwnerUserProfileName: owner },
        SpaceSharingSettings: { SharingType: "Private" },
        SpaceSettings: { AppType: "JupyterLab", JupyterLabAppSettings },
      }),
    );
    await this.status(() => this.describeSpace(name), "InService");
  }

  async startApp(space: string, ResourceSpec = {}): Promise<void> {
    await this.aws.sagemaker.send(new CreateAppCommand({ ...this.app(space), ResourceSpec }));
    await this.status(() => this.describeApp(space), "InService");
  }

  async stopApp(space: string): Promise<void> {
    await this.aws.sagemaker.send(new DeleteAppCommand(this.app(space)));
    await this.status(() => this.describeApp(space), "Deleted");
  }

  /** Waits for a status; returns all statuses up to it. */
  async status(describe: () => Promise<{ Status?: string | undefined }>, wanted: string): Promise<string[]> {
    const seen: string[] = [];
    for (const end = Date.now() + patience; Date.now() < end; await sleep(10)) {
      const status = String((await describe()).Status);
      if (seen.at(-1) !== status) seen.push(status);
      if (status === wanted) return seen;
    }
    throw new Error(`The status was ${seen}, and never ${wanted}.`);
  }

  async gone(describe: () => Promise<unknown>): Promise<void> {
    for (const end = Date.now() + patience; Date.now() < end; await sleep(10)) {
      const error = await describe().catch((thrown: Error) => thrown);
      if (error instanceof Error) return expect(error.name).toBe("ResourceNotFound");
    }
    throw new Error("The resource still exists.");
  }
}

function refusal(code: string, message: RegExp) {
  return expect.objectContaining({ name: code, message: expect.stringMatching(message) as string });
}

let aws: LocalAws;
let studio: Fixture;

beforeAll(async () => {
  aws = await LocalAws.start("--delay", "0.4");
  studio = new Fixture(aws);
  await studio.createNetwork();
  await studio.createDomain();
});

afterAll(async () => {
  await aws?.stop();
});

describe("requests are validated with the service model", () => {
  it("returns the account id from STS", async () => {
    const sts = new STSClient({ endpoint: aws.endpoint, region, credentials });
    expect((await sts.send(new GetCallerIdentityCommand({}))).Account).toBe("123456789012");
  });

  it("reports all violated constraints, as AWS's front end does", async () => {
    const answer = await aws.raw("CreateDomain", { DomainName: "-dev", AuthMode: "LDAP" });
    expect(answer.status).toBe(400);
    expect(answer.__type).toBe("ValidationException");
    expect(answer.message).toMatch(/^3 validation errors detected/);
    expect(answer.message).toContain("Value null at 'defaultUserSettings' failed to satisfy constraint");
    expect(answer.message).toContain("Value '-dev' at 'domainName' failed to satisfy constraint");
    expect(answer.message).toContain("Member must satisfy enum value set: [SSO, IAM]");
  });

  it.each([
    ["pattern", "DescribeDomain", { DomainId: "dev" }, /'domainId'.*regular expression/],
    ["length", "DescribeSpace", { DomainId: "d-1a", SpaceName: "x".repeat(64) }, /less than or equal to 63/],
    ["maximum", "ListApps", { MaxResults: 101 }, /'101' at 'maxResults'.*less than or equal to 100/],
    ["minimum", "ListApps", { MaxResults: 0 }, /greater than or equal to 1/],
    [
      "nested list",
      "AddTags",
      {
        ResourceArn: `arn:aws:sagemaker:${region}:123456789012:domain/d-1`,
        Tags: [{ Key: "a*", Value: "" }],
      },
      /'a\*' at 'tags\.1\.member\.key'/,
    ],
    [
      "instance type",
      "CreateApp",
      {
        DomainId: "d-1a",
        SpaceName: "s",
        AppType: "JupyterLab",
        AppName: "default",
        ResourceSpec: { InstanceType: "ml.t3.nano" },
      },
      /'resourceSpec\.instanceType'.*enum value set/,
    ],
    [
      "idle timeout",
      "UpdateUserProfile",
      {
        DomainId: "d-1a",
        UserProfileName: "u",
        UserSettings: {
          JupyterLabAppSettings: { AppLifecycleManagement: { IdleSettings: { IdleTimeoutInMinutes: 59 } } },
        },
      },
      /idleTimeoutInMinutes'.*greater than or equal to 60/,
    ],
    [
      "script size",
      "CreateStudioLifecycleConfig",
      {
        StudioLifecycleConfigName: "x",
        StudioLifecycleConfigAppType: "JupyterLab",
        StudioLifecycleConfigContent: "A".repeat(16385),
      },
      /less than or equal to 16384/,
    ],
    [
      "presigned URL",
      "CreatePresignedDomainUrl",
      {
        DomainId: "d-1a",
        UserProfileName: "u",
        ExpiresInSeconds: 301,
        SessionExpirationDurationInSeconds: 1799,
      },
      /2 validation errors.*less than or equal to 300.*greater than or equal to 1800|2 validation errors.*1800.*300/,
    ],
    [
      "reserved tag",
      "CreateSpace",
      { DomainId: "d-1a", SpaceName: "s", Tags: [{ Key: "aws:x", Value: "" }] },
      /aws:/,
    ],
  ])("rejects an invalid %s", async (_, operation, body, message) => {
    const answer = await aws.raw(operation, body);
    expect(answer).toMatchObject({ status: 400, __type: "ValidationException" });
    expect(answer.message).toMatch(message);
  });

  it("rejects wrong JSON types and bodies that are not JSON", async () => {
    expect(await aws.raw("DescribeDomain", { DomainId: 7 })).toMatchObject({
      __type: "SerializationException",
    });
    expect(await aws.raw("ListApps", { MaxResults: true })).toMatchObject({
      __type: "SerializationException",
    });
    expect(await aws.raw("ListDomains", "{")).toMatchObject({ __type: "SerializationException" });
  });

  it("rejects unknown operations", async () => {
    expect(await aws.raw("StartTheDomain", {})).toMatchObject({ __type: "UnknownOperationException" });
  });

  it("accepts valid requests, also with members that are not in the model", async () => {
    expect(await aws.raw("ListDomains", { MaxResults: 100, Newer: { a: [1] } })).toMatchObject({
      status: 200,
    });
    expect(await aws.sagemaker.send(new ListTrainingJobsCommand({}))).toMatchObject({
      TrainingJobSummaries: [],
    });
  });
});

describe("domain", () => {
  it("is Pending, then InService, with its defaults, home file system and two NFS security groups", async () => {
    const own = new Fixture(aws);
    await own.createNetwork();
    const { DomainId } = await aws.sagemaker.send(new CreateDomainCommand(own.request()));
    own.domainId = String(DomainId);
    expect(await own.status(() => own.describeDomain(), "InService")).toEqual(["Pending", "InService"]);
    const domain = await own.describeDomain();
    expect(domain).toMatchObject({
      DomainId: expect.stringMatching(/^d-[a-z0-9]{12}$/),
      Url: `https://${own.domainId}.studio.us-east-1.sagemaker.aws`,
      TagPropagation: "DISABLED",
      DefaultUserSettings: { StudioWebPortal: "ENABLED", DefaultLandingUri: "studio::" },
    });
    const { FileSystems } = await aws.efs.send(
      new DescribeFileSystemsCommand({ FileSystemId: domain.HomeEfsFileSystemId }),
    );
    expect(FileSystems?.[0]).toMatchObject({
      CreationToken: own.domainId,
      NumberOfMountTargets: 2,
      Tags: [{ Key: "ManagedByAmazonSageMakerResource", Value: domain.DomainArn }],
    });
    const groups = await nfsGroups(own.domainId);
    expect(groups.map(({ GroupName }) => GroupName).sort()).toEqual([
      `security-group-for-inbound-nfs-${own.domainId}`,
      `security-group-for-outbound-nfs-${own.domainId}`,
    ]);

    // Retention Delete deletes the file system. The groups stay and prevent the deletion of the VPC.
    const retention = { RetentionPolicy: { HomeEfsFileSystem: "Delete" as const } };
    await aws.sagemaker.send(new DeleteDomainCommand({ DomainId: own.domainId, ...retention }));
    expect((await own.describeDomain()).Status).toBe("Deleting");
    await own.gone(() => own.describeDomain());
    expect(
      (await aws.inventory()).filter((line) => line.includes(String(domain.HomeEfsFileSystemId))),
    ).toEqual([]);
    for (const id of own.subnetIds) await aws.ec2.send(new DeleteSubnetCommand({ SubnetId: id }));
    await aws.ec2.send(new DeleteSecurityGroupCommand({ GroupId: own.groupId }));
    await expect(aws.ec2.send(new DeleteVpcCommand({ VpcId: own.vpcId }))).rejects.toEqual(
      refusal("DependencyViolation", /has dependencies/),
    );
    for (const { GroupId } of groups) {
      await expect(aws.ec2.send(new DeleteSecurityGroupCommand({ GroupId }))).rejects.toEqual(
        refusal("DependencyViolation", /dependent object/),
      );
    }
    for (const { GroupId, IpPermissions, IpPermissionsEgress } of groups) {
      await aws.ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions })).catch(() => {});
      if (IpPermissionsEgress?.length) {
        const request = { GroupId, IpPermissions: IpPermissionsEgress };
        await aws.ec2.send(new RevokeSecurityGroupEgressCommand(request));
      }
    }
    for (const { GroupId } of groups) await aws.ec2.send(new DeleteSecurityGroupCommand({ GroupId }));
    await aws.ec2.send(new DeleteVpcCommand({ VpcId: own.vpcId }));
    expect(
      (await aws.inventory()).filter((line) => line.includes(own.vpcId) && !line.startsWith("iam")),
    ).toEqual([]);
  });

  it("keeps the home file system by default, whose mount targets prevent the deletion of the subnets", async () => {
    const own = new Fixture(aws);
    await own.createNetwork();
    await own.createDomain();
    const { HomeEfsFileSystemId } = await own.describeDomain();
    await aws.sagemaker.send(new DeleteDomainCommand({ DomainId: own.domainId }));
    await own.gone(() => own.describeDomain());
    expect(await aws.inventory()).toContain(`efs file-system ${HomeEfsFileSystemId}`);
    await expect(
      aws.ec2.send(new DeleteSubnetCommand({ SubnetId: String(own.subnetIds[0]) })),
    ).rejects.toEqual(refusal("DependencyViolation", /subnet/));
  });

  it.each<[string, () => Partial<CreateDomainCommandInput>, string, RegExp]>([
    ["a name that already exists", () => ({}), "ResourceInUse", /already exists/],
    ["no VPC", () => ({ DomainName: "a", VpcId: undefined }), "ValidationException", /VpcId and SubnetIds/],
    [
      "an unknown VPC",
      () => ({ DomainName: "a", VpcId: "vpc-0" }),
      "ValidationException",
      /vpc-0.*not exist/,
    ],
    [
      "an unknown subnet",
      () => ({ DomainName: "a", SubnetIds: ["subnet-0"] }),
      "ValidationException",
      /subnet-0/,
    ],
    [
      "no security group in VpcOnly",
      () => ({ DomainName: "a", DefaultUserSettings: { ExecutionRole: studio.role } }),
      "ValidationException",
      /SecurityGroups are required/,
    ],
    [
      "an unknown security group",
      () => ({
        DomainName: "a",
        DefaultUserSettings: { ExecutionRole: studio.role, SecurityGroups: ["sg-0"] },
      }),
      "ValidationException",
      /sg-0/,
    ],
    [
      "an unknown lifecycle configuration",
      () => ({
        DomainName: "a",
        DefaultSpaceSettings: { ExecutionRole: studio.role, ...builtIn(lifecycleArn("no")) },
      }),
      "ValidationException",
      /studio-lifecycle-config\/no.* does not exist/,
    ],
  ])("rejects %s", async (_, changes, code, message) => {
    await expect(aws.sagemaker.send(new CreateDomainCommand(studio.request(changes())))).rejects.toEqual(
      refusal(code, message),
    );
  });

  it("rejects UpdateDomain in VpcOnly mode without a network, as Terraform's provider sends it", async () => {
    const { DomainId, AppNetworkAccessType } = await studio.describeDomain();
    const settings = { DefaultUserSettings: { StudioWebPortal: "DISABLED" as const } };
    await expect(
      aws.sagemaker.send(new UpdateDomainCommand({ DomainId, AppNetworkAccessType, ...settings })),
    ).rejects.toEqual(
      refusal("ValidationException", /VpcId and Subnet IDs are required for updating domains/),
    );
    // Without AppNetworkAccessType, as the AWS CLI sends it, it succeeds and does not change other settings.
    await aws.sagemaker.send(new UpdateDomainCommand({ DomainId, ...settings }));
    expect(await studio.status(() => studio.describeDomain(), "InService")).toEqual([
      "Updating",
      "InService",
    ]);
    expect((await studio.describeDomain()).DefaultUserSettings).toMatchObject({
      StudioWebPortal: "DISABLED",
      ExecutionRole: studio.role,
    });
  });

  it("rejects settings that the reference of UserSettings does not allow", async () => {
    const { DomainId } = await studio.describeDomain();
    const update = (settings: UserSettings) =>
      aws.sagemaker.send(new UpdateDomainCommand({ DomainId, DefaultUserSettings: settings }));
    const groups = Array<string>(5).fill(studio.groupId);
    await expect(update({ SecurityGroups: groups })).rejects.toEqual(
      refusal("ValidationException", /5 groups; at most 4/),
    );
    await expect(update({ AutoMountHomeEFS: "DefaultAsDomain" })).rejects.toEqual(
      refusal("ValidationException", /cannot be DefaultAsDomain/),
    );
    await expect(update({ StudioWebPortal: "DISABLED", DefaultLandingUri: "studio::" })).rejects.toEqual(
      refusal("ValidationException", /studio:: when StudioWebPortal is DISABLED/),
    );
    await update({ SecurityGroups: groups.slice(1), AutoMountHomeEFS: "Enabled" });
    await studio.status(() => studio.describeDomain(), "InService");
  });

  it("can create the home file system later, and cannot remove it", async () => {
    const own = new Fixture(aws);
    await own.createNetwork();
    await own.createDomain({ HomeEfsFileSystemCreation: "Disabled" });
    expect((await own.describeDomain()).HomeEfsFileSystemId).toBeUndefined();
    const update = (HomeEfsFileSystemCreation: "Enabled" | "Disabled") =>
      aws.sagemaker.send(new UpdateDomainCommand({ DomainId: own.domainId, HomeEfsFileSystemCreation }));
    await update("Enabled");
    await own.status(() => own.describeDomain(), "InService");
    expect((await own.describeDomain()).HomeEfsFileSystemId).toMatch(/^fs-/);
    await expect(update("Disabled")).rejects.toEqual(
      refusal("ValidationException", /from Enabled to Disabled/),
    );
  });

  it("rejects operations while another one is pending", async () => {
    await aws.sagemaker.send(
      new UpdateDomainCommand({ DomainId: studio.domainId, TagPropagation: "ENABLED" }),
    );
    const request = { DomainId: studio.domainId, UserProfileName: "early" };
    await expect(aws.sagemaker.send(new CreateUserProfileCommand(request))).rejects.toEqual(
      refusal("ResourceInUse", /Updating state/),
    );
    await studio.status(() => studio.describeDomain(), "InService");
  });
});

describe("user profiles, spaces and apps", () => {
  beforeAll(async () => {
    await studio.createProfile("ana");
    await studio.createProfile("bo");
    await studio.createSpace("ana-space", "ana");
  });

  it("rejects existing names, also with different case", async () => {
    const profile = { DomainId: studio.domainId, UserProfileName: "Ana" };
    await expect(aws.sagemaker.send(new CreateUserProfileCommand(profile))).rejects.toEqual(
      refusal("ResourceInUse", /already exists/),
    );
    await expect(studio.createSpace("Ana-Space", "ana")).rejects.toEqual(refusal("ResourceInUse", /already/));
  });

  it("reports what does not exist", async () => {
    await expect(studio.describeProfile("nobody")).rejects.toEqual(refusal("ResourceNotFound", /nobody/));
    await expect(studio.describeSpace("nowhere")).rejects.toEqual(refusal("ResourceNotFound", /nowhere/));
    await expect(studio.createSpace("new", "nobody")).rejects.toEqual(refusal("ResourceNotFound", /nobody/));
    await expect(studio.describeApp("ana-space")).rejects.toEqual(refusal("ResourceNotFound", /App/));
    const other = new DescribeUserProfileCommand({ DomainId: "d-0", UserProfileName: "ana" });
    await expect(aws.sagemaker.send(other)).rejects.toEqual(refusal("ResourceNotFound", /d-0/));
  });

  it("requires settings for private spaces, and ownership together with sharing", async () => {
    const space = { DomainId: studio.domainId, SpaceName: "bare" };
    const ownership = { OwnershipSettings: { OwnerUserProfileName: "ana" } };
    const sharing = { SpaceSharingSettings: { SharingType: "Private" as const } };
    await expect(
      aws.sagemaker.send(new CreateSpaceCommand({ ...space, ...ownership, ...sharing })),
    ).rejects.toEqual(
      refusal("ValidationException", /SpaceSettings must be provided for creating private space/),
    );
    await expect(aws.sagemaker.send(new CreateSpaceCommand({ ...space, ...ownership }))).rejects.toEqual(
      refusal("ValidationException", /together/),
    );
  });

  it("uses the volume size and the maximum of the owner's profile for a space", async () => {
    await studio.createProfile("storage", {
      SpaceStorageSettings: {
        DefaultEbsStorageSettings: { DefaultEbsVolumeSizeInGb: 20, MaximumEbsVolumeSizeInGb: 50 },
      },
    });
    await studio.createSpace("storage-space", "storage");
    const { SpaceSettings } = await studio.describeSpace("storage-space");
    expect(SpaceSettings?.SpaceStorageSettings?.EbsStorageSettings?.EbsVolumeSizeInGb).toBe(20);
    const grow = (size: number) =>
      aws.sagemaker.send(
        new UpdateSpaceCommand({
          DomainId: studio.domainId,
          SpaceName: "storage-space",
          SpaceSettings: { SpaceStorageSettings: { EbsStorageSettings: { EbsVolumeSizeInGb: size } } },
        }),
      );
    await expect(grow(51)).rejects.toEqual(refusal("ValidationException", /51 exceeds the maximum of 50/));
    await expect(grow(19)).rejects.toEqual(refusal("ValidationException", /reduced from 20 to 19/));
    await grow(50);
    expect(await studio.status(() => studio.describeSpace("storage-space"), "InService")).toContain(
      "Updating",
    );
  });

  it("goes from Pending to InService and from Deleting to Deleted, and can then start again", async () => {
    await aws.sagemaker.send(new CreateAppCommand(studio.app("ana-space")));
    await expect(aws.sagemaker.send(new CreateAppCommand(studio.app("ana-space")))).rejects.toEqual(
      refusal("ResourceInUse", /already exists/),
    );
    expect(await studio.status(() => studio.describeApp("ana-space"), "InService")).toEqual([
      "Pending",
      "InService",
    ]);
    expect(await studio.describeApp("ana-space")).toMatchObject({
      ResourceSpec: { InstanceType: "ml.t3.medium" },
    });
    await aws.sagemaker.send(new DeleteAppCommand(studio.app("ana-space")));
    expect(await studio.status(() => studio.describeApp("ana-space"), "Deleted")).toEqual([
      "Deleting",
      "Deleted",
    ]);
    await expect(aws.sagemaker.send(new DeleteAppCommand(studio.app("ana-space")))).rejects.toEqual(
      refusal("ResourceInUse", /Deleted state/),
    );
    await studio.startApp("ana-space");
    await studio.stopApp("ana-space");
  });

  it.each<[string, () => Partial<CreateAppCommandInput>, RegExp]>([
    ["JupyterServer apps", () => ({ AppType: "JupyterServer" }), /no longer supported/],
    [
      "JupyterLab without a space",
      () => ({ SpaceName: undefined, UserProfileName: "ana" }),
      /SpaceName must be/,
    ],
    ["a space and a profile", () => ({ UserProfileName: "ana" }), /Exactly one/],
    ["an app type that is not the space's", () => ({ AppType: "CodeEditor" }), /does not match Space/],
    ["the system instance", () => ({ ResourceSpec: { InstanceType: "system" } }), /system is not supported/],
    [
      "an unknown lifecycle configuration",
      () => ({ ResourceSpec: { LifecycleConfigArn: lifecycleArn("no") } }),
      /does not exist/,
    ],
  ])("rejects %s", async (_, changes, message) => {
    await expect(
      aws.sagemaker.send(new CreateAppCommand({ ...studio.app("ana-space"), ...changes() })),
    ).rejects.toEqual(refusal("ValidationException", message));
  });

  it("rejects an app whose execution role does not trust SageMaker", async () => {
    const ExecutionRole = await aws.createRole("untrusting", "ec2.amazonaws.com");
    await studio.createProfile("untrusted", { ExecutionRole });
    await studio.createSpace("untrusted-space", "untrusted");
    await expect(aws.sagemaker.send(new CreateAppCommand(studio.app("untrusted-space")))).rejects.toEqual(
      refusal("ValidationException", /Could not assume role .*untrusting/),
    );
  });

  it("rejects changes and deletions while an app is running, and in the wrong order", async () => {
    const { DomainId } = await studio.describeDomain();
    const send = aws.sagemaker.send.bind(aws.sagemaker);
    const ana = { DomainId, UserProfileName: "ana" };
    const space = { DomainId, SpaceName: "ana-space" };
    await studio.startApp("ana-space");
    await expect(send(new UpdateUserProfileCommand({ ...ana, UserSettings: {} }))).rejects.toEqual(
      refusal("ResourceInUse", /InService or Pending App/),
    );
    await expect(send(new UpdateSpaceCommand({ ...space, SpaceDisplayName: "x" }))).rejects.toEqual(
      refusal("ResourceInUse", /Unable to update Space/),
    );
    await expect(send(new DeleteSpaceCommand(space))).rejects.toEqual(
      refusal("ResourceInUse", /Unable to delete Space .* because App\(s\) are associated with it/),
    );
    await expect(send(new DeleteUserProfileCommand(ana))).rejects.toEqual(
      refusal("ResourceInUse", /because App\(s\) are associated with it/),
    );
    await expect(
      send(
        new UpdateDomainCommand({
          DomainId,
          DomainSettingsForUpdate: { ExecutionRoleIdentityConfig: "USER_PROFILE_NAME" },
        }),
      ),
    ).rejects.toEqual(refusal("ValidationException", /Unable to update Domain .* with InService App/));
    await studio.stopApp("ana-space");
    await send(new UpdateUserProfileCommand({ ...ana, UserSettings: { SecurityGroups: [studio.groupId] } }));
    expect(await studio.status(() => studio.describeProfile("ana"), "InService")).toContain("Updating");
    const type = { SpaceSettings: { AppType: "JupyterLab" as const } };
    await expect(send(new UpdateSpaceCommand({ ...space, ...type }))).rejects.toEqual(
      refusal("ValidationException", /Updating AppType for Space is not supported/),
    );
    await expect(send(new DeleteUserProfileCommand(ana))).rejects.toEqual(
      refusal("ResourceInUse", /because Space\(s\) are associated with it/),
    );
    await expect(send(new DeleteDomainCommand({ DomainId }))).rejects.toEqual(
      refusal("ResourceInUse", /because UserProfile\(s\) are associated with it/),
    );
    await send(new DeleteSpaceCommand(space));
    await studio.gone(() => studio.describeSpace("ana-space"));
    await send(new DeleteUserProfileCommand(ana));
    await studio.gone(() => studio.describeProfile("ana"));
    expect((await aws.inventory()).filter((line) => line.includes(`${DomainId}/ana`))).toEqual([]);
  });

  it("creates presigned URLs for user profiles and their own spaces, only in IAM domains", async () => {
    const { DomainId } = await studio.describeDomain();
    await studio.createProfile("cy");
    await studio.createSpace("cy-space", "cy");
    const presign = (changes: object) =>
      aws.sagemaker.send(
        new CreatePresignedDomainUrlCommand({ DomainId, UserProfileName: "cy", ...changes }),
      );
    const { AuthorizedUrl } = await presign({ SpaceName: "cy-space" });
    expect(AuthorizedUrl).toMatch(
      new RegExp(`^https://${DomainId}\\.studio\\.us-east-1\\.sagemaker\\.aws/auth\\?token=`),
    );
    await expect(presign({ SpaceName: "no-space" })).rejects.toEqual(refusal("ResourceNotFound", /no-space/));
    await expect(presign({ UserProfileName: "bo", SpaceName: "cy-space" })).rejects.toEqual(
      refusal("ValidationException", /not owned by/),
    );
    const sso = new Fixture(aws);
    await sso.createNetwork();
    await sso.createDomain({ AuthMode: "SSO" });
    await expect(sso.createProfile("dee")).rejects.toEqual(refusal("ValidationException", /SingleSignOn/));
    const half = { DomainId: sso.domainId, UserProfileName: "dee", SingleSignOnUserValue: "dee" };
    await expect(aws.sagemaker.send(new CreateUserProfileCommand(half))).rejects.toEqual(
      refusal("ValidationException", /SingleSignOnUserIdentifier/),
    );
    await expect(presign({ DomainId: sso.domainId })).rejects.toEqual(
      refusal("ValidationException", /AuthMode of the domain is IAM/),
    );
  });
});

describe("lifecycle configurations", () => {
  it("are available immediately, must have unique names, and must be base64", async () => {
    const arn = await aws.createLifecycleConfig("once");
    const request = { StudioLifecycleConfigName: "once" };
    const config = await aws.sagemaker.send(new DescribeStudioLifecycleConfigCommand(request));
    expect(config).toMatchObject({
      StudioLifecycleConfigArn: arn,
      StudioLifecycleConfigAppType: "JupyterLab",
    });
    expect(Buffer.from(String(config.StudioLifecycleConfigContent), "base64").toString()).toBe(
      "#!/bin/bash\n",
    );
    await expect(aws.createLifecycleConfig("once")).rejects.toEqual(
      refusal("ResourceInUse", /already exists/),
    );
    const plain = { StudioLifecycleConfigName: "plain", StudioLifecycleConfigAppType: "JupyterLab" as const };
    await expect(
      aws.sagemaker.send(
        new CreateStudioLifecycleConfigCommand({ ...plain, StudioLifecycleConfigContent: "#!/bin/bash" }),
      ),
    ).rejects.toEqual(refusal("ValidationException", /base64/));
  });

  it("are rejected in the settings of another app type", async () => {
    const arn = await aws.createLifecycleConfig("editor", "#!/bin/bash\n", "CodeEditor");
    await expect(studio.createProfile("mixed", builtIn(arn))).rejects.toEqual(
      refusal("ValidationException", /is for CodeEditor apps, not for JupyterLab/),
    );
  });

  it("cannot be deleted while a profile refers to them", async () => {
    const arn = await aws.createLifecycleConfig("named");
    await studio.createProfile("naming", builtIn(arn));
    const remove = () =>
      aws.sagemaker.send(new DeleteStudioLifecycleConfigCommand({ StudioLifecycleConfigName: "named" }));
    await expect(remove()).rejects.toEqual(refusal("ResourceInUse", /in use by UserProfile/));
    const naming = { DomainId: studio.domainId, UserProfileName: "naming" };
    await aws.sagemaker.send(new DeleteUserProfileCommand(naming));
    await studio.gone(() => studio.describeProfile("naming"));
    await remove();
    await expect(remove()).rejects.toEqual(refusal("ResourceNotFound", /named/));
  });
});

describe("tags and lists", () => {
  it("creates, adds, replaces and removes tags", async () => {
    const request = { DomainId: studio.domainId, UserProfileName: "tagged" };
    const { UserProfileArn: ResourceArn } = await aws.sagemaker.send(
      new CreateUserProfileCommand({ ...request, Tags: [{ Key: "Team", Value: "é 1" }] }),
    );
    const tags = async () =>
      Object.fromEntries(
        ((await aws.sagemaker.send(new ListTagsCommand({ ResourceArn }))).Tags ?? []).map((t) => [
          t.Key,
          t.Value,
        ]),
      );
    expect(await tags()).toEqual({ Team: "é 1" });
    const more = [
      { Key: "Team", Value: "2" },
      { Key: "Cost", Value: "" },
    ];
    await aws.sagemaker.send(new AddTagsCommand({ ResourceArn, Tags: more }));
    expect(await tags()).toEqual({ Team: "2", Cost: "" });
    await aws.sagemaker.send(new DeleteTagsCommand({ ResourceArn, TagKeys: ["Team"] }));
    expect(await tags()).toEqual({ Cost: "" });
    const many = Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: "" }));
    await expect(aws.sagemaker.send(new AddTagsCommand({ ResourceArn, Tags: many }))).rejects.toEqual(
      refusal("ResourceLimitExceeded", /51 tags/),
    );
    const unknown = { ResourceArn: `${ResourceArn}-not` };
    await expect(aws.sagemaker.send(new ListTagsCommand(unknown))).rejects.toEqual(
      refusal("ResourceNotFound", /tagged-not/),
    );
  });

  it("returns filtered, sorted pages", async () => {
    const own = new Fixture(aws);
    await own.createNetwork();
    await own.createDomain();
    const names = Array.from({ length: 12 }, (_, index) => `user-${String(index).padStart(2, "0")}`);
    for (const name of names) await own.createProfile(name);
    const pages: number[] = [];
    const found: string[] = [];
    const paginator = paginateListUserProfiles({ client: aws.sagemaker }, { DomainIdEquals: own.domainId });
    for await (const { UserProfiles } of paginator) {
      pages.push(UserProfiles?.length ?? 0);
      found.push(...(UserProfiles ?? []).map((profile) => String(profile.UserProfileName)));
    }
    expect(pages).toEqual([10, 2]);
    expect(found).toEqual(names);

    await own.createSpace("one", "user-00");
    await own.createSpace("two", "user-01");
    await own.startApp("one");
    const spaces = await aws.sagemaker.send(
      new ListSpacesCommand({
        DomainIdEquals: own.domainId,
        SpaceNameContains: "TW",
        SortOrder: "Descending",
      }),
    );
    expect(spaces.Spaces).toMatchObject([
      {
        SpaceName: "two",
        SpaceSettingsSummary: { AppType: "JupyterLab" },
        OwnershipSettingsSummary: { OwnerUserProfileName: "user-01" },
        SpaceSharingSettingsSummary: { SharingType: "Private" },
      },
    ]);
    const apps = (SpaceNameEquals: string) =>
      aws.sagemaker.send(new ListAppsCommand({ DomainIdEquals: own.domainId, SpaceNameEquals }));
    expect((await apps("one")).Apps).toMatchObject([{ AppName: "default", Status: "InService" }]);
    expect((await apps("two")).Apps).toEqual([]);

    await aws.createLifecycleConfig("listed-a");
    await aws.createLifecycleConfig("listed-b");
    const configs = await aws.sagemaker.send(
      new ListStudioLifecycleConfigsCommand({ NameContains: "listed", AppTypeEquals: "JupyterLab" }),
    );
    expect(configs.StudioLifecycleConfigs?.map((config) => config.StudioLifecycleConfigName)).toEqual([
      "listed-b",
      "listed-a",
    ]);
    await expect(aws.sagemaker.send(new ListSpacesCommand({ NextToken: "tomorrow" }))).rejects.toEqual(
      refusal("ValidationException", /Invalid NextToken/),
    );
  });
});

describe("fixes of moto", () => {
  it("keeps the description of rules that refer to a security group", async () => {
    const own = new Fixture(aws);
    await own.createNetwork();
    await aws.ec2.send(
      new AuthorizeSecurityGroupIngressCommand({
        GroupId: own.groupId,
        IpPermissions: [
          {
            IpProtocol: "tcp",
            FromPort: 2049,
            ToPort: 2049,
            UserIdGroupPairs: [{ GroupId: own.groupId, Description: "NFS among spaces" }],
          },
        ],
      }),
    );
    const { SecurityGroupRules } = await aws.ec2.send(
      new DescribeSecurityGroupRulesCommand({ Filters: [{ Name: "group-id", Values: [own.groupId] }] }),
    );
    expect(SecurityGroupRules?.filter((rule) => !rule.IsEgress)).toMatchObject([
      { Description: "NFS among spaces" },
    ]);
  });

  it("allows requests with a bucket policy that requires TLS, and applies other Deny statements", async () => {
    const s3 = (method: string, path: string, body?: string) =>
      fetch(`${aws.endpoint}/tls-bucket${path}`, {
        method,
        ...(body === undefined ? {} : { body }),
        headers: {
          Authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/s3/aws4_request, Signature=0`,
        },
      }).then((response) => response.status);
    const deny = (condition: object) =>
      JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Deny",
            Principal: "*",
            Action: "s3:*Object",
            Resource: "arn:aws:s3:::tls-bucket/*",
            ...condition,
          },
        ],
      });
    expect(await s3("PUT", "")).toBe(200);
    expect(
      await s3("PUT", "?policy", deny({ Condition: { Bool: { "aws:SecureTransport": "false" } } })),
    ).toBe(200);
    expect(await s3("PUT", "/object", "content")).toBe(200);
    expect(await s3("GET", "/object")).toBe(200);
    expect(await s3("PUT", "?policy", deny({}))).toBe(200);
    expect(await s3("GET", "/object")).toBe(403);
  });
});

/** An app host that records the requests of the local AWS. */
class FakeAppHost {
  readonly requests: { path: string; body: Record<string, unknown> }[] = [];
  answer: (path: string) => { status: number; body: unknown } | Promise<{ status: number; body: unknown }> =
    () => ({
      status: 200,
      body: { url: "http://127.0.0.1:9/jupyterlab-space" },
    });
  private readonly server: Server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const path = String(request.url);
    this.requests.push({ path, body: JSON.parse(text) as Record<string, unknown> });
    const { status, body } = await this.answer(path);
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  });

  async start(): Promise<string> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  last(path: string): Record<string, unknown> | undefined {
    return this.requests.findLast((request) => request.path === path)?.body;
  }
}

describe("with an app host", () => {
  let hosted: LocalAws;
  let host: FakeAppHost;
  let own: Fixture;

  beforeAll(async () => {
    host = new FakeAppHost();
    hosted = await LocalAws.start("--delay", "0.05", "--app-host", await host.start());
    own = new Fixture(hosted);
    await own.createNetwork();
    const arn = await hosted.createLifecycleConfig("of-domain", "echo domain");
    await own.createDomain({
      DefaultUserSettings: {
        ExecutionRole: own.role,
        SecurityGroups: [own.groupId],
        JupyterLabAppSettings: {
          BuiltInLifecycleConfigArn: arn,
          DefaultResourceSpec: { InstanceType: "ml.m5.large" },
        },
      },
    });
    await own.createProfile("ana");
    await own.createSpace("first", "ana");
  });

  afterAll(async () => {
    await hosted?.stop();
    host?.stop();
  });

  it("starts an app with the domain's script, and returns the URL of its space once it runs", async () => {
    await own.startApp("first");
    expect(host.last("/apps")).toEqual({
      appArn: `arn:aws:sagemaker:us-east-1:123456789012:app/${own.domainId}/first/jupyterlab/default`,
      domainId: own.domainId,
      spaceName: "first",
      userProfileName: "ana",
      appType: "JupyterLab",
      appName: "default",
      region: "us-east-1",
      instanceType: "ml.m5.large",
      lifecycleConfigs: [{ name: "of-domain", content: Buffer.from("echo domain").toString("base64") }],
      executionRole: own.role,
    });
    expect((await own.describeSpace("first")).Url).toBe("http://127.0.0.1:9/jupyterlab-space");
    expect((await own.describeApp("first")).BuiltInLifecycleConfigArn).toMatch(/of-domain$/);
    await own.stopApp("first");
    expect(host.last("/apps/stop")).toEqual({ appArn: (await own.describeApp("first")).AppArn });
  });

  it("prefers the profile's settings to the domain's, and runs the selected script after the built-in", async () => {
    const profile = await hosted.createLifecycleConfig("of-profile", "echo profile");
    const space = await hosted.createLifecycleConfig("of-space", "echo space");
    const request = await hosted.createLifecycleConfig("of-request", "echo request");
    await own.createProfile("bo", {
      JupyterLabAppSettings: {
        BuiltInLifecycleConfigArn: profile,
        DefaultResourceSpec: { InstanceType: "ml.m5.xlarge", LifecycleConfigArn: request },
      },
    });
    await own.createSpace("plain", "bo");
    await own.startApp("plain");
    // LifecycleConfigArn in a profile is only a default in the user interface and does not run.
    expect(order()).toEqual(["ml.m5.xlarge", "of-profile"]);

    await own.createSpace("with-script", "bo", {
      DefaultResourceSpec: { InstanceType: "ml.c5.large", LifecycleConfigArn: space },
    });
    await own.startApp("with-script");
    expect(order()).toEqual(["ml.c5.large", "of-profile", "of-space"]);
    await own.stopApp("with-script");
    await own.startApp("with-script", { InstanceType: "ml.r5.large", LifecycleConfigArn: request });
    expect(order()).toEqual(["ml.r5.large", "of-profile", "of-request"]);
    const remove = new DeleteStudioLifecycleConfigCommand({ StudioLifecycleConfigName: "of-request" });
    await expect(hosted.sagemaker.send(remove)).rejects.toEqual(refusal("ResourceInUse", /in use/));
  });

  function order(): unknown[] {
    const app = host.last("/apps") as { instanceType: string; lifecycleConfigs: { name: string }[] };
    return [app.instanceType, ...app.lifecycleConfigs.map(({ name }) => name)];
  }

  it("fails the app with the app host's reason", async () => {
    await own.createSpace("failing", "ana");
    host.answer = () => ({
      status: 422,
      body: { reason: "LifecycleConfig of-domain failed with exit status 3" },
    });
    await hosted.sagemaker.send(new CreateAppCommand(own.app("failing")));
    expect(await own.status(() => own.describeApp("failing"), "Failed")).toEqual(["Pending", "Failed"]);
    expect(await own.describeApp("failing")).toMatchObject({
      FailureReason: "LifecycleConfig of-domain failed with exit status 3",
    });
    host.answer = () => ({ status: 200, body: {} });
    await own.stopApp("failing");
  });

  it("is Deleted when it is deleted during its start", async () => {
    await own.createSpace("slow", "ana");
    let up = () => {};
    host.answer = (path) => {
      if (path !== "/apps") return { status: 200, body: {} };
      return new Promise((resolve) => {
        up = () => resolve({ status: 200, body: { url: "http://127.0.0.1:9/late" } });
      });
    };
    await hosted.sagemaker.send(new CreateAppCommand(own.app("slow")));
    while (!String(host.last("/apps")?.spaceName).includes("slow")) await sleep(10);
    expect((await own.describeApp("slow")).Status).toBe("Pending");
    await own.stopApp("slow");
    up();
    await sleep(100);
    expect((await own.describeApp("slow")).Status).toBe("Deleted");
    expect((await own.describeSpace("slow")).Url).not.toContain("late");
  });

  it("deletes a space with its home folder, and returns the presigned URLs of the app host", async () => {
    host.answer = () => ({ status: 200, body: { url: "http://127.0.0.1:9/auth?token=1" } });
    const request = { DomainId: own.domainId, UserProfileName: "ana" };
    const { AuthorizedUrl } = await hosted.sagemaker.send(
      new CreatePresignedDomainUrlCommand({
        ...request,
        SpaceName: "slow",
        ExpiresInSeconds: 60,
        LandingUri: "app:JupyterLab:marimo/",
      }),
    );
    expect(AuthorizedUrl).toBe("http://127.0.0.1:9/auth?token=1");
    expect(host.last("/presigned-urls")).toEqual({
      domainId: own.domainId,
      userProfileName: "ana",
      spaceName: "slow",
      landingUri: "app:JupyterLab:marimo/",
      expiresInSeconds: 60,
      sessionExpirationInSeconds: 43200,
    });
    await hosted.sagemaker.send(new DeleteSpaceCommand({ DomainId: own.domainId, SpaceName: "slow" }));
    await own.gone(() => own.describeSpace("slow"));
    expect(host.last("/spaces/delete")).toEqual({ domainId: own.domainId, spaceName: "slow" });

    host.answer = () => ({ status: 500, body: { reason: "disk full" } });
    await expect(hosted.sagemaker.send(new CreatePresignedDomainUrlCommand(request))).rejects.toMatchObject({
      message: expect.stringContaining("disk full") as string,
    });
    await hosted.sagemaker.send(new DeleteSpaceCommand({ DomainId: own.domainId, SpaceName: "failing" }));
    await own.status(() => own.describeSpace("failing"), "Delete_Failed");
    expect((await own.describeSpace("failing")).FailureReason).toBe("disk full");
  });
});

describe("the server", () => {
  it("starts empty, shares nothing with another server, and exits when its standard input is closed", async () => {
    const [one, two] = await Promise.all([LocalAws.start(), LocalAws.start()]);
    expect(one.endpoint).not.toBe(two.endpoint);
    expect(await one.inventory()).toEqual([]);
    const { Vpc } = await one.ec2.send(new CreateVpcCommand({ CidrBlock: "10.0.0.0/16" }));
    await one.createRole("alone");
    expect(await one.inventory()).toEqual([`ec2 vpc ${Vpc?.VpcId}`, "iam role alone"]);
    expect(await two.inventory()).toEqual([]);
    await one.ec2.send(new DeleteVpcCommand({ VpcId: String(Vpc?.VpcId) }));
    expect(await one.inventory()).toEqual(["iam role alone"]);
    await one.stop();
    await expect(fetch(one.endpoint)).rejects.toThrow();
    expect(one.child.exitCode).toBe(0);
    expect(await two.inventory()).toEqual([]);
    const exited = once(two.child, "exit");
    two.child.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
  });

  it.each([
    ["a port that is in use", () => ["--port", new URL(aws.endpoint).port], /Choose another --port/],
    [
      "an app host that is not on loopback",
      () => ["--app-host", "http://example.com"],
      /not a loopback address/,
    ],
    ["a negative delay", () => ["--delay", "-1"], /between 0 and 60/],
  ])("rejects %s", async (_, args, message) => {
    const { python } = await pythonEnvironment("aws");
    const child = spawn(python, [script, ...args()], { stdio: ["pipe", "ignore", "pipe"] });
    let text = "";
    child.stderr.on("data", (chunk) => {
      text += String(chunk);
    });
    const [status] = (await once(child, "close")) as [number];
    expect(status).not.toBe(0);
    expect(text).toMatch(message);
  });
});

function lifecycleArn(name: string): string {
  return `arn:aws:sagemaker:us-east-1:123456789012:studio-lifecycle-config/${name}`;
}

function builtIn(BuiltInLifecycleConfigArn: string) {
  return { JupyterLabAppSettings: { BuiltInLifecycleConfigArn } };
}

async function nfsGroups(domainId: string) {
  const Filters = [{ Name: "group-name", Values: [`security-group-for-*bound-nfs-${domainId}`] }];
  return (await aws.ec2.send(new DescribeSecurityGroupsCommand({ Filters }))).SecurityGroups ?? [];
}
