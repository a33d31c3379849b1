import { describe, expect, it } from "vitest";
import type { AiSettings } from "../../../src/settings/ai.ts";
import { ai as everyAi } from "../../support/every-environment.ts";
import { accountId, partition, resourceNames, statements, synthesize } from "../../support/synthesize.ts";

const claude = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const team = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/team1234abcd";
const invoke = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"];
const model = (region: string, id: string) => `arn:${partition}:bedrock:${region}::foundation-model/${id}`;
const own = (resource: string, region = "us-east-1") =>
  `arn:${partition}:bedrock:${region}:${accountId}:${resource}`;
const userProfiles = [{ name: "ana" }];
const withAi = (ai: AiSettings) =>
  Object.values(statements(synthesize({ userProfiles, ai }), "execution_ai_document"));
const sids = (ai: AiSettings) => withAi(ai).map(({ sid }) => sid);

describe("the policy of `ai`", () => {
  it("is in no stack without the setting, nor is anything else of Bedrock's", () => {
    const stack = synthesize({ egress: "endpoints-only", userProfiles });
    expect(resourceNames(stack, "aws_iam_policy")).not.toContain("execution_ai_policy");
    expect(JSON.stringify(stack.resource.aws_vpc_endpoint)).not.toContain("bedrock");
    expect(resourceNames(synthesize({ userProfiles, ai: everyAi }), "aws_iam_policy")).toContain(
      "execution_ai_policy",
    );
  });

  it("allows a model in its Region", () => {
    expect(withAi({ chatModel: "amazon.nova-lite-v1:0", region: "us-west-2" })).toEqual([
      { sid: "Models", actions: invoke, resources: [model("us-west-2", "amazon.nova-lite-v1:0")] },
    ]);
  });

  it("allows an inference profile, and its model in every Region only through a profile", () => {
    const found = withAi({ chatModel: `us.${claude}`, editModel: `global.${claude}` });
    expect(found).toMatchObject([
      {
        sid: "InferenceProfiles",
        actions: ["bedrock:GetInferenceProfile", ...invoke],
        resources: [own(`inference-profile/us.${claude}`), own(`inference-profile/global.${claude}`)],
      },
      {
        sid: "ModelsOfInferenceProfiles",
        resources: [model("*", claude)],
        condition: [{ variable: "bedrock:InferenceProfileArn", values: [own("inference-profile/*")] }],
      },
    ]);
    expect(JSON.stringify(found)).not.toContain("aws:RequestedRegion");
  });

  it("allows an application inference profile, and any model only through that profile", () => {
    expect(withAi({ chatModel: team })).toMatchObject([
      { sid: "InferenceProfiles", resources: [team] },
      {
        sid: "ModelsOfApplicationProfiles",
        resources: [model("*", "*")],
        condition: [{ test: "ArnLike", variable: "bedrock:InferenceProfileArn", values: [team] }],
      },
    ]);
  });

  it.each([
    ["1", ":1"],
    ["DRAFT", ""],
  ])("denies calls without version %s of the guardrail", (version, suffix) => {
    const found = withAi({ chatModel: team, guardrail: { id: "abcd1234efgh", version } });
    expect(found.find(({ effect }) => effect === "Deny")).toMatchObject({
      sid: "OnlyWithTheGuardrail",
      actions: invoke,
      resources: ["*"],
      condition: [
        {
          test: "StringNotEquals",
          variable: "bedrock:GuardrailIdentifier",
          values: [own(`guardrail/abcd1234efgh${suffix}`)],
        },
      ],
    });
    // Control.
    expect(sids({ chatModel: team })).not.toContain("OnlyWithTheGuardrail");
  });

  it("is below IAM's limit with the most and the longest models", () => {
    const long = (index: number) => `apac.provider.${String.fromCharCode(97 + index).repeat(58)}-v1:0`;
    const models = Array.from({ length: 13 }, (_, index) => long(index));
    const [chatModel = "", editModel = "", autocompleteModel = "", ...allowedModels] = models;
    const guardrail = { id: "a".repeat(64), version: "99999999" };
    const text = JSON.stringify(
      withAi({ chatModel, editModel, autocompleteModel, allowedModels, guardrail, region: "ap-southeast-2" }),
    );
    // The references are longer than what they stand for.
    expect(
      text.replaceAll(accountId, "1".repeat(12)).replaceAll(partition, "aws-us-gov").length,
    ).toBeLessThan(6144);
  });

  it("is for all: shared spaces, people, and schedules with a person's rights", () => {
    const [attachment] = Object.entries(
      synthesize({ userProfiles, ai: everyAi }).resource.aws_iam_policy_attachment ?? {},
    ).filter(([name]) => name === "execution_ai_attachment");
    expect(String(attachment?.[1].roles)).toMatch(/execution_role.*users_role/);
  });
});

describe("the endpoint of `ai`", () => {
  const closed = { egress: "endpoints-only", userProfiles, ai: { chatModel: team } } as const;

  it("is in a VPC without internet, takes requests of this account, and is part of the perimeter", () => {
    const stack = synthesize(closed);
    expect(stack.resource.aws_vpc_endpoint?.network_bedrock_runtime_endpoint?.service_name).toMatch(
      /\.us-east-1\.bedrock-runtime$/,
    );
    expect(statements(stack, "network_bedrock_runtime_endpoint_policy")).toMatchObject({
      Bedrock: {
        actions: ["bedrock:ApplyGuardrail", ...invoke],
        condition: [{ variable: "aws:PrincipalAccount", values: [accountId] }],
      },
    });
    const { OnlyThroughTheVpc } = statements(stack, "execution_artifacts_document");
    expect(JSON.stringify(OnlyThroughTheVpc)).toContain("network_bedrock_runtime_endpoint.id");
  });

  it("is not in one with a NAT gateway", () => {
    expect(resourceNames(synthesize({ ...closed, egress: "nat" }), "aws_vpc_endpoint")).toEqual([
      "network_s3_endpoint",
    ]);
  });
});
