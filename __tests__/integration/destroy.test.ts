import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreateAppCommand,
  CreateSpaceCommand,
  CreateUserProfileCommand,
  DescribeAppCommand,
  DescribeSpaceCommand,
  DescribeUserProfileCommand,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { consentVariable } from "../../src/studio-removal/guard.ts";
import { StackFixture } from "./stack-fixture.ts";

/** Asks until AWS says that it is in service. */
async function inService(describe: () => Promise<{ Status?: string | undefined }>): Promise<void> {
  for (let attempt = 0; (await describe()).Status !== "InService"; attempt++) {
    if (attempt === 100) throw new Error("it never came into service");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A space with its app in service, as Studio's user interface makes them. */
async function makeSpace(
  { sagemaker }: StackFixture,
  DomainId: string,
  space: { readonly name: string; readonly owner: string; readonly sharing: "Private" | "Shared" },
): Promise<void> {
  const one = { DomainId, SpaceName: space.name };
  await sagemaker.send(
    new CreateSpaceCommand({
      ...one,
      OwnershipSettings: { OwnerUserProfileName: space.owner },
      SpaceSharingSettings: { SharingType: space.sharing },
      SpaceSettings: {
        AppType: "JupyterLab",
        SpaceStorageSettings: { EbsStorageSettings: { EbsVolumeSizeInGb: 7 } },
      },
    }),
  );
  await inService(() => sagemaker.send(new DescribeSpaceCommand(one)));
  const app = { ...one, AppType: "JupyterLab", AppName: "default" } as const;
  await sagemaker.send(new CreateAppCommand(app));
  await inService(() => sagemaker.send(new DescribeAppCommand(app)));
}

describe("an environment where people worked", () => {
  let stack: StackFixture;
  let domainId: string;
  let before: { inventory: readonly string[]; state: readonly string[] };
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

  it("is not destroyed by a plain destroy, which lists what would be lost", async () => {
    const { code, output } = await stack.destroy();
    expect(code).not.toBe(0);
    for (const lost of [
      "space mine, of data-scientist, private, volume of 7 GB, JupyterLab InService",
      "space ours, of made-in-the-console, shared, volume of 7 GB, JupyterLab InService",
      "user profile made-in-the-console, not made by Terraform",
      "1 objects, 1 versions, 2.0 KiB",
      `${consentVariable}=${domainId}`,
    ]) {
      expect(output).toContain(lost);
    }
    expect(await facts()).toEqual(before);
  });

  it("is not destroyed by consent to another domain's end", async () => {
    const { code, output } = await stack.destroy({ [consentVariable]: "d-another" });
    expect(code).not.toBe(0);
    expect(output).toContain('not "d-another"');
    expect(await facts()).toEqual(before);
  });

  it("is destroyed with consent, and nothing is left", async () => {
    const { code, output } = await stack.destroy({ [consentVariable]: domainId });
    expect(code, output).toBe(0);
    expect(output).toContain("deleted 2 spaces with their volumes");
    expect(await stack.localAws.inventory()).toEqual([]);
    expect(await stack.state()).toEqual([]);
  });
});

describe("an environment whose bucket is not to be emptied", () => {
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

  it("is left whole where Terraform could not delete its bucket, whatever was consented to", async () => {
    const key = { Bucket: bucket, Key: "results/model.bin" };
    const { VersionId } = await s3.send(new PutObjectCommand({ ...key, Body: "model" }));
    const domainId = await stack.output("studio_domain_id");
    const before = await stack.localAws.inventory();
    const { code, output } = await stack.terraform(["destroy", "-auto-approve", "-no-color"], {
      [consentVariable]: domainId,
    });
    expect(code).not.toBe(0);
    expect(output).toContain("set bucketForceDestroy to true and deploy, or empty what is there");
    expect(await stack.localAws.inventory()).toEqual(before);
    await s3.send(new DeleteObjectCommand({ ...key, VersionId }));
  });
});
