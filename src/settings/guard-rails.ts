import { basicDefaults } from "./basics.ts";
import { isExisting } from "./existing-lookup.ts";
import {
  type Check,
  type Checks,
  checkAddress,
  checkKeys,
  checkList,
  checkParts,
  isRecord,
  isWhole,
  quote,
  type Report,
  type Resolved,
  type Untyped,
} from "./problems.ts";
import { checkInstanceType } from "./reference/instance-types.ts";
import { partitionOf } from "./reference/regions.ts";
import { studioDefaults } from "./studio.ts";

/** A monthly budget with alerts. */
export interface BudgetSettings {
  /** Limit: 1 to 1000000000 US dollars a month. */
  readonly monthlyUsd: number;
  /** E-mail addresses for alerts. Limit: 1-10 (AWS Budgets API, `Notification`). */
  readonly alertAddresses: readonly string[];
  /**
   * Percentages of the budget at which AWS Budgets sends an alert.
   * Limit: 1-10 whole numbers, 1 to 1000 (AWS Budgets API, `NotificationsWithSubscribers`).
   * @default [50, 80, 100]
   */
  readonly alertPercents?: readonly number[];
  /**
   * Percentage of the budget at which AWS Budgets stops users from starting apps, jobs and rows of sweeps, and schedules
   * from starting jobs, by attaching a policy to their roles. Running apps and jobs continue until they are stopped. To
   * undo it, before the setting is removed:
   * `aws budgets execute-budget-action --execution-type REVERSE_BUDGET_ACTION`.
   * Limit of `budget`: 99 users, 98 with `schedules` (AWS Budgets API, IamActionDefinition, `Roles`: 100).
   * @default never: alerts only
   */
  readonly stopAtPercent?: number;
}

/** Limits that users cannot exceed. */
export interface GuardRailSettings {
  /**
   * Instance types that apps may use, or "any". IAM denies all others (condition key `sagemaker:InstanceTypes`), and
   * Studio hides them from the users in `userProfiles`, except the eight that AWS provider 5.100.0 does not know.
   * With every type allowed it hides `ml.geospatial.interactive`, because the provider cannot send an empty list.
   * Limit: SageMaker API, `AppInstanceType`; must include every `defaultInstanceType`.
   * @default those of a small team: t3, m5 to 4xlarge, r5 to 2xlarge, g4dn.xlarge and g5.xlarge, and every `defaultInstanceType`
   */
  readonly allowedInstanceTypes?: readonly string[] | "any";
  /**
   * How many spaces a user may have. SageMaker has no such limit, so IAM allows spaces by name: those of `ana` must be
   * named `ana-1`, `ana-2` and so on. That SageMaker's ARNs contain user names in lower case was not verified on AWS.
   * Limit: 1-40; user names in lower case.
   * @default any number, with any name
   */
  readonly maximumSpacesPerUser?: number;
  /**
   * Size of a space's volume in GB: of a new one, and the largest that a user may choose. A volume cannot shrink later.
   * Limit: 5-16384 (SageMaker API, `SpaceEbsVolumeSizeInGb`).
   * @default `{ default: 5, maximum: 100 }`
   */
  readonly spaceVolumeGb?: { readonly default?: number; readonly maximum?: number };
  /**
   * Keys that `tags` must have. Spaces and apps inherit them from the domain (`TagPropagation`), and IAM denies other
   * values.
   * Limit: 1-6, so that they fit an IAM policy.
   * @default none
   */
  readonly requiredTags?: readonly string[];
  /**
   * A budget for resources with the environment's tag `Environment`. First activate it as a cost allocation tag in the
   * paying account: until then AWS Budgets counts nothing.
   * Limit: commercial Regions, where prices are in US dollars.
   * @default none
   */
  readonly budget?: BudgetSettings;
  /**
   * A budget for each user, of resources with the user's tag `StudioUser`, in all environments of the account. First
   * activate it as a cost allocation tag in the paying account. With `stopAtPercent`, AWS Budgets attaches the policy to
   * this user's role only, and charges (guess) 0.10 US dollars a day for each such budget after the account's second.
   * Limit: commercial Regions; `stopAtPercent` not with `existing.executionRoleArn`.
   * @default none
   */
  readonly budgetPerUser?: BudgetSettings;
}

export type ResolvedBudget = Resolved<BudgetSettings, "stopAtPercent">;

type NotAsGiven = "allowedInstanceTypes" | "spaceVolumeGb" | "budget" | "budgetPerUser";
export interface ResolvedGuardRails
  extends Omit<Resolved<GuardRailSettings, "maximumSpacesPerUser">, NotAsGiven> {
  /** Undefined: any. */
  readonly allowedInstanceTypes: readonly string[] | undefined;
  readonly spaceVolumeGb: { readonly default: number; readonly maximum: number };
  readonly budget: ResolvedBudget | undefined;
  readonly budgetPerUser: ResolvedBudget | undefined;
}

