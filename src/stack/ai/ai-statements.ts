import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { isApplicationProfile, modelOfProfile, modelsOf, type ResolvedAi } from "../../settings/ai.ts";
import type { AwsAccount } from "../support/aws-account.ts";

/** Converse and ConverseStream are authorized by these (Amazon Bedrock API, Converse). */
const invoke = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"];

/**
 * The models and inference profiles of the settings. A profile needs its own ARN, and its model's in all Regions that it may
 * send requests to (Amazon Bedrock User Guide, "Prerequisites for inference profiles"). No statement has a condition on the
 * Region: for a `global.` profile, `aws:RequestedRegion` is also `unspecified`. An application inference profile does not
 * say which model it has.
 */
export function aiStatements(account: AwsAccount, ai: ResolvedAi): DataAwsIamPolicyDocumentStatement[] {
  const own = (resource: string) => `arn:${account.partition}:bedrock:${ai.region}:${account.id}:${resource}`;
  const model = (region: string, id: string) =>
    `arn:${account.partition}:bedrock:${region}::foundation-model/${id}`;
  const models = modelsOf(ai);
  const applicationProfiles = models.filter(isApplicationProfile);
  const systemProfiles = models.filter((one) => modelOfProfile(one) !== undefined);
  const direct = models.filter((one) => !applicationProfiles.includes(one) && !systemProfiles.includes(one));
  const through = (profiles: readonly string[]) => [
    { test: "ArnLike", variable: "bedrock:InferenceProfileArn", values: [...profiles] },
  ];
  const { guardrail } = ai;
  const guardrailArn = guardrail && own(`guardrail/${guardrail.id}`);
  return [
    { sid: "Models", actions: invoke, resources: direct.map((id) => model(ai.region, id)) },
    {
      sid: "InferenceProfiles",
      actions: ["bedrock:GetInferenceProfile", ...invoke],
      resources: [...systemProfiles.map((id) => own(`inference-profile/${id}`)), ...applicationProfiles],
    },
    {
      sid: "ModelsOfInferenceProfiles",
      actions: invoke,
      resources: [...new Set(systemProfiles.map((id) => model("*", modelOfProfile(id) ?? "")))],
      condition: through([own("inference-profile/*")]),
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
