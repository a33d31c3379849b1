import { checkAccountId, checkKeyArn } from "./arns.ts";
import { basicDefaults } from "./basics.ts";
import { checkBucketName } from "./bucket-name.ts";
import {
  type Check,
  type Checks,
  checkKeys,
  isRecord,
  isString,
  nearest,
  type Report,
  type Resolved,
  type Untyped,
} from "./problems.ts";
import { checkProviderVersion } from "./provider-version.ts";
import { checkRegion } from "./reference/regions.ts";

/** Terraform state in a file beside `cdktf.json`, `terraform.<environment>.tfstate`. For one person only. */
export interface LocalBackendSettings {
  readonly type: "local";
}

/** Terraform state in S3, locked by an object beside it (`use_lockfile`, Terraform >= 1.10). For teams. */
export interface S3BackendSettings {
  readonly type: "s3";
  /** An existing bucket. Limit: 3-63 characters (Amazon S3 User Guide, "General purpose bucket naming rules"). */
  readonly bucket: string;
  /**
   * Object key of the state.
   * Limit: 1-1017 bytes, which leaves room for `.tflock` (Amazon S3 User Guide, "Naming Amazon S3 objects": 1024); no
   * slash at either end.
   * @default `sagemaker-marimo/<environment>.tfstate`
   */
  readonly key?: string;
  /**
   * Region of the bucket.
   * @default the environment's `region`
   */
  readonly region?: string;
  /**
   * ARN of the KMS key that encrypts the state: a key in the bucket's Region, not an alias.
   * @default the bucket's default encryption
   */
  readonly kmsKeyId?: string;
}

export type BackendSettings = LocalBackendSettings | S3BackendSettings;

/** Terraform itself. */
export interface TerraformSettings {
  /**
   * AWS account of the environment. Terraform, its backend in S3 and the commands refuse the credentials of any other.
   * Limit: 12 digits (AWS Account Management API, AccountId).
   * @default none: Terraform refuses to plan with the credentials of another account than the state's
   */
  readonly account?: string;

  /**
   * Version constraint of Terraform's AWS provider. This project was run with 5.100.0; the schema of 6.62.0 was
   * compared. A state that 6.x has written may not work with 5.x again.
   * Limit: 5.100.0 to below 7.0.0, starting with the lowest version that it allows.
   * @default "~> 5.100"
   */
  readonly awsProviderVersion?: string;

  /**
   * Where Terraform keeps its state: `{ type: "local" }`, or `{ type: "s3", bucket, … }` with `use_lockfile`.
   * @default `{ type: "local" }`
   */
  readonly backend?: BackendSettings;
}

export interface ResolvedTerraform extends Omit<Resolved<TerraformSettings, "account">, "backend"> {
  readonly backend: LocalBackendSettings | Resolved<S3BackendSettings, "kmsKeyId">;
}

export const terraformDefaults = { awsProviderVersion: "~> 5.100", backend: { type: "local" } } as const;

/** Key of an environment's state in its bucket. */
export const defaultStateKey = (environment: string): string => `sagemaker-marimo/${environment}.tfstate`;

export function resolveTerraform(
  { account, awsProviderVersion, backend = terraformDefaults.backend }: TerraformSettings,
  name: string,
  region: string,
): ResolvedTerraform {
  return {
    account,
    awsProviderVersion: awsProviderVersion ?? terraformDefaults.awsProviderVersion,
    backend:
      backend.type === "local"
        ? backend
        : {
            type: backend.type,
            bucket: backend.bucket,
            key: backend.key ?? defaultStateKey(name),
            region: backend.region ?? region,
            kmsKeyId: backend.kmsKeyId,
          },
  };
}

const types = ["local", "s3"];
const typeRule = {
  allowed: '{ type: "local" } or { type: "s3", bucket: "…" }',
  source: "src/settings/terraform.ts",
};
/** Terraform's lock is an object beside the state, whose key is this much longer. */
export const lockSuffix = ".tflock";
const keyRule = {
  allowed:
    `1 to ${1024 - lockSuffix.length} bytes, no slash at either end, no segment "." or "..", no control characters, ` +
    "no ${ or %{",
  source: `Amazon S3 User Guide, "Naming Amazon S3 objects": 1024 bytes, of which Terraform's lock takes "${lockSuffix}"`,
};

const checkBackend: Check = (backend, report, settings) => {
  if (!isRecord(backend)) return report(backend, "is not a backend", typeRule);
  const { type } = backend;
  if (typeof type !== "string" || !types.includes(type)) {
    const hint = typeof type === "string" ? nearest(type, types) : "";
    return report(type, `is not a backend type${hint}`, typeRule, ".type");
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
      region: backend.region ?? settings.region ?? basicDefaults.region,
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
    report(key, "is not a valid object key for a state", keyRule, ".key");
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

export const terraformChecks: Checks<TerraformSettings> = {
  account: checkAccountId,
  awsProviderVersion: checkProviderVersion,
  backend: checkBackend,
};
