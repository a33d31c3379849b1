import { mostTeamTypes, scheduleTag, teamTags, userTag } from "./names.ts";
import { type Check, type Checks, isRecord, isString, type Resolved } from "./problems.ts";
import { checkRegion } from "./reference/regions.ts";

/** What identifies an environment. */
export interface BasicSettings {
  /**
   * Names the stack. Every resource in it is named `marimo-<name>…`. Cannot change later: the domain would be replaced.
   * Limit: 1-20 lower-case letters, digits and inner hyphens, starting with a letter; not `constructor`; not another
   * environment's name with a hyphen and more. Every derived name then fits the shortest limit of AWS, the 63 characters
   * of a bucket name.
   */
  readonly name: string;

  /**
   * AWS Region. Cannot change later.
   * Limit: a Region with SageMaker (from botocore) that AWS provider 5.100.0 accepts, so not `ap-southeast-6`.
   * @default "us-east-1"
   */
  readonly region?: string;

  /**
   * Tags on every resource that supports them, in addition to `Project` and `Environment`.
   * Limit: 46, and 40 beside teams with instance types (50 a job or role); keys of 1-128 and values of 0-256 characters (SageMaker API, `TagKey`, `TagValue`); no `aws:` prefix;
   * keys must differ in more than case (IAM User Guide: a role's tag keys ignore case); not `StudioUser`, `JobTeams` and
   * `JobType1` to `6`, tags of users' roles by which IAM decides, and not `StudioSchedule`, which scheduled jobs have.
   * @default none
   */
  readonly tags?: Readonly<Record<string, string>>;
}

export type ResolvedBasics = Resolved<BasicSettings>;

export const basicDefaults = { region: "us-east-1", tags: {} } as const;

export const resolveBasics = ({ name, region, tags }: BasicSettings): ResolvedBasics => ({
  name,
  region: region ?? basicDefaults.region,
  tags: tags ?? basicDefaults.tags,
});

const nameRule = {
  allowed:
    '1 to 20 lower-case letters, digits and inner hyphens, starting with a letter, and not "constructor"',
  source: "every name derived from it must fit AWS's shortest limit, 63 characters of a bucket's name",
};

const checkName: Check = (value, report, settings) => {
  if (value === undefined) return report(value, "is missing: every environment needs a name", nameRule);
  if (!isString(value, report, nameRule)) return;
  if (value.length > 20) report(value, `has ${value.length} characters`, nameRule);
  else if (!/^[a-z](-*[a-z0-9])*$/.test(value)) report(value, "is not a valid environment name", nameRule);
  else if (value in Object.prototype) {
    // `constructor`: constructs looks its children up in a plain object, and finds one of that name already.
    report(value, "is a reserved word", {
      ...nameRule,
      source: "the library constructs",
    });
  } else if (value.includes("--") && settings.audit !== false) {
    report(value, "has two hyphens in a row, which the name of a trail may not have", {
      allowed: "single hyphens, or audit: false",
      source: "AWS CloudTrail API Reference, CreateTrail",
    });
  }
};

/** How the name of everything in an environment's stack begins; its Studio domain has just this name. */
export const prefixOf = (environmentName: string) => `marimo-${environmentName}`;

/**
 * An environment's bucket. Account and region make it unique in the world. 55 characters at most, with a prefix of 27.
 */
export const artifactBucketName = (bucket: {
  readonly prefix: string;
  readonly account: string;
  readonly region: string;
}) => `${bucket.prefix}-${bucket.account}-${bucket.region}`;

/**
 * The bucket of an environment's trail. The suffix is at the end, because `marimo-dev-trail` may be another
 * environment's prefix.
 */
export const trailBucketName = (bucket: Parameters<typeof artifactBucketName>[0]) =>
  `${artifactBucketName(bucket)}-trail`;

/** The tags that the stack itself sets on everything. */
const ownTagKeys: readonly string[] = ["Project", "Environment"];

const mostTags = 50;
/** Of a scheduled job. It has most: subnets have only `Name` besides, and `JobTeams` and `JobType1` are team-types.ts's. */
const ownTagKeysOfJob = [...ownTagKeys, userTag, scheduleTag];
const characters = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

const tagsRule = {
  allowed: 'keys with a string each, such as { CostCenter: "42" }',
  source: "src/settings/basics.ts",
};
const countRule = {
  allowed: `${mostTags - ownTagKeysOfJob.length} tags: ${mostTags} a job less the stack's own ${ownTagKeysOfJob.join(", ")}`,
  source: 'SageMaker API, TagList; the same in IAM (User Guide, "IAM and AWS STS quotas") and S3',
};
const keyRule = {
  allowed: "1 to 128 letters, digits, spaces and _ . : / = + - @",
  source: "SageMaker API, TagKey",
};
const valueRule = {
  allowed: "a string of 0 to 256 letters, digits, spaces and _ . : / = + - @",
  source: "SageMaker API, TagValue",
};
const prefixRule = {
  allowed: 'keys and values that do not begin with "aws:" in any case',
  source: 'IAM User Guide, "Rules for tagging in IAM and AWS STS"',
};
const caseRule = {
  allowed: "keys that differ in more than the case of their letters",
  source: 'IAM User Guide, "Rules for tagging in IAM and AWS STS": a role\'s tag keys ignore case',
};
/** Tags of users' roles, by which IAM decides: every role would have one that is in `tags`. */
const roleTagKeys = [userTag, teamTags.teams, ...teamTags.instanceTypes];
const reservedRule = {
  allowed: `any key but ${[...ownTagKeys, userTag, scheduleTag, teamTags.teams].join(", ")} and ${teamTags.instanceTypes[0]} to ${mostTeamTypes}, in any case`,
  source: "the stack sets these itself",
};

const checkTags: Check = (tags, report) => {
  if (!isRecord(tags)) return report(tags, "is not an object with tags", tagsRule);
  const entries = Object.entries(tags);
  if (entries.length + ownTagKeysOfJob.length > mostTags)
    report(tags, `has ${entries.length} tags`, countRule);

  const own = new Set([...ownTagKeys, ...roleTagKeys, scheduleTag].map((key) => key.toLowerCase()));
  const seen = new Map<string, string>();
  for (const [key, value] of entries) {
    const at = `[${JSON.stringify(key)}]`;
    const lowerCase = key.toLowerCase();
    const earlier = seen.get(lowerCase);
    if (lowerCase.startsWith("aws:")) report(key, "is a key with AWS's own prefix", prefixRule, at);
    else if (own.has(lowerCase)) report(key, "is a key of the stack's own tags", reservedRule, at);
    else if (earlier !== undefined) report(key, `collides with key "${earlier}"`, caseRule, at);
    else if (key === "" || lengthOf(key) > 128)
      report(key, `is a key of ${lengthOf(key)} characters`, keyRule, at);
    else if (!characters.test(key)) report(key, "is a key with other characters", keyRule, at);
    seen.set(lowerCase, key);

    if (!isString(value, report, valueRule, at)) continue;
    if (value.toLowerCase().startsWith("aws:")) report(value, "begins with AWS's own prefix", prefixRule, at);
    else if (lengthOf(value) > 256) report(value, `has ${lengthOf(value)} characters`, valueRule, at);
    else if (!characters.test(value)) report(value, "has other characters", valueRule, at);
  }
};

/** AWS counts Unicode characters, not UTF-16's halves of them. */
const lengthOf = (text: string): number => [...text].length;

export const basicChecks: Checks<BasicSettings> = {
  name: checkName,
  region: checkRegion,
  tags: checkTags,
};
