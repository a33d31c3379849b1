/** What people make in an environment without Terraform. */
import { setTimeout } from "node:timers/promises";
import {
  CreateAppCommand,
  CreateSpaceCommand,
  DescribeAppCommand,
  DescribeSpaceCommand,
} from "@aws-sdk/client-sagemaker";
import type { StackFixture } from "./stack-fixture.ts";

/** Waits until a resource is in service. */
export async function inService(describe: () => Promise<{ Status?: string | undefined }>): Promise<void> {
  for (let attempt = 0; (await describe()).Status !== "InService"; attempt++) {
    if (attempt === 100) throw new Error("the resource did not reach InService");
    await setTimeout(100);
  }
}

/** Creates a space and its app, like Studio's user interface, and waits until they are in service. */
export async function makeSpace(
  { sagemaker }: Pick<StackFixture, "sagemaker">,
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

/** Role of a user of the environment `dev`. */
export const roleOf = (user: string) => `arn:aws:iam::123456789012:role/marimo-dev-user-${user}`;

/** A request for a sweep of one row as this user. */
export const sweepOf = (user: string) => ({
  ClientRequestToken: "a".repeat(32),
  RoleArn: roleOf(user),
  PipelineDefinition: JSON.stringify({
    Version: "2020-12-01",
    Steps: [
      {
        Name: "row-1",
        Type: "Processing",
        Arguments: {
          RoleArn: roleOf(user),
          AppSpecification: { ImageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:tag" },
          ProcessingResources: {
            ClusterConfig: { InstanceCount: 1, InstanceType: "ml.m5.large", VolumeSizeInGB: 30 },
          },
        },
      },
    ],
  }),
});
