import type {
  DataAwsIamPolicyDocumentStatement,
  DataAwsIamPolicyDocumentStatementCondition,
} from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { isApplicationProfile, modelOfProfile, modelsOf, type ResolvedAi } from "../../settings/ai.ts";
import { sharedSpaces, userTag } from "../../settings/names.ts";
import { userVariable, withUserTag } from "../identity/conditions.ts";
import type { AwsAccount } from "../support/aws-account.ts";

/** Converse and ConverseStream are authorized by these (Amazon Bedrock API, Converse). */
const invoke = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"];

/**
 * The models and inference profiles of the settings. A profile needs its own ARN, and its model's in all Regions that it may
 * send requests to (Amazon Bedrock User Guide, "Prerequisites for inference profiles"). No statement has a condition on the
 * Region: for a `global.` profile, `aws:RequestedRegion` is also `unspecified`. An application inference profile does not
 * say which model it has.
 *
 * With `costByUser`, a model is open only through an application inference profile, of which a user may call those with
 * the user's tag. Guess: a call also needs the system-defined profile that one is a copy of; its models stay closed to a
 * direct call.
 */
export function aiStatements(
  account: AwsAccount,
  ai: ResolvedAi,
  environment: string,
): DataAwsIamPolicyDocumentStatement[] {
  const own = (resource: string) => `arn:${account.partition}:bedrock:${ai.region}:${account.id}:${resource}`;
  const model = (region: string, id: string) =>
    `arn:${account.partition}:bedrock:${region}::foundation-model/${id}`;
  const models = modelsOf(ai);
  const applicationProfiles = models.filter(isApplicationProfile);
  const systemProfiles = models.filter((one) => modelOfProfile(one) !== undefined);
  const direct = models.filter((one) => !applicationProfiles.includes(one) && !systemProfiles.includes(one));
  const anyApplicationProfile = own("application-inference-profile/*");
  const through = (profiles: readonly string[]) => [
    { test: "ArnLike", variable: "bedrock:InferenceProfileArn", values: [...profiles] },
  ];
  const equals = (variable: string, value: string) => ({ test: "StringEquals", variable, values: [value] });
  const owned = (sid: string, tag: string, ...condition: DataAwsIamPolicyDocumentStatementCondition[]) => ({
    ...{ sid, actions: ["bedrock:GetInferenceProfile", ...invoke], resources: [anyApplicationProfile] },
    condition: [
      equals("aws:ResourceTag/Environment", environment),
      equals(`aws:ResourceTag/${userTag}`, tag),
      ...condition,
    ],
  });
  const { costByUser, guardrail } = ai;
  const guardrailArn = guardrail && own(`guardrail/${guardrail.id}`);
  return [
    ...(costByUser
      ? [
          owned("OwnInferenceProfiles", userVariable, ...withUserTag),
          owned("InferenceProfilesOfSharedSpaces", sharedSpaces, {
            ...{ test: "Null", variable: `aws:PrincipalTag/${userTag}`, values: ["true"] },
          }),
        ]
      : []),
    {
      sid: "Models",
      actions: invoke,
      resources: direct.map((id) => model(ai.region, id)),
      ...(costByUser ? { condition: through([anyApplicationProfile]) } : {}),
    },
    {
      sid: "InferenceProfiles",
      actions: ["bedrock:GetInferenceProfile", ...invoke],
      resources: [...systemProfiles.map((id) => own(`inference-profile/${id}`)), ...applicationProfiles],
    },
    {
      sid: "ModelsOfInferenceProfiles",
      actions: invoke,
      resources: [...new Set(systemProfiles.map((id) => model("*", modelOfProfile(id) ?? "")))],
      condition: through([costByUser ? anyApplicationProfile : own("inference-profile/*")]),
    },
    {
      sid: "ModelsOfApplicationProfiles",
      actions: invoke,
      resources: applicationProfiles.length === 0 ? [] : [model("*", "*")],
      condition: through(applicationProfiles),
    },
    ...(guardrail === undefined || guardrailArn === undefined
      ? []
      : [
          {
            // A request without a guardrail has no such key, which a negated operator matches. The version is part of the
            // value unless it is DRAFT (Amazon Bedrock User Guide, "Enforce the use of specific guardrails").
            sid: "OnlyWithTheGuardrail",
            effect: "Deny",
            actions: invoke,
            resources: ["*"],
            condition: [
              {
                test: "StringNotEquals",
                variable: "bedrock:GuardrailIdentifier",
                values: [
                  guardrail.version === "DRAFT" ? guardrailArn : `${guardrailArn}:${guardrail.version}`,
                ],
              },
            ],
          },
          { sid: "ApplyTheGuardrail", actions: ["bedrock:ApplyGuardrail"], resources: [guardrailArn] },
        ]),
  ].filter(({ resources }) => resources.length > 0);
}

/** For the interface endpoint: what the policy of the roles narrows further. */
export const aiEndpointStatement: DataAwsIamPolicyDocumentStatement = {
  sid: "Bedrock",
  actions: ["bedrock:ApplyGuardrail", ...invoke],
  resources: ["*"],
};
