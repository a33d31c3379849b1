import { basicDefaults } from "./basics.ts";
import {
  type Check,
  type Checks,
  checkBoolean,
  checkList,
  checkParts,
  isRecord,
  isString,
  isWhole,
  quote,
  type Report,
  type Resolved,
} from "./problems.ts";
import { checkRegion, isRegion } from "./reference/regions.ts";
import { haveRoles } from "./user-names.ts";

/** A guardrail of the account, in the Region of the models. */
export interface GuardrailSettings {
  /** Limit: lower-case letters and digits (Amazon Bedrock API, `GuardrailIdentifier`). */
  readonly id: string;
  /** Limit: a number, or `DRAFT`. */
  readonly version: string;
}

/**
 * Models of Amazon Bedrock in marimo: chat, generated cells and inline completion. A model is named by its id, by the id of
 * a system-defined inference profile (`us.…`, `eu.…`, `global.…`), or by the ARN of an application inference profile,
 * whose tags say who pays.
 */
export interface AiSettings {
  /**
   * Region whose endpoint gets the requests. An inference profile sends them on to its own Regions, and `global.` to any.
   * Limit: with `egress: "endpoints-only"`, the environment's Region.
   * @default the environment's Region
   */
  readonly region?: string;
  /** Model of the chat panel. */
  readonly chatModel: string;
  /**
   * Model that generates and edits cells.
   * @default `chatModel`
   */
  readonly editModel?: string;
  /**
   * Model of inline completion, which each person turns on in marimo's settings: it sends the cell at each pause in typing.
   * @default no inline completion
   */
  readonly autocompleteModel?: string;
  /**
   * Longest reply, in tokens.
   * Limit: 1-128000.
   * @default 8192
   */
  readonly maxTokens?: number;
  /**
   * A guardrail that every request must name, by IAM: `{ id, version }`. marimo names it. Other code in a notebook gets an
   * error without `guardrailConfig`.
   * @default none
   */
  readonly guardrail?: GuardrailSettings;
  /**
   * Further models that people may choose in marimo or call in a notebook. IAM denies all others.
   * Limit: 1-10.
   * @default only the models above
   */
  readonly allowedModels?: readonly string[];
  /**
   * Whether each user, and all shared spaces together, call the models only through inference profiles of their own, with
   * the tags `Environment` and `StudioUser`. Activate both tags for cost allocation, and the bill says who spent what.
   * Limit: the models in the environment's Region; not with `existing.executionRoleArn` or `existing.domainId`.
   * @default false
   */
  readonly costByUser?: boolean;
}

export type ResolvedAi = Resolved<AiSettings, "autocompleteModel" | "guardrail">;

export const defaultMaxTokens = 8192;

export const resolveAi = (ai: AiSettings | undefined, region: string): ResolvedAi | undefined =>
  ai === undefined
    ? undefined
    : {
        region: ai.region ?? region,
        chatModel: ai.chatModel,
        editModel: ai.editModel ?? ai.chatModel,
        autocompleteModel: ai.autocompleteModel,
        maxTokens: ai.maxTokens ?? defaultMaxTokens,
        guardrail: ai.guardrail,
        allowedModels: ai.allowedModels ?? [],
        costByUser: ai.costByUser ?? false,
      };

/** Every model that the settings allow, each once. */
export const modelsOf = ({
  allowedModels,
  autocompleteModel,
  chatModel,
  editModel,
}: ResolvedAi): readonly string[] => [
  ...new Set([
    chatModel,
    editModel,
    ...(autocompleteModel === undefined ? [] : [autocompleteModel]),
    ...allowedModels,
  ]),
];

/** Inference profiles begin with a group of Regions (Amazon Bedrock User Guide, "Supported Regions and models"). */
const profileId = /^(?:us|us-gov|eu|apac|au|ca|in|jp|global)\.([a-z0-9-]+\..+)$/;
/** The model of a system-defined inference profile; undefined for a model, and for an application inference profile. */
export const modelOfProfile = (id: string): string | undefined => profileId.exec(id)?.[1];

/** Amazon Bedrock API, `ConversationalModelId`. The length keeps the policy of 13 models below IAM's limit. */
const modelPattern =
  /^(?!.{81})(?:[a-z0-9-]{1,7}\.)?[a-z0-9-]{1,63}\.[a-z0-9.-]{1,63}(?::[a-z0-9]{1,10}){0,2}$/;
const profileArn =
  /^arn:aws[a-z-]*:bedrock:([a-z0-9-]+):[0-9]{12}:application-inference-profile\/[a-z0-9]{1,64}$/;
export const isApplicationProfile = (model: string): boolean => profileArn.test(model);

