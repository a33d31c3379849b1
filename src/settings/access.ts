import { checkAccountId, checkKeyArn } from "./arns.ts";
import { type AthenaSettings, checkAthena } from "./athena.ts";
import { basicDefaults } from "./basics.ts";
import { checkBucketName } from "./bucket-name.ts";
import { existingBucketOf } from "./existing-lookup.ts";
import { longestPolicy, policyLength } from "./policy-length.ts";
import {
  type Check,
  type Checks,
  checkBoolean,
  checkList,
  checkParts,
  isRecord,
  isString,
  quote,
  type Report,
  type Resolved,
  type Untyped,
} from "./problems.ts";
import { checkRedshift, type RedshiftGrant } from "./redshift.ts";

/** A bucket, or the objects below a prefix of it. */
export interface BucketGrant {
  /** Limit: in the environment's Region, and neither the environment's own bucket nor that of its Terraform state. */
  readonly name: string;
  /**
   * Only objects whose keys begin with it.
   * Limit: 1-512 characters that end with a slash.
   * @default the whole bucket
   */
  readonly prefix?: string;
  /**
   * Whether objects can also be written and deleted.
   * @default false
   */
  readonly write?: boolean;
  /**
   * ARN of the KMS key that the objects are encrypted with.
   * Limit: in the environment's Region.
   * @default none: Amazon S3's own key
   */
  readonly encryptionKeyArn?: string;
  /**
   * The account that owns the bucket, if it is another one. Its owner must add the statements of the output
   * `other_accounts_policies`.
   * @default the environment's account
   */
  readonly account?: string;
}

/** What notebooks may use of the account's data. */
export interface AccessSettings {
  /** Limit: 1-20. */
  readonly buckets?: readonly BucketGrant[];
  /** Databases of the account's Glue Data Catalog, whose tables can be read. Limit: 1-50. */
  readonly glueDatabases?: readonly string[];
  /**
   * Names of secrets of AWS Secrets Manager that can be read, or beginnings of names followed by `*`. They must be
   * encrypted with the account's own key `aws/secretsmanager`.
   * Limit: 1-20.
   */
  readonly secrets?: readonly string[];
  /**
   * Queries with Amazon Athena, in a workgroup for each user. Results are in the user's folder of the bucket. The tables
   * are those of `glueDatabases`, with the objects of `buckets`.
   * @default none
   */
  readonly athena?: AthenaSettings;
  /**
   * Databases of Amazon Redshift that can be queried with its Data API. Each user is a database user of their own, whom
   * the database's administrator grants what they may read and write: output `redshift_users`. Limit: 1-20.
   */
  readonly redshift?: readonly RedshiftGrant[];
  /**
   * Whether data can be read that AWS Lake Formation protects. Its administrator grants it, to the roles of the output
   * `lake_formation_principals`.
   * @default false
   */
  readonly lakeFormation?: boolean;
}

export type ResolvedAccess = Resolved<AccessSettings, "athena">;

export const resolveAccess = (access: AccessSettings = {}): ResolvedAccess => ({
  buckets: access.buckets ?? [],
  glueDatabases: access.glueDatabases ?? [],
  secrets: access.secrets ?? [],
  athena: access.athena,
  redshift: access.redshift ?? [],
  lakeFormation: access.lakeFormation ?? false,
});

/** The services for which a network without internet needs an endpoint. */
export interface GrantedServices {
  readonly glue: boolean;
  readonly secrets: boolean;
  readonly athena: boolean;
  readonly redshift: boolean;
  readonly lakeFormation: boolean;
}

/**
 * Buckets of everybody and of all teams together, which the policy of the S3 endpoint names: 20,480 characters (AWS
 * PrivateLink Guide, "Control access to VPC endpoints using endpoint policies"), 160 a bucket.
 */
export const mostGrantedBuckets = 100;

/** What everybody and all teams together are granted. */
export const everyGrant = (access: ResolvedAccess, teams: readonly { readonly access: ResolvedAccess }[]) => {
  const all = [access, ...teams.map((team) => team.access)];
  return {
    buckets: all.flatMap(({ buckets }) => buckets),
    glue: all.some(({ glueDatabases }) => glueDatabases.length > 0),
    secrets: all.some(({ secrets }) => secrets.length > 0),
    athena: all.some(({ athena }) => athena !== undefined),
    redshift: all.some(({ redshift }) => redshift.length > 0),
    lakeFormation: all.some(({ lakeFormation }) => lakeFormation),
  };
};

