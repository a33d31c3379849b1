import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import {
  CreateAppImageConfigCommand,
  CreateImageCommand,
  CreateImageVersionCommand,
  DeleteAppImageConfigCommand,
  DeleteImageCommand,
  DeleteImageVersionCommand,
  DescribeAppImageConfigCommand,
  DescribeImageCommand,
  DescribeImageVersionCommand,
  ListAppImageConfigsCommand,
  ListImagesCommand,
  ListImageVersionsCommand,
  ListTagsCommand,
  SageMakerClient,
  UpdateAppImageConfigCommand,
  UpdateImageCommand,
  UpdateImageVersionCommand,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { patience } from "../support/patience.ts";

const log = join(tmpdir(), `sagemaker-marimo-images-${process.pid}.log`);
const repository = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/geo";
const BaseImage = `${repository}:1.0`;

let aws: LocalAws;
let sagemaker: SageMakerClient;
let RoleArn: string;
beforeAll(async () => {
  aws = await startLocalAws({ python: (await pythonEnvironment("aws")).python, log });
  sagemaker = new SageMakerClient({ ...aws.clientSettings(), maxAttempts: 1 });
  RoleArn = await createRole("images", "arn:aws:ecr:us-east-1:123456789012:repository/team/geo");
});
afterAll(async () => {
  await aws?.stop();
  rmSync(log, { force: true });
});

/** A role that SageMaker may assume, and that pulls from one repository. */
async function createRole(RoleName: string, Resource: string): Promise<string> {
  const iam = new IAMClient(aws.clientSettings());
  const trust = {
    Effect: "Allow",
    Principal: { Service: "sagemaker.amazonaws.com" },
    Action: "sts:AssumeRole",
  };
  const document = (statement: object) => JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
  const AssumeRolePolicyDocument = document(trust);
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
  const pull = { Effect: "Allow", Action: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], Resource };
  const PolicyDocument = document(pull);
  await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: "pull", PolicyDocument }));
  return String(Role?.Arn);
}

const refusal = (name: string, message: RegExp) =>
  expect.objectContaining({ name, message: expect.stringMatching(message) as string });

const describeImage = async (ImageName: string) => sagemaker.send(new DescribeImageCommand({ ImageName }));
const describeVersion = (ImageName: string, members = {}) =>
  sagemaker.send(new DescribeImageVersionCommand({ ImageName, ...members }));

/** All values of a status up to the one that is waited for. */
async function statuses(read: () => Promise<string | undefined>, wanted: string): Promise<string[]> {
  const seen: string[] = [];
  for (const end = Date.now() + patience; Date.now() < end; await sleep(20)) {
    const status = String(await read());
    if (seen.at(-1) !== status) seen.push(status);
    if (status === wanted) return seen;
  }
  throw new Error(`The status was ${seen}, and never ${wanted}.`);
}

const imageStatus = (name: string) => async () => (await describeImage(name)).ImageStatus;
const versionStatus = (name: string) => async () => (await describeVersion(name)).ImageVersionStatus;

async function createImage(ImageName: string, members = {}): Promise<string[]> {
  await sagemaker.send(new CreateImageCommand({ ImageName, RoleArn, ...members }));
  return statuses(imageStatus(ImageName), "CREATED");
}
const createVersion = (ImageName: string, members = {}) =>
  sagemaker.send(new CreateImageVersionCommand({ ImageName, BaseImage, ...members }));

