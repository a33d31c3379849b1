import type { Construct } from "constructs";
import { modelsOf, type ResolvedAi } from "../../settings/ai.ts";
import { athenaUsers } from "../../settings/athena.ts";
import { lockFileOf } from "../../settings/locks.ts";
import { homeBackupVariable } from "../../settings/names.ts";
import { HomeFileSystemKey } from "../removal/home-file-system-key.ts";
import { spaceFiles } from "../studio/space-files.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import { ArtifactBucket, type EnvironmentBucket } from "./artifact-bucket.ts";
import { EncryptionKey, type EnvironmentKey } from "./encryption-key.ts";
import { ExistingBucket } from "./existing-bucket.ts";
import { ExistingKey } from "./existing-key.ts";
import { Payload } from "./payload.ts";

/** Creates an environment's KMS key, or looks up the one that `existing.encryptionKeyArn` names. */
export function environmentKey(scope: Construct, context: EnvironmentContext): EnvironmentKey {
  const { account, environment, prefix, scripts } = context;
  const { existing, removalProtection } = environment;
  const alerts = environment.schedules.length > 0 || environment.audit !== undefined;
  if (existing.encryptionKeyArn !== undefined) {
    return new ExistingKey(scope, "encryption", { prefix, account, arn: existing.encryptionKeyArn, alerts });
  }
  // An existing domain keeps its home file system with its own key.
  const retained = existing.domainId === undefined && environment.homeFileSystemRetention === "Retain";
  return new EncryptionKey(scope, "encryption", {
    prefix,
    account,
    removalProtection,
    alerts,
    // A retained home file system cannot be read without its key: the longest window of KMS, and a step that cancels
    // the deletion.
    deletionWindowDays: retained ? 30 : 7,
    keptBy: retained
      ? new HomeFileSystemKey(scope, "home_file_system_key", {
          account,
          scripts,
          environment: environment.name,
        }).step
      : undefined,
  });
}

/** Creates an environment's bucket, or looks up the one that `existing.bucket` names. */
export function environmentBucket(
  scope: Construct,
  { account, environment, prefix }: EnvironmentContext,
  encryptionKeyArn: string,
): EnvironmentBucket {
  const { existing, region } = environment;
  if (existing.bucket !== undefined) {
    return new ExistingBucket(scope, "storage", { name: existing.bucket, region });
  }
  return new ArtifactBucket(scope, "storage", {
    prefix,
    account,
    encryptionKeyArn,
    deployers: environment.deployers,
    forceDestroy: environment.bucketForceDestroy,
    removalProtection: environment.removalProtection,
  });
}

export interface EnvironmentPayloadProps {
  readonly context: EnvironmentContext;
  readonly bucket: EnvironmentBucket;
  readonly encryptionKeyArn: string;
}

/** Uploads what spaces run. */
export function environmentPayload(scope: Construct, props: EnvironmentPayloadProps): Payload {
  const { context, ...payload } = props;
  const { environment } = context;
  return new Payload(scope, "payload", {
    source: {
      folder: spaceFiles.payload,
      samplesFolder: environment.sampleNotebooks ? spaceFiles.sampleNotebooks : undefined,
      requirements: lockFileOf(environment),
      settings: spaceSettings(context),
    },
    ...payload,
  });
}

/** The value of a setting with a list of words; none for an empty list. */
const words = (list: readonly string[]) => (list.length > 0 ? list.join(" ") : undefined);

/** What bedrock_models.py reads. */
const spaceModels = (ai: ResolvedAi) => ({
  ...ai,
  allowedModels: undefined,
  models: modelsOf(ai),
  costByUser: ai.costByUser || undefined,
});

/** Lines of `settings.env`, which `sagemaker_marimo/state.py` reads. */
function spaceSettings({
  environment,
  packages,
  workgroups,
}: EnvironmentContext): Readonly<Record<string, string>> {
  const { ai, appsFolder, homeBackup, packageIndexUrl, repositories, runOnOpen, transport } = environment;
  const settings: Readonly<Record<string, string | undefined>> = {
    MARIMO_AI: ai && JSON.stringify(spaceModels(ai)),
    MARIMO_TRANSPORT: transport,
    // Of MLflow, which finds the server by sagemaker-mlflow.
    MLFLOW_TRACKING_URI: environment.services.mlflowArn,
    MARIMO_ATHENA_USERS: words(athenaUsers(workgroups)),
    MARIMO_APPS_FOLDER: appsFolder,
    [homeBackupVariable]: homeBackup && JSON.stringify(homeBackup),
    MARIMO_RUN_ON_OPEN: runOnOpen ? "true" : undefined,
    MARIMO_REPOSITORIES: words(repositories.map(({ repositoryUrl }) => repositoryUrl)),
    // An address has no `=`.
    MARIMO_REPOSITORY_SECRETS: words(
      repositories.flatMap(({ repositoryUrl, secretArn }) =>
        secretArn === undefined ? [] : `${repositoryUrl}=${secretArn}`,
      ),
    ),
    MARIMO_PACKAGE_INDEX_URL: packageIndexUrl,
    MARIMO_CODEARTIFACT_DOMAIN: packages?.domain,
    MARIMO_CODEARTIFACT_OWNER: packages?.owner,
    MARIMO_CODEARTIFACT_REGION: packages?.region,
  };
  return Object.fromEntries(
    Object.entries(settings).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
