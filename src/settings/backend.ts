import { checkKeyArn } from "./arns.ts";
import { checkBucketName } from "./names.ts";
import { type Check, checkKeys, isRecord, isString, nearest, type Report, type Untyped } from "./problems.ts";
import { checkRegion } from "./regions.ts";
import { defaultStateKey, defaults } from "./resolve.ts";

const types = ["local", "s3"];
const typeRule = {
  allowed: '{ type: "local" } or { type: "s3", bucket: "…" }',
  source: "src/settings/types.ts",
};
/** Terraform's lock is an object beside the state, whose key is this much longer. */
const lockSuffix = ".tflock";
const keyRule = {
  allowed:
    `1 to ${1024 - lockSuffix.length} bytes, no slash at either end, no segment "." or "..", no control characters, ` +
    "no ${ or %{",
  source: `Amazon S3 User Guide, "Naming Amazon S3 objects": 1024 bytes, of which Terraform's lock takes "${lockSuffix}"`,
};

export const checkBackend: Check = (backend, report, settings) => {
  if (!isRecord(backend)) return report(backend, "is no backend", typeRule);
  const { type } = backend;
  if (typeof type !== "string" || !types.includes(type)) {
    const hint = typeof type === "string" ? nearest(type, types) : "";
    return report(type, `is no type of backend${hint}`, typeRule, ".type");
  }
  if (type === "local") return checkKeys(backend, ["type"], report);

  checkKeys(backend, ["type", "bucket", "key", "region", "kmsKeyId"], report);
  checkBucketName(backend.bucket, report, ".bucket");
  if (backend.key !== undefined) checkKey(backend.key, report);
  if (backend.region !== undefined) {
    checkRegion(backend.region, (value, problem, rule) => report(value, problem, rule, ".region"), settings);
  }
  if (backend.kmsKeyId !== undefined) {
    checkKeyArn(backend.kmsKeyId, report, ".kmsKeyId", {
      region: backend.region ?? settings.region ?? defaults.region,
      regionOf: "the bucket's",
      source: "Terraform, S3 backend, kms_key_id",
      regionSource: 'Amazon S3 User Guide, "Using server-side encryption with AWS KMS keys"',
    });
  }
};

function checkKey(key: unknown, report: Report): void {
  if (!isString(key, report, keyRule, ".key")) return;
  const bytes = Buffer.byteLength(key);
  if (bytes < 1 || bytes + lockSuffix.length > 1024) report(key, `has ${bytes} bytes`, keyRule, ".key");
  else if (/^\/|\/$|(^|\/)\.{1,2}(\/|$)|[$%]\{|\p{Cc}/u.test(key))
    report(key, "is no key of a state", keyRule, ".key");
}

/** The bucket that an environment's state is in, and its key where one is given; undefined where it is a local file. */
function remoteStateOf({ backend }: Untyped) {
  if (!isRecord(backend) || backend.type !== "s3" || typeof backend.bucket !== "string") return undefined;
  return { bucket: backend.bucket, key: backend.key };
}

/** The bucket that an environment's state is in, or undefined where it is a local file. */
export const stateBucketOf = (settings: Untyped): string | undefined => remoteStateOf(settings)?.bucket;

/** The one object that an environment's state is, or undefined where it is a local file. Bucket names are global. */
export function stateObjectOf(settings: Untyped): string | undefined {
  const { name } = settings;
  const state = remoteStateOf(settings);
  const key = state?.key ?? (typeof name === "string" ? defaultStateKey(name) : undefined);
  return state !== undefined && typeof key === "string" ? `s3://${state.bucket}/${key}` : undefined;
}
