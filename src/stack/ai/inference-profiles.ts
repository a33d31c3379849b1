import { BedrockInferenceProfile } from "@cdktf/provider-aws/lib/bedrock-inference-profile/index.js";
import { S3Object } from "@cdktf/provider-aws/lib/s3-object/index.js";
import { Fn, type MapTerraformIterator, TerraformIterator } from "cdktf";
import { Construct } from "constructs";
import { isApplicationProfile, modelOfProfile, modelsOf, type ResolvedAi } from "../../settings/ai.ts";
import { inferenceProfilesJson, sharedSpaces, userTag } from "../../settings/names.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import { encryptedObject } from "../storage/payload.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";

export interface InferenceProfilesProps {
  /** Name prefix of the profiles. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  readonly ai: ResolvedAi;
  /** The names of the user profiles are its keys. */
  readonly userProfiles: MapTerraformIterator;
  readonly bucket: EnvironmentBucket;
  readonly encryptionKeyArn: string;
}

/**
 * An application inference profile of each model for each user, and one for all shared spaces. Bedrock's costs have their
 * tags. AWS chooses their ARNs, so an object in the bucket lists them: bedrock_models.py calls the user's own.
 */
export class InferenceProfiles extends Construct {
  constructor(scope: Construct, id: string, props: InferenceProfilesProps) {
    super(scope, id);
    const { account, ai, bucket, encryptionKeyArn, prefix, userProfiles } = props;
    checkPrefix(this, prefix);
    const profiles = modelsOf(ai)
      .filter((model) => !isApplicationProfile(model))
      .map((model) => {
        const source = modelOfProfile(model) === undefined ? "foundation-model" : "inference-profile";
        const owner = source === "foundation-model" ? "" : account.id;
        const copyFrom = `arn:${account.partition}:bedrock:${ai.region}:${owner}:${source}/${model}`;
        // A user's name can have several hyphens in a row, which a profile's name cannot, and is too long beside a model.
        const nameOf = (user: string) =>
          `${prefix}-${Fn.substr(Fn.sha256(Fn.join(" ", [model, user])), 0, 16)}`;
        const common = { modelSource: [{ copyFrom }] };
        const resource = model.replaceAll(/[^a-z0-9]+/g, "_");
        const user = Fn.lower(userProfiles.key);
        const users = new BedrockInferenceProfile(this, resource, {
          ...common,
          forEach: userProfiles,
          name: nameOf(user),
          tags: { [userTag]: user },
        });
        const shared = new BedrockInferenceProfile(this, `${resource}_shared`, {
          ...common,
          name: nameOf(sharedSpaces),
          tags: { [userTag]: sharedSpaces },
        });
        const arns = TerraformIterator.fromResources(users).forExpressionForMap("lower(key)", "val.arn");
        return [model, { shared: shared.arn, users: arns }];
      });
    new S3Object(this, "list", {
      bucket: bucket.name,
      key: inferenceProfilesJson,
      contentType: "application/json",
      ...encryptedObject(encryptionKeyArn),
      content: Fn.jsonencode(Object.fromEntries(profiles)),
      dependsOn: [...bucket.ready],
    });
  }
}
