import { join } from "node:path";
import {
  CreateAppCommand,
  DeleteImageCommand,
  DescribeAppCommand,
  DescribeImageCommand,
  DescribeImageVersionCommand,
  DescribeUserProfileCommand,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { leaveOutLifecycleRules } from "../../src/local-studio/lifecycle-rules.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { StudioClient } from "../../src/local-studio/studio-client.ts";
import type { EnvironmentSettings } from "../../src/settings/environment.ts";
import { imageName } from "../../src/settings/images.ts";
import { Clone } from "../support/clone-fixture.ts";

const geo = { name: "geo", imageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/geo:1.0" };
const newGeo = { ...geo, imageUri: geo.imageUri.replace("1.0", "2.0") };
const torch = { name: "torch", imageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/torch:1", gpu: true };
const settings: EnvironmentSettings = {
  name: "dev",
  homeFileSystemRetention: "Delete",
  userProfiles: [{ name: "ana" }],
  images: [geo, torch],
};

let project: Clone;
let localAws: LocalAws;
let environment: NodeJS.ProcessEnv;
let terraform: string;
let sagemaker: SageMakerClient;
let studio: StudioClient;

beforeAll(async () => {
  project = new Clone(settings);
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(project.folder, "local-aws.log") });
  terraform = (await findTerraform()).command;
  environment = {
    ...(await terraformEnvironment({ command: terraform, runFolder: project.folder })),
    ...localAws.environment,
  };
  sagemaker = new SageMakerClient(localAws.clientSettings());
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
});

const run = (...args: [string, ...string[]]) => project.terraform(terraform, args, environment);

/** Applies the settings. */
async function apply(images: EnvironmentSettings["images"]) {
  project.settings = { ...settings, images: images ?? [] };
  const synthesis = await project.run("main.ts");
  expect(synthesis.status, synthesis.stderr).toBe(0);
  leaveOutLifecycleRules(project.stack);
  const init = await run("init", "-input=false");
  expect(init.status, init.output).toBe(0);
  return run("apply", "-auto-approve", "-input=false");
}

const attached = async () => {
  const { UserSettings } = await sagemaker.send(
    new DescribeUserProfileCommand({ DomainId: studio.user.domainId, UserProfileName: "ana" }),
  );
  return UserSettings?.JupyterLabAppSettings?.CustomImages;
};
const image = (settings: { name: string; imageUri: string }) => ({
  ImageName: imageName("marimo-dev", settings),
  AppImageConfigName: `marimo-dev-${settings.name}`,
  ImageVersionNumber: 1,
});
const describeVersion = ({ ImageName }: { ImageName: string }) =>
  sagemaker.send(new DescribeImageVersionCommand({ ImageName }));

describe("custom images, with the real provider and the local AWS", () => {
  it("are applied, attached to the profile, and planned without a change", async () => {
    const { status, output } = await apply([geo, torch]);
    expect(status, output).toBe(0);
    studio = await StudioClient.find(sagemaker, "dev", 100);
    expect(await attached()).toEqual([image(geo), image(torch)]);
    expect(await describeVersion(image(geo))).toMatchObject({ BaseImage: geo.imageUri, Processor: "CPU" });
    const plan = await run("plan", "-detailed-exitcode", "-input=false");
    expect(plan.status, plan.output).toBe(0);
  });

  it("run an app, and cannot be deleted while a profile has them", async () => {
    const { ImageArn } = await sagemaker.send(new DescribeImageCommand({ ImageName: image(geo).ImageName }));
    await studio.createSpace("maps");
    const { domainId: DomainId } = studio.user;
    const app = { DomainId, SpaceName: "maps", AppType: "JupyterLab", AppName: "default" } as const;
    const other = { SageMakerImageArn: ImageArn?.replace("dev-geo", "dev-other") };
    await expect(sagemaker.send(new CreateAppCommand({ ...app, ResourceSpec: other }))).rejects.toThrow(
      "is not attached",
    );
    await sagemaker.send(new CreateAppCommand({ ...app, ResourceSpec: { SageMakerImageArn: ImageArn } }));
    await expect
      .poll(async () => (await sagemaker.send(new DescribeAppCommand(app))).Status)
      .toBe("InService");
    const { ResourceSpec } = await sagemaker.send(new DescribeAppCommand(app));
    expect(ResourceSpec?.SageMakerImageArn).toBe(ImageArn);
    await studio.delete("maps");
    await expect(sagemaker.send(new DeleteImageCommand({ ImageName: image(geo).ImageName }))).rejects.toThrow(
      "because it is in use by UserProfile",
    );
  });

  it("are made anew from another address, and the profile has the new one before the old ones go", async () => {
    const { status, output } = await apply([newGeo]);
    expect(status, output).toBe(0);
    expect(await attached()).toEqual([image(newGeo)]);
    expect(await describeVersion(image(newGeo))).toMatchObject({
      BaseImage: expect.stringContaining(":2.0"),
    });
    await expect(describeVersion(image(geo))).rejects.toThrow("does not exist");
    await expect(describeVersion(image(torch))).rejects.toThrow("does not exist");
    const plan = await run("plan", "-detailed-exitcode", "-input=false");
    expect(plan.status, plan.output).toBe(0);
  });

  it("are all detached before they are deleted", async () => {
    const { status, output } = await apply([]);
    expect(status, output).toBe(0);
    expect(await attached()).toBeUndefined();
    expect((await localAws.inventory()).filter((line) => /image|marimo-dev-images/.test(line))).toEqual([]);
  });

  it("are destroyed with their environment, and nothing is left", async () => {
    expect((await apply([geo])).status).toBe(0);
    const { status, output } = await run("destroy", "-auto-approve");
    expect(status, output).toBe(0);
    expect(await localAws.inventory()).toEqual([]);
  });
});
