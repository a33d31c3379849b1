import { checkKeyArn } from "./arns.ts";
import { type Check, checkKeys, isRecord, isString, nearest, type Report, type Untyped } from "./problems.ts";
import { checkRegion } from "./regions.ts";
import { defaultStateKey, defaults } from "./resolve.ts";

const types = ["local", "s3"];
const typeRule = {
  allowed: '{ type: "local" } or { type: "s3", bucket: "…" }',
  source: "src/settings/types.ts",
};
const bucketRule = {
  allowed:
    "3 to 63 lower-case letters, digits, dots and hyphens, a letter or digit at both ends, no two dots together, " +
    "no IP address and none of AWS's reserved prefixes and suffixes",
  source: 'Amazon S3 User Guide, "General purpose bucket naming rules"',
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
  checkBucket(backend.bucket, report);
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

function checkBucket(bucket: unknown, report: Report): void {
  if (!isString(bucket, report, bucketRule, ".bucket")) return;
  const valid =
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) &&
    !bucket.includes("..") &&
    !/^\d+\.\d+\.\d+\.\d+$/.test(bucket) &&
    !/^(xn--|sthree-|amzn-s3-demo-)/.test(bucket) &&
    !/(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/.test(bucket);
  if (!valid) report(bucket, "is no name of a bucket", bucketRule, ".bucket");
}

function checkKey(key: unknown, report: Report): void {
  if (!isString(key, report, keyRule, ".key")) return;
  const bytes = Buffer.byteLength(key);
  if (bytes < 1 || bytes + lockSuffix.length > 1024) report(key, `has ${bytes} bytes`, keyRule, ".key");
  else if (/^\/|\/$|(^|\/)\.{1,2}(\/|$)|[$%]\{|\p{Cc}/u.test(key))
    report(key, "is no key of a state", keyRule, ".key");
}

/** The one object that an environment's state is, or undefined where it is a local file. Bucket names are global. */
export function stateObjectOf(settings: Untyped): string | undefined {
  const { backend, name } = settings;
  if (!isRecord(backend) || backend.type !== "s3" || typeof backend.bucket !== "string") return undefined;
  const key = backend.key ?? defaultStateKey(String(name));
  return typeof key === "string" ? `s3://${backend.bucket}/${key}` : undefined;
}
