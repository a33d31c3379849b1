import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { CreateKeyCommand, DescribeKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import {
  CreateAppCommand,
  CreateDomainCommand,
  CreateProcessingJobCommand,
  CreateSpaceCommand,
  CreateUserProfileCommand,
  DescribeAppCommand,
  DescribeDomainCommand,
  DescribeProcessingJobCommand,
  DescribeSpaceCommand,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { CreateTopicCommand, SNSClient } from "@aws-sdk/client-sns";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { startLocalAws } from "../../src/local-studio/local-aws.ts";

let python: string;
let folder: string;
let keep: string;
/** An app host that never answers. */
const appHost = createServer(() => {});
beforeAll(async () => {
  ({ python } = await pythonEnvironment("aws"));
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-keep-"));
  keep = join(folder, "aws.snapshot");
  await new Promise<void>((resolve) => appHost.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  appHost.closeAllConnections();
  appHost.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => rmSync(keep, { force: true }));

const start = (props: { readonly keep?: string } = { keep }) => {
  const { port } = appHost.address() as AddressInfo;
  const address = { url: `http://127.0.0.1:${port}`, token: "token" };
  return startLocalAws({ python, appHost: address, log: join(folder, "log"), ...props });
};

const Bucket = "kept";
const job = { ProcessingJobName: "unfinished" };

async function fill(client: ReturnType<Awaited<ReturnType<typeof start>>["clientSettings"]>) {
  const s3 = new S3Client(client);
  await s3.send(new CreateBucketCommand({ Bucket }));
  const VersioningConfiguration = { Status: "Enabled" } as const;
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  for (const Body of ["first", "x".repeat(20_000_000), "second"]) {
    await s3.send(new PutObjectCommand({ Bucket, Key: "notes", Body }));
  }
  const key = await new KMSClient(client).send(new CreateKeyCommand());
  await new SNSClient(client).send(new CreateTopicCommand({ Name: "kept" }));
  const service = {
    Effect: "Allow",
    Principal: { Service: "sagemaker.amazonaws.com" },
    Action: "sts:AssumeRole",
  };
  const { Role } = await new IAMClient(client).send(
    new CreateRoleCommand({
      RoleName: "studio",
      AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [service] }),
    }),
  );
  const { Subnets } = await new EC2Client(client).send(new DescribeSubnetsCommand());
  const [subnet] = Subnets ?? [];
  const RoleArn = Role?.Arn ?? "";
  const sagemaker = new SageMakerClient(client);
  const { DomainArn = "" } = await sagemaker.send(
    new CreateDomainCommand({
      ...{ DomainName: "kept", AuthMode: "IAM", DefaultUserSettings: { ExecutionRole: RoleArn } },
      ...{ VpcId: subnet?.VpcId, SubnetIds: [subnet?.SubnetId ?? ""] },
    }),
  );
  const DomainId = DomainArn.split("/")[1] ?? "";
  const isUp = { timeout: 20_000 };
  const status = async () => (await sagemaker.send(new DescribeDomainCommand({ DomainId }))).Status;
  await expect.poll(status, isUp).toBe("InService");
  await sagemaker.send(new CreateUserProfileCommand({ DomainId, UserProfileName: "ana" }));
  const space = { DomainId, SpaceName: "ana-1" };
  await expect
    .poll(
      () =>
        sagemaker
          .send(
            new CreateSpaceCommand({
              ...space,
              OwnershipSettings: { OwnerUserProfileName: "ana" },
              SpaceSharingSettings: { SharingType: "Private" },
              SpaceSettings: { AppType: "JupyterLab" },
            }),
          )
          .then(
            () => "made",
            () => "not yet",
          ),
      isUp,
    )
    .toBe("made");
  const app = { ...space, AppType: "JupyterLab", AppName: "default" } as const;
  await expect
    .poll(async () => (await sagemaker.send(new DescribeSpaceCommand(space))).Status, isUp)
    .toBe("InService");
  await sagemaker.send(new CreateAppCommand(app));
  await sagemaker.send(
    new CreateProcessingJobCommand({
      ...{ ...job, RoleArn, AppSpecification: { ImageUri: "image" } },
      ProcessingResources: {
        ClusterConfig: { InstanceCount: 1, InstanceType: "ml.m5.large", VolumeSizeInGB: 30 },
      },
    }),
  );
  return { DomainId, KeyId: key.KeyMetadata?.KeyId ?? "", app, space };
}

it("continues with its previous state, in which pending operations have ended", async () => {
  const first = await start();
  const { DomainId, KeyId, app, space } = await fill(first.clientSettings());
  const before = await first.inventory();
  const versions = async (aws: typeof first) =>
    (await new S3Client(aws.clientSettings()).send(new ListObjectVersionsCommand({ Bucket }))).Versions;
  const listed = await versions(first);
  await first.stop();
  expect(statSync(keep).mode & 0o777).toBe(0o600);

  const second = await start();
  expect(second.endpoint).not.toBe(first.endpoint);
  const isApp = (line: string) => line.startsWith("sagemaker app ");
  expect(before.filter(isApp)).toHaveLength(1);
  expect(await second.inventory()).toEqual(before.filter((line) => !isApp(line)));
  expect(await versions(second)).toEqual(listed);
  const client = second.clientSettings();
  const content = await new S3Client(client).send(new GetObjectCommand({ Bucket, Key: "notes" }));
  expect(await content.Body?.transformToString()).toBe("second");
  const { KeyMetadata } = await new KMSClient(client).send(new DescribeKeyCommand({ KeyId }));
  expect(KeyMetadata?.KeyState).toBe("Enabled");
  const sagemaker = new SageMakerClient(client);
  expect((await sagemaker.send(new DescribeDomainCommand({ DomainId }))).Status).toBe("InService");
  expect((await sagemaker.send(new DescribeAppCommand(app))).Status).toBe("Deleted");
  expect(await sagemaker.send(new DescribeProcessingJobCommand(job))).toMatchObject({
    ProcessingJobStatus: "Failed",
    FailureReason: "InternalServerError: We encountered an internal error. Please try again.",
  });
  // The app of the space can start again.
  expect((await sagemaker.send(new DescribeSpaceCommand(space))).Status).toBe("InService");
  await sagemaker.send(new CreateAppCommand(app));
  await second.stop();
});

it("has no previous state without the file", async () => {
  const first = await start({});
  await new S3Client(first.clientSettings()).send(new CreateBucketCommand({ Bucket }));
  await first.stop();
  const second = await start({});
  expect(await second.inventory()).toEqual([]);
  await second.stop();
  expect(existsSync(keep)).toBe(false);
});

it("has saved its state a few seconds before kill -9", async () => {
  const args = [join(projectFolder, "src/local-studio/aws/server.py"), "--keep", keep];
  const killed = spawn(python, args, { stdio: ["pipe", "pipe", "ignore"] });
  const [line] = (await once(createInterface({ input: killed.stdout }), "line")) as [string];
  const { endpoint } = JSON.parse(line) as { endpoint: string };
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const s3 = new S3Client({ endpoint, credentials, region: "us-east-1" });
  await s3.send(new CreateBucketCommand({ Bucket }));
  await expect.poll(() => existsSync(keep)).toBe(true);
  killed.kill("SIGKILL");
  await once(killed, "close");
  const second = await start();
  expect(await second.inventory()).toEqual([`s3 bucket ${Bucket}`]);
  await second.stop();
});

it("rejects a file of another version and a damaged file, and changes neither", async () => {
  const first = await start();
  await new S3Client(first.clientSettings()).send(new CreateBucketCommand({ Bucket }));
  await first.stop();
  const whole = readFileSync(keep);
  const content = whole.subarray(whole.indexOf("\n") + 1);
  for (const [damaged, reason] of [
    [Buffer.concat([Buffer.from("another version\n"), content]), "was written by another version"],
    [whole.subarray(0, whole.length - 1), "is damaged"],
    [Buffer.from(""), "was written by another version"],
  ] as const) {
    writeFileSync(keep, damaged);
    const refused = await start().then(
      () => undefined,
      (error: unknown) => error as { message: string; remedy: string },
    );
    expect(refused?.message).toContain(`exited with status 1 before it was ready: ${keep} ${reason}`);
    expect(refused?.remedy).toContain(`in its home folder below ${join(folder, "spaces")}`);
    expect(readFileSync(keep).equals(damaged)).toBe(true);
  }
});