const guardRailDefaults = {
  /** What a person works on every day, and one small GPU of each generation. */
  allowedInstanceTypes: [
    ...["ml.t3.medium", "ml.t3.large", "ml.t3.xlarge", "ml.t3.2xlarge"],
    ...["ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.m5.4xlarge"],
    ...["ml.r5.large", "ml.r5.xlarge", "ml.r5.2xlarge"],
    ...["ml.g4dn.xlarge", "ml.g5.xlarge"],
  ],
  spaceVolumeGb: { default: 5, maximum: 100 },
  requiredTags: [],
  alertPercents: [50, 80, 100],
} as const;

/** `started`: the types that spaces start with, which the default list has too. */
export function resolveGuardRails(
  settings: GuardRailSettings = {},
  started: readonly string[],
): ResolvedGuardRails {
  const { allowedInstanceTypes, budget, budgetPerUser } = settings;
  return {
    allowedInstanceTypes:
      allowedInstanceTypes === "any"
        ? undefined
        : (allowedInstanceTypes ?? [...new Set([...guardRailDefaults.allowedInstanceTypes, ...started])]),
    maximumSpacesPerUser: settings.maximumSpacesPerUser,
    spaceVolumeGb: {
      default: settings.spaceVolumeGb?.default ?? guardRailDefaults.spaceVolumeGb.default,
      maximum: settings.spaceVolumeGb?.maximum ?? guardRailDefaults.spaceVolumeGb.maximum,
    },
    requiredTags: settings.requiredTags ?? guardRailDefaults.requiredTags,
    budget: budget && resolveBudget(budget),
    budgetPerUser: budgetPerUser && resolveBudget(budgetPerUser),
  };
}

const resolveBudget = (budget: BudgetSettings): ResolvedBudget => ({
  monthlyUsd: budget.monthlyUsd,
  alertAddresses: budget.alertAddresses,
  alertPercents: budget.alertPercents ?? guardRailDefaults.alertPercents,
  stopAtPercent: budget.stopAtPercent,
});

const types = "src/settings/guard-rails.ts";
const rule = { allowed: "an object such as { maximumSpacesPerUser: 2 }", source: types };
const policySize = 'IAM User Guide, "IAM and AWS STS quotas": 6144 characters a policy';
/** With what else is in their policies: 117 characters for a name of a space, 720 for the longest tag. */
const most = { spaces: 40, requiredTags: 6 };
const volumeRule = {
  allowed: "a whole number of GB, 5 to 16384",
  source: "SageMaker API, SpaceEbsVolumeSizeInGb",
};
const spacesRule = { allowed: `a whole number of spaces, 1 to ${most.spaces}`, source: policySize };
const lettersRule = {
  allowed: "a tag whose key and value contain only Latin-1 characters, up to U+00FF",
  source: "IAM API, policyDocumentType",
};
const amountRule = { allowed: "a number of US dollars, 1 to 1000000000", source: types };
const percentRule = { allowed: "a whole number of per cent, 1 to 1000", source: types };

export const checkGuardRails: Check = (value, report, settings) => {
  if (!isRecord(value)) return report(value, "is not an object with guard rails", rule);
  checkParts(value, checks, report, settings);
};

/** What spaces are given for their start must be allowed: otherwise nobody could start one. */
const checkAllowedInstanceTypes: Check = (value, report, settings) => {
  if (value === "any") return;
  const listRule = { allowed: 'a list of at least one, such as ["ml.t3.medium"], or "any"', source: types };
  const allowed = checkList(value, report, listRule, 1, Number.POSITIVE_INFINITY, (type, at) =>
    checkInstanceType(type, at, settings),
  );
  if (allowed === undefined) return;
  const started = new Map<unknown, string>([
    [settings.defaultInstanceType ?? studioDefaults.defaultInstanceType, "defaultInstanceType"],
  ]);
  if (Array.isArray(settings.userProfiles)) {
    for (const [index, profile] of settings.userProfiles.entries()) {
      if (!isRecord(profile) || profile.defaultInstanceType === undefined) continue;
      const path = `userProfiles[${index}].defaultInstanceType`;
      if (!started.has(profile.defaultInstanceType)) started.set(profile.defaultInstanceType, path);
    }
  }
  for (const [type, path] of started) {
    if (allowed.includes(type)) continue;
    const rule = { allowed: "a list with every defaultInstanceType in it", source: types };
    report(value, `lacks ${quote(type)}, which is ${path}`, rule);
  }
};

/** IAM allows by name alone, so the names `<person>-<number>` must be ones that spaces can have. */
const checkMaximumSpaces: Check = (value, report, settings) => {
  if (!isWhole(value, report, spacesRule, 1, most.spaces)) return;
  if (!Array.isArray(settings.userProfiles)) return;
  const longest = 63 - `-${value}`.length;
  const nameRule = {
    allowed: `user profiles in lower case, of ${longest} characters at most, with this guard-rail`,
    source: 'SageMaker API, SpaceName: 63 characters; spaces are named after people, as "ana-1"',
  };
  for (const [index, profile] of settings.userProfiles.entries()) {
    const name: unknown = isRecord(profile) ? profile.name : undefined;
    if (typeof name !== "string") continue;
    if (name.length > longest || name !== name.toLowerCase())
      report(value, `does not fit ${quote(name)}, the name of userProfiles[${index}]`, nameRule);
  }
};