const types = "src/settings/access.ts";
const policySource = 'IAM User Guide, "IAM and AWS STS quotas"';
const rules = {
  access: { allowed: 'an object such as { buckets: [{ name: "acme-lake" }] }', source: types },
  buckets: {
    allowed: '1 to 20 buckets, such as [{ name: "acme-lake", prefix: "curated/" }]',
    source: types,
  },
  own: {
    allowed: "another bucket than the environment's and than that of its Terraform state",
    source: "src/stack/identity/bucket-statements.ts: people are isolated from one another there",
  },
  prefix: {
    allowed: "1 to 512 characters that end with a slash and do not begin with one, without * ? $ and %{",
    source: "IAM User Guide: policies read * ? and $; without the slash it would include longer names",
  },
  databases: {
    allowed: "1 to 50 names of 1 to 255 lower-case letters, digits, hyphens and underscores",
    source: "AWS Glue API, NameString; Amazon Athena User Guide, names of databases",
  },
  secrets: {
    allowed: '1 to 20 names of secrets, or beginnings of names and *, such as "marimo/*"',
    source: "AWS Secrets Manager API, CreateSecret: letters, digits and /_+=.@-",
  },
};

/** Buckets that the stack creates: src/settings/basics.ts. */
const isEnvironmentBucket = (name: string) => /^marimo-[a-z0-9-]+-\d{12}-[a-z0-9-]+$/.test(name);

const bucketChecks: Checks<BucketGrant> = {
  name: (value, report, settings) => {
    checkBucketName(value, report, "");
    if (typeof value !== "string") return;
    if (isEnvironmentBucket(value) || value === existingBucketOf(settings))
      report(value, "is a bucket of an environment", rules.own);
    if (isRecord(settings.backend) && value === settings.backend.bucket)
      report(value, "has the environment's Terraform state", rules.own);
  },
  prefix: (value, report) => {
    if (!isString(value, report, rules.prefix)) return;
    if (!/^(?!\/)[^*?$]{0,511}\/$/.test(value) || value.includes("%{"))
      report(value, "is not a valid prefix", rules.prefix);
  },
  write: checkBoolean,
  encryptionKeyArn: (value, report, settings) =>
    checkKeyArn(value, report, "", {
      region: settings.region ?? basicDefaults.region,
      regionOf: "the environment's",
      source: "AWS KMS API, KeyArn",
      regionSource: "Amazon S3 User Guide, SSE-KMS: the key is in the bucket's region",
    }),
  account: checkAccountId,
};

const checkBuckets: Check = (value, report, settings) => {
  const seen = new Set<string>();
  checkList(value, report, rules.buckets, 1, 20, (bucket, at) => {
    if (!isRecord(bucket)) return at(bucket, "is not a bucket", rules.buckets);
    checkParts({ ...bucket, name: bucket.name ?? "" }, bucketChecks, at, settings);
    const place = quote([bucket.name, bucket.prefix ?? ""]);
    if (seen.has(place)) at(bucket.name, "is listed twice with the same prefix", rules.buckets, ".name");
    seen.add(place);
  });
};

const checkNames =
  (rule: (typeof rules)["databases"], most: number, pattern: RegExp, problem: string): Check =>
  (value, report) => {
    checkList(value, report, rule, 1, most, (name, at) => {
      if (isString(name, at, rule) && !pattern.test(name)) at(name, problem, rule);
    });
  };

const checks: Checks<AccessSettings> = {
  buckets: checkBuckets,
  glueDatabases: checkNames(rules.databases, 50, /^[a-z0-9_-]{1,255}$/, "is not the name of a Glue database"),
  secrets: checkNames(rules.secrets, 20, /^[A-Za-z0-9/_+=.@-]{1,512}\*?$/, "is not the name of a secret"),
  athena: checkAthena,
  redshift: checkRedshift,
  lakeFormation: checkBoolean,
};

/** Checks a grant, and that it fits a managed policy. */
export const checkAccess: Check = (value, report, settings) => {
  if (!isRecord(value)) return report(value, "is not an object with grants", rules.access);
  let problems = 0;
  const counted: Report = (...problem) => {
    problems += 1;
    report(...problem);
  };
  checkParts(value, checks, counted, settings);
  if (problems === 0) checkLength(value, report);
};

function checkLength(access: Untyped, report: Report): void {
  const length = policyLength(resolveAccess(access as AccessSettings));
  if (length <= longestPolicy) return;
  report(access, `makes an IAM policy of ${length} characters`, {
    allowed: `grants that fit ${longestPolicy} characters: fewer or shorter prefixes, or part of them in teams`,
    source: policySource,
  });
}
