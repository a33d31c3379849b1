/**
 * Restores an environment's KMS key after Terraform deletes it, if a home file system needs it:
 * ../stack/removal/home-file-system-key.ts.
 */
import { EFSClient } from "@aws-sdk/client-efs";
import {
  CancelKeyDeletionCommand,
  DescribeKeyCommand,
  EnableKeyCommand,
  KMSClient,
  ListResourceTagsCommand,
} from "@aws-sdk/client-kms";
import { STSClient } from "@aws-sdk/client-sts";
import { checkAccount, clientSettings, runAsScript, type Tools, unlessGone, variable } from "./aws.ts";
import { homeFileSystems } from "./home-file-systems.ts";

export interface KeepKeyOptions {
  readonly account: string;
  /** The `Environment` tag of the key. */
  readonly environment: string;
}

export interface KeepKeyClients {
  readonly efs: EFSClient;
  readonly kms: Pick<KMSClient, "send">;
  readonly sts: Pick<STSClient, "send">;
}

export async function keepKey(
  { account, environment }: KeepKeyOptions,
  { clients, log }: Pick<Tools<KeepKeyClients>, "clients" | "log">,
): Promise<void> {
  const { kms } = clients;
  await checkAccount(account, clients.sts);
  let kept = false;
  for (const { fileSystem } of await homeFileSystems(clients.efs)) {
    const { FileSystemId, KmsKeyId: KeyId } = fileSystem;
    if (KeyId === undefined || !(await isOf(environment, KeyId, kms))) continue;
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }));
    if (KeyMetadata?.KeyState === "PendingDeletion") await kms.send(new CancelKeyDeletionCommand({ KeyId }));
    // A key whose deletion was cancelled is disabled (AWS KMS API, CancelKeyDeletion).
    if (KeyMetadata?.KeyState !== "Enabled") await kms.send(new EnableKeyCommand({ KeyId }));
    log(`kept key ${KeyId}: home file system ${FileSystemId} cannot be read without it`);
    kept = true;
  }
  if (!kept) log(`no home file system needs the key of "${environment}"`);
}

async function isOf(environment: string, KeyId: string, kms: Pick<KMSClient, "send">): Promise<boolean> {
  const answer = await unlessGone(() => kms.send(new ListResourceTagsCommand({ KeyId })));
  const tags = new Map((answer?.Tags ?? []).map(({ TagKey, TagValue }) => [TagKey, TagValue]));
  return tags.get("Project") === "sagemaker-marimo" && tags.get("Environment") === environment;
}

await runAsScript(import.meta.url, "home file system key", async (env, tools) => {
  const settings = clientSettings(variable(env, "KEEP_KEY_REGION"));
  await keepKey(
    { account: variable(env, "KEEP_KEY_ACCOUNT"), environment: variable(env, "KEEP_KEY_ENVIRONMENT") },
    {
      ...tools,
      clients: {
        efs: new EFSClient(settings),
        kms: new KMSClient(settings),
        sts: new STSClient(settings),
      },
    },
  );
});