describe("images", () => {
  it("are created and updated, and have the tags and the name of their request", async () => {
    const Tags = [{ Key: "Team", Value: "a" }];
    expect(await createImage("geo", { DisplayName: "Geo", Tags })).toEqual(["CREATING", "CREATED"]);
    const { DisplayName, ImageArn } = await describeImage("geo");
    expect([DisplayName, ImageArn]).toEqual(["Geo", "arn:aws:sagemaker:us-east-1:123456789012:image/geo"]);
    expect((await sagemaker.send(new ListTagsCommand({ ResourceArn: ImageArn }))).Tags).toEqual(Tags);
    await sagemaker.send(new UpdateImageCommand({ ImageName: "geo", DeleteProperties: ["DisplayName"] }));
    expect(await statuses(imageStatus("geo"), "CREATED")).toEqual(["UPDATING", "CREATED"]);
    expect((await describeImage("geo")).DisplayName).toBe("geo");
  });

  it("are rejected with a name that exists, or with a role that SageMaker cannot assume", async () => {
    await expect(createImage("geo")).rejects.toEqual(refusal("ResourceInUse", /already exists/));
    const role = { RoleArn: "arn:aws:iam::123456789012:role/none" };
    await expect(createImage("other", role)).rejects.toEqual(
      refusal("ValidationException", /Could not assume role/),
    );
    await expect(createImage("a--b")).rejects.toEqual(refusal("ValidationException", /imageName/));
    await expect(describeImage("other")).rejects.toEqual(refusal("ResourceNotFound", /does not exist/));
  });

  it("have versions that are numbered, described by number, alias or as the latest, and updated", async () => {
    await createImage("numbered");
    await createVersion("numbered", { Aliases: ["one"], Processor: "GPU" });
    await statuses(versionStatus("numbered"), "CREATED");
    await createVersion("numbered");
    expect(await statuses(versionStatus("numbered"), "CREATED")).toEqual(["CREATING", "CREATED"]);
    expect(await describeVersion("numbered")).toMatchObject({ Version: 2, BaseImage });
    expect(await describeVersion("numbered", { Alias: "one" })).toMatchObject({ Version: 1 });
    const update = { ImageName: "numbered", Version: 1, AliasesToAdd: ["old"], AliasesToDelete: ["one"] };
    await sagemaker.send(new UpdateImageVersionCommand({ ...update, Processor: "CPU" }));
    expect(await describeVersion("numbered", { Alias: "old" })).toMatchObject({
      Version: 1,
      Processor: "CPU",
    });
    await expect(describeVersion("numbered", { Version: 3 })).rejects.toEqual(
      refusal("ResourceNotFound", /does not exist/),
    );
  });

  it("have versions of Amazon ECR in the Region only, and not while they are created", async () => {
    await sagemaker.send(new CreateImageCommand({ ImageName: "early", RoleArn }));
    await expect(createVersion("early")).rejects.toEqual(refusal("ValidationException", /invalid state/));
    await statuses(imageStatus("early"), "CREATED");
    for (const [image, message] of [
      ["docker.io/geo", /not an Amazon ECR path/],
      [BaseImage.replace("us-east-1", "eu-west-1"), /is not in us-east-1/],
    ] as const) {
      await expect(createVersion("early", { BaseImage: image })).rejects.toEqual(
        refusal("ValidationException", message),
      );
    }
  });

  it("have no version of a repository that their role cannot pull from", async () => {
    await createImage("pulled", {
      RoleArn: await createRole("elsewhere", "arn:aws:ecr:*:*:repository/other"),
    });
    await createVersion("pulled");
    const { FailureReason, ImageVersionStatus } = await describeVersion("pulled");
    expect(ImageVersionStatus).toBe("CREATE_FAILED");
    expect(FailureReason).toContain("cannot ecr:BatchGetImage");
  });

  it("are deleted with their versions, which are deleted one by one too", async () => {
    await createImage("gone");
    for (const version of [1, 2]) {
      await createVersion("gone");
      await statuses(versionStatus("gone"), "CREATED");
      expect((await describeVersion("gone")).Version).toBe(version);
    }
    await sagemaker.send(new DeleteImageVersionCommand({ ImageName: "gone", Version: 2 }));
    expect((await describeVersion("gone", { Version: 2 })).ImageVersionStatus).toBe("DELETING");
    await expect.poll(async () => (await describeVersion("gone")).Version).toBe(1);
    await sagemaker.send(new DeleteImageCommand({ ImageName: "gone" }));
    expect((await describeImage("gone")).ImageStatus).toBe("DELETING");
    await expect.poll(() => describeImage("gone").catch(({ name }) => name)).toBe("ResourceNotFound");
    await expect(describeVersion("gone")).rejects.toEqual(refusal("ResourceNotFound", /does not exist/));
  });

  it("are listed by name, in either order", async () => {
    const names = async (members = {}) =>
      ((await sagemaker.send(new ListImagesCommand({ NameContains: "e", ...members }))).Images ?? []).map(
        ({ ImageName }) => ImageName,
      );
    const sorted = await names({ SortBy: "IMAGE_NAME", SortOrder: "ASCENDING" });
    expect(sorted).toEqual(["early", "geo", "numbered", "pulled"]);
    expect(await names({ SortBy: "IMAGE_NAME" })).toEqual(sorted.toReversed());
    const { ImageVersions } = await sagemaker.send(new ListImageVersionsCommand({ ImageName: "numbered" }));
    expect(ImageVersions?.map(({ ImageVersionStatus, Version }) => [Version, ImageVersionStatus])).toEqual([
      [2, "CREATED"],
      [1, "CREATED"],
    ]);
  });
});

describe("app image configurations", () => {
  const JupyterLabAppImageConfig = { FileSystemConfig: { DefaultUid: 1000 } };

  it("are created, changed, listed and deleted", async () => {
    const name = { AppImageConfigName: "lab" };
    await sagemaker.send(new CreateAppImageConfigCommand({ ...name, JupyterLabAppImageConfig }));
    await expect(sagemaker.send(new CreateAppImageConfigCommand(name))).rejects.toEqual(
      refusal("ResourceInUse", /already in use/),
    );
    const ContainerConfig = { ContainerEntrypoint: ["jupyter-lab"] };
    const changed = { JupyterLabAppImageConfig: { ContainerConfig } };
    await sagemaker.send(new UpdateAppImageConfigCommand({ ...name, ...changed }));
    expect(await sagemaker.send(new DescribeAppImageConfigCommand(name))).toMatchObject(changed);
    const { AppImageConfigs } = await sagemaker.send(new ListAppImageConfigsCommand({ SortBy: "Name" }));
    expect(AppImageConfigs).toMatchObject([{ ...name, ...changed }]);
    await sagemaker.send(new DeleteAppImageConfigCommand(name));
    await expect(sagemaker.send(new DeleteAppImageConfigCommand(name))).rejects.toEqual(
      refusal("ResourceNotFound", /does not exist/),
    );
  });

  it("are for one kind of app", async () => {
    const both = { AppImageConfigName: "both", JupyterLabAppImageConfig, CodeEditorAppImageConfig: {} };
    await expect(sagemaker.send(new CreateAppImageConfigCommand(both))).rejects.toEqual(
      refusal("ValidationException", /Only one app type/),
    );
  });
});