const modelRule = {
  allowed:
    'the id of a model or an inference profile, such as "us.anthropic.claude-sonnet-4-5-20250929-v1:0", or the ARN of an ' +
    'application inference profile, "arn:aws:bedrock:REGION:ACCOUNT:application-inference-profile/ID"',
  source: "Amazon Bedrock API, Converse, modelId",
};
const types = "src/settings/ai.ts";
const guardrailRule = {
  allowed: 'an object such as { id: "abcd1234efgh", version: "1" }',
  source: "Amazon Bedrock API, GuardrailIdentifier and GuardrailVersion",
};

function checkModel(value: unknown, report: Report): void {
  if (!isString(value, report, modelRule)) return;
  if (value.startsWith("bedrock/"))
    report(value, "begins with marimo's name of the provider, which this setting leaves out", modelRule);
  else if (!modelPattern.test(value) && !profileArn.test(value))
    report(value, "is not a model of Amazon Bedrock", modelRule);
}

const text = (pattern: RegExp, problem: string): Check => {
  return (value, report) => {
    if (isString(value, report, guardrailRule) && !pattern.test(value)) report(value, problem, guardrailRule);
  };
};
const guardrailChecks: Checks<GuardrailSettings> = {
  id: text(/^[a-z0-9]{1,64}$/, "is not the id of a guardrail"),
  version: text(/^([1-9][0-9]{0,7}|DRAFT)$/, "is not a version of a guardrail"),
};

const costRule = {
  allowed: "costByUser: false, or users with roles of their own",
  source: "the inference profile that a user may call is chosen by the tag of their role",
};

const checks: Checks<AiSettings> = {
  region: checkRegion,
  chatModel: checkModel,
  editModel: checkModel,
  autocompleteModel: checkModel,
  maxTokens: (value, report) => {
    isWhole(value, report, { allowed: "a whole number of tokens, 1 to 128000", source: types }, 1, 128_000);
  },
  guardrail: (value, report, settings) => {
    if (!isRecord(value)) return report(value, "is not a guardrail", guardrailRule);
    for (const part of ["id", "version"])
      if (value[part] === undefined) report(undefined, "is missing", guardrailRule, `.${part}`);
    checkParts(value, guardrailChecks, report, settings);
  },
  allowedModels: (value, report) => {
    checkList(
      value,
      report,
      { ...modelRule, allowed: `1 to 10 models, each ${modelRule.allowed}` },
      1,
      10,
      checkModel,
    );
  },
  costByUser: (value, report, settings) => {
    checkBoolean(value, report, settings);
    if (value === true && !haveRoles(settings))
      report(value, "cannot be combined with `existing.executionRoleArn` or `existing.domainId`", costRule);
    if (value === true && typeof settings.name === "string" && settings.name.includes("--")) {
      report(value, `cannot be combined with the environment's name ${quote(settings.name)}`, {
        allowed: "costByUser: false, or a name without two hyphens in a row",
        source: "Amazon Bedrock API, InferenceProfileName",
      });
    }
  },
};

export const checkAi: Check = (value, report, settings) => {
  if (!isRecord(value)) {
    return report(value, "is not an object with settings of AI", {
      allowed: 'an object such as { chatModel: "us.anthropic.claude-sonnet-4-5-20250929-v1:0" }',
      source: types,
    });
  }
  if (value.chatModel === undefined) report(undefined, "is missing", modelRule, ".chatModel");
  checkParts(value, checks, report, settings);
  const environmentRegion = settings.region ?? basicDefaults.region;
  const region = value.region ?? environmentRegion;
  if (!isRegion(region) || !isRegion(environmentRegion)) return;
  if (value.costByUser === true && region !== environmentRegion) {
    const rule = {
      allowed: "the environment's Region beside costByUser: true",
      source: "the inference profiles are made in the environment's Region",
    };
    report(region, `is not ${environmentRegion}`, rule, ".region");
  }
  if (settings.egress === "endpoints-only" && region !== environmentRegion) {
    report(
      region,
      `is not ${environmentRegion}, whose endpoint the VPC has`,
      {
        allowed: 'the environment\'s Region beside egress: "endpoints-only"',
        source: "Amazon Bedrock User Guide, interface VPC endpoints",
      },
      ".region",
    );
  }
  const given: readonly (readonly [string, unknown])[] = [
    ...["chatModel", "editModel", "autocompleteModel"].map((part) => [`.${part}`, value[part]] as const),
    ...(Array.isArray(value.allowedModels) ? value.allowedModels : []).map(
      (model, index) => [`.allowedModels[${index}]`, model] as const,
    ),
  ];
  for (const [within, model] of given) {
    const found = typeof model === "string" ? profileArn.exec(model)?.[1] : undefined;
    if (found === undefined || found === region) continue;
    const rule = {
      allowed: `an inference profile in ${region}`,
      source: "the Region of `ai`, whose endpoint is called",
    };
    report(model, `is in Region ${found}`, rule, within);
  }
};
