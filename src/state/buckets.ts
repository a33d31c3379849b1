import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { parseState, remoteState } from "../leftovers/terraform-state.ts";
import { clientSettings } from "../removal/aws.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../settings/environment.ts";
import { defaultStateKey } from "../settings/terraform.ts";
import type { S3Backend } from "./migration.ts";
import { countOf } from "./state.ts";

/**
 * Warnings about states with resources in the buckets of the settings, under the default key of an environment that is not
 * in the settings any more.
 */
export async function removedInBuckets(
  environments: readonly EnvironmentSettings[],
): Promise<readonly string[]> {
  const backends = environments.flatMap((settings) => {
    const { backend } = resolveEnvironment(settings);
    return backend.type === "s3" ? [backend] : [];
  });
  const owned = new Set(backends.map(({ bucket, key }) => `${bucket}/${key}`));
  const buckets = new Map(backends.map((backend) => [backend.bucket, backend]));
  const warnings: string[] = [];
  for (const backend of buckets.values()) {
    try {
      for (const name of await namesIn(backend))
        if (!owned.has(`${backend.bucket}/${defaultStateKey(name)}`))
          warnings.push(...(await warningsAbout(name, backend)));
    } catch (error) {
      const reason = error instanceof Error ? error.message : error;
      warnings.push(
        `warning: s3://${backend.bucket} was not searched for states of removed environments: ${reason}`,
      );
    }
  }
  return warnings;
}

/** The environments with a state under their default key. */
async function namesIn({ bucket, region }: S3Backend): Promise<readonly string[]> {
  const [Prefix, suffix] = defaultStateKey("*").split("*") as [string, string];
  const s3 = new S3Client(clientSettings(region));
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix }));
  return Contents.flatMap(({ Key = "" }) => {
    const name = Key.endsWith(suffix) ? Key.slice(Prefix.length, -suffix.length) : "";
    return /^[a-z][a-z0-9-]*$/.test(name) ? [name] : [];
  });
}

async function warningsAbout(name: string, { bucket, region }: S3Backend): Promise<readonly string[]> {
  const { place, text = "{}" } = await remoteState({ bucket, key: defaultStateKey(name), region });
  const count = countOf(parseState(place, text));
  if (count === 0) return [];
  return [
    `warning: ${place} has ${count} resources, and no environment in src/environments.ts has this state. If you renamed it, ` +
      "undo that, because a name cannot change. To destroy it, put its entry back with removalProtection: false, deploy, and " +
      `run npx cdktf destroy ${name}. If it belongs to another checkout, give these environments another key.`,
  ];
}