const checkSpaceVolume: Check = (value, report) => {
  const shape = { allowed: "an object such as { default: 5, maximum: 100 }", source: types };
  if (!isRecord(value)) return report(value, "is not an object with sizes", shape);
  checkKeys(value, ["default", "maximum"], report);
  const sizes = { ...guardRailDefaults.spaceVolumeGb, ...withoutUndefined(value) };
  const fine = Object.entries(sizes).every(
    ([key, size]) =>
      !["default", "maximum"].includes(key) ||
      isWhole(size, (given, problem, rule) => report(given, problem, rule, `.${key}`), volumeRule, 5, 16_384),
  );
  if (fine && Number(sizes.default) > Number(sizes.maximum)) {
    const rule = { allowed: "a default that is no larger than the maximum", source: "SageMaker API" };
    report(value, `has a default of ${sizes.default} GB and a maximum of ${sizes.maximum} GB`, rule);
  }
};

const checkRequiredTags: Check = (value, report, settings) => {
  const listRule = { allowed: `1 to ${most.requiredTags} keys of tags`, source: policySize };
  const tags = isRecord(settings.tags) ? settings.tags : {};
  checkList(value, report, listRule, 1, most.requiredTags, (key, at) => {
    const rule = { allowed: "a key that the environment's tags have", source: types };
    if (typeof key !== "string") at(key, "must be a string", rule);
    else if (!Object.hasOwn(tags, key)) at(key, "is required and not among the tags", rule);
    // Tags may have any letter; the policy that holds people to these may not.
    else if (!/^[\u0020-\u00ff]*$/.test(`${key}${tags[key]}`))
      at(key, "contains characters that IAM policies do not allow", lettersRule);
  });
};

/** The members of a budget, also of one for each user. */
const checkBudgetMembers: Check = (value, report, settings) => {
  const shape = {
    allowed: 'an object such as { monthlyUsd: 500, alertAddresses: ["team@example.com"] }',
    source: types,
  };
  if (!isRecord(value)) return report(value, "is not a budget", shape);
  const region = settings.region ?? basicDefaults.region;
  if (!["aws", undefined].includes(partitionOf(region))) {
    const allowed = "a budget in a commercial region";
    report(region, "is a region without a budget in US dollars", {
      allowed,
      source: "AWS Budgets, endpoints",
    });
  }
  checkKeys(value, ["monthlyUsd", "alertAddresses", "alertPercents", "stopAtPercent"], report);
  const within =
    (key: string): Report =>
    (given, problem, rule, part = "") =>
      report(given, problem, rule, `.${key}${part}`);

  const amount = value.monthlyUsd;
  if (typeof amount !== "number" || !(amount >= 1 && amount <= 1e9))
    within("monthlyUsd")(amount, "is not a valid budget amount", amountRule);
  const addresses = {
    allowed: "1 to 10 e-mail addresses",
    source: "AWS Budgets API, Notification: 10 a notification",
  };
  checkList(value.alertAddresses, within("alertAddresses"), addresses, 1, 10, checkAddress);
  if (value.alertPercents !== undefined) {
    const percents = {
      allowed: "1 to 10 whole numbers",
      source: "AWS Budgets API, NotificationsWithSubscribers",
    };
    checkList(value.alertPercents, within("alertPercents"), percents, 1, 10, (percent, at) => {
      isWhole(percent, at, percentRule, 1, 1000);
    });
  }
  if (value.stopAtPercent === undefined) return;
  isWhole(value.stopAtPercent, within("stopAtPercent"), percentRule, 1, 1000);
  if (isExisting(settings, "executionRoleArn")) {
    // Terraform detaches it only from a role that it deletes.
    within("stopAtPercent")(
      value.stopAtPercent,
      "would have a policy attached to existing.executionRoleArn",
      {
        allowed: "alerts only, unless the stack creates the role",
        source: "IAM API, DeletePolicy: no policy can go while it is attached",
      },
    );
  }
};

const checkBudget: Check = (value, report, settings) => {
  checkBudgetMembers(value, report, settings);
  if (!isRecord(value) || value.stopAtPercent === undefined) return;
  const users = Array.isArray(settings.userProfiles) ? settings.userProfiles.length : 0;
  const others = Array.isArray(settings.schedules) && settings.schedules.length > 0 ? 2 : 1;
  if (users + others > 100) {
    const problem = `would have a policy attached to ${users + others} roles`;
    const rule = {
      allowed: `at most ${100 - others} user profiles with it, or alerts only`,
      source: "AWS Budgets API, IamActionDefinition, Roles: 100",
    };
    report(value.stopAtPercent, problem, rule, ".stopAtPercent");
  }
};

const checks: Checks<GuardRailSettings> = {
  allowedInstanceTypes: checkAllowedInstanceTypes,
  maximumSpacesPerUser: checkMaximumSpaces,
  spaceVolumeGb: checkSpaceVolume,
  requiredTags: checkRequiredTags,
  budget: checkBudget,
  budgetPerUser: checkBudgetMembers,
};

const withoutUndefined = (settings: Untyped): Untyped =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
