import { checkKeyArn } from "./arns.ts";
import { type Check, checkKeys, isRecord } from "./problems.ts";
import { defaults } from "./resolve.ts";
import type { ExistingSettings } from "./types.ts";

const existingRule = {
  allowed: 'an object such as { encryptionKeyArn: "arn:aws:kms:…" }',
  source: "src/settings/types.ts",
};

/** One check for each thing: the compiler asks for one when a thing is added. */
const checks: Readonly<Record<keyof ExistingSettings, Check>> = {
  encryptionKeyArn: (value, report, settings) =>
    checkKeyArn(value, report, ".encryptionKeyArn", {
      region: settings.region ?? defaults.region,
      regionOf: "the environment's",
      source: "SageMaker API, KmsKeyId",
      regionSource: 'AWS KMS Developer Guide, "Find the key ID and key ARN": a key is used in its own region',
    }),
};

export const checkExisting: Check = (existing, report, settings) => {
  if (!isRecord(existing)) return report(existing, "is no set of existing things", existingRule);
  checkKeys(existing, Object.keys(checks), report);
  for (const [thing, check] of Object.entries(checks)) {
    if (existing[thing] !== undefined) check(existing[thing], report, settings);
  }
};
