import { basicDefaults } from "./basics.ts";
import { type Check, isString, type Report, type Untyped } from "./problems.ts";
import { isRegion } from "./reference/regions.ts";

const keyRule = {
  allowed: 'the ARN of a key, not of an alias, such as "arn:aws:kms:us-east-1:123456789012:key/…"',
};
const keyPattern =
  /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key\/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

export interface KeyLimits {
  /** Region that the key has to be in, as the settings have it. */
  readonly region: unknown;
  /** How a message calls that region. */
  readonly regionOf: string;
  /** What asks for an ARN, and what for the region. */
  readonly source: string;
  readonly regionSource: string;
}

/**
 * A KMS key by its ARN: an alias may come to stand for another key, which what was encrypted before does not follow.
 */
export function checkKeyArn(value: unknown, report: Report, within: string, limits: KeyLimits): void {
  const rule = { ...keyRule, source: limits.source };
  if (!isString(value, report, rule, within)) return;
  const match = keyPattern.exec(value);
  if (!match) {
    report(value, "is not the ARN of a KMS key", rule, within);
  } else if (isRegion(limits.region) && match[1] !== limits.region) {
    const allowed = `a key in ${limits.regionOf} region, ${limits.region}`;
    report(value, `is in region ${match[1]}`, { allowed, source: limits.regionSource }, within);
  }
}

const secretPattern =
  /^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:[A-Za-z0-9/_+=.@-]{1,505}-[A-Za-z0-9]{6}$/;

/** A secret in the environment's region, by its whole ARN: another secret of the same name has another suffix. */
export function checkSecretArn(value: unknown, report: Report, settings: Untyped): void {
  const region = settings.region ?? basicDefaults.region;
  const rule = {
    allowed:
      'the ARN of a secret, such as "arn:aws:secretsmanager:us-east-1:123456789012:secret:marimo/warehouse-AbCdEf"',
    source: 'AWS Secrets Manager User Guide, "What\'s in a Secrets Manager secret?"',
  };
  if (!isString(value, report, rule)) return;
  const match = secretPattern.exec(value);
  if (!match) {
    report(value, "is not the ARN of a secret", rule);
  } else if (isRegion(region) && match[1] !== region) {
    report(value, `is in region ${match[1]}`, {
      allowed: `a secret in the environment's region, ${region}`,
      source:
        'AWS Secrets Manager User Guide, "Replicate secrets across Regions": a replica has an ARN there',
    });
  }
}

/** IAM API, `path` and `policyName` or `roleName`, without the characters that Terraform or a shell would read. */
const iamPath = "(?:[A-Za-z0-9_+=,.@-]+/)*";
const policyPattern = new RegExp(
  `^arn:aws[a-z-]*:iam::(\\d{12}|aws):policy/${iamPath}[A-Za-z0-9_+=,.@-]{1,128}$`,
);

/** A managed policy, which is what IAM takes for a permissions boundary. */
export function checkPolicyArn(value: unknown, report: Report): void {
  const rule = {
    allowed: 'the ARN of a managed policy, such as "arn:aws:iam::123456789012:policy/boundary"',
    source: 'IAM User Guide, "Permissions boundaries for IAM entities"',
  };
  if (isString(value, report, rule) && !policyPattern.test(value)) {
    report(value, "is not the ARN of a managed policy", rule);
  }
}

const rolePattern = new RegExp(`^arn:aws[a-z-]*:iam::\\d{12}:role/${iamPath}[A-Za-z0-9_+=,.@-]{1,64}$`);

export function checkRoleArn(value: unknown, report: Report, within: string): void {
  const rule = {
    allowed: 'the ARN of a role, such as "arn:aws:iam::123456789012:role/studio"',
    source: "SageMaker API, RoleArn",
  };
  if (isString(value, report, rule, within) && !rolePattern.test(value)) {
    report(value, "is not the ARN of a role", rule, within);
  }
}

const principalPattern = new RegExp(
  `^arn:aws[a-z-]*:iam::\\d{12}:(role|user)/${iamPath}[A-Za-z0-9_+=,.@-]{1,64}$`,
);

/** A role or user, as CloudTrail names who made a request. */
export function checkPrincipalArn(value: unknown, report: Report): void {
  const rule = {
    allowed: 'the ARN of a role or user, such as "arn:aws:iam::123456789012:role/deploy"',
    source: 'AWS CloudTrail User Guide, "CloudTrail userIdentity element"',
  };
  if (isString(value, report, rule) && !principalPattern.test(value)) {
    report(value, "is not the ARN of a role or user", rule);
  }
}

export const checkAccountId: Check = (value, report) => {
  if (typeof value !== "string" || !/^\d{12}$/.test(value)) {
    report(value, "is not the ID of an account", {
      allowed: "the 12 digits of an account, in quotes",
      source: "AWS Account Management API, AccountId",
    });
  }
};

/** The account in an ARN; `aws` in that of AWS's own managed policies. */
export const accountOf = (arn: string): string => arn.split(":")[4] ?? "";
