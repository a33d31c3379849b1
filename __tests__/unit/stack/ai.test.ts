import { describe, expect, it } from "vitest";
import type { AiSettings } from "../../../src/settings/ai.ts";
import { ai as everyAi } from "../../support/every-environment.ts";
import { KnownValues, type StackJson } from "../../support/known-values.ts";
import { type PolicyDocument, simulate } from "../../support/policy-simulator.ts";
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

  it("allows with `costByUser` only profiles of the user, and models only through a profile", () => {
    const costByUser = true;
    const found = withAi({
      chatModel: `us.${claude}`,
      autocompleteModel: "amazon.nova-lite-v1:0",
      costByUser,
    });
    const anyProfile = own("application-inference-profile/*");
    const through = { test: "ArnLike", variable: "bedrock:InferenceProfileArn", values: [anyProfile] };
    const equals = (variable: string, value: string) => ({ test: "StringEquals", variable, values: [value] });
    const common = { actions: ["bedrock:GetInferenceProfile", ...invoke], resources: [anyProfile] };
    expect(found).toEqual([
      {
        ...{ sid: "OwnInferenceProfiles", ...common },
        condition: [
          equals("aws:ResourceTag/Environment", "dev"),
          equals("aws:ResourceTag/StudioUser", "&{aws:PrincipalTag/StudioUser}"),
          { test: "StringLike", variable: "aws:PrincipalTag/StudioUser", values: ["?*"] },
        ],
      },
      {
        ...{ sid: "InferenceProfilesOfSharedSpaces", ...common },
        condition: [
          equals("aws:ResourceTag/Environment", "dev"),
          equals("aws:ResourceTag/StudioUser", "shared spaces"),
          { test: "Null", variable: "aws:PrincipalTag/StudioUser", values: ["true"] },
        ],
      },
      {
        ...{ sid: "Models", actions: invoke, resources: [model("us-east-1", "amazon.nova-lite-v1:0")] },
        condition: [through],
      },
      { ...common, sid: "InferenceProfiles", resources: [own(`inference-profile/us.${claude}`)] },
      {
        ...{ sid: "ModelsOfInferenceProfiles", actions: invoke, resources: [model("*", claude)] },
        condition: [through],
      },
    ]);
  });

  it("is below IAM's limit with the most and the longest models", () => {
    const long = (index: number) => `apac.provider.${String.fromCharCode(97 + index).repeat(58)}-v1:0`;
    const models = Array.from({ length: 13 }, (_, index) => long(index));
    const [chatModel = "", editModel = "", autocompleteModel = "", ...allowedModels] = models;
    const guardrail = { id: "a".repeat(64), version: "99999999" };
    const text = JSON.stringify(
      withAi({
        ...{ chatModel, editModel, autocompleteModel, allowedModels, guardrail, costByUser: true },
      }),
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

describe("the inference profiles of `costByUser`", () => {
  const chatModel = `us.${claude}`;
  const stack = synthesize({
    userProfiles: [{ name: "Ana" }, { name: "bo--b" }],
    ai: { chatModel, autocompleteModel: "amazon.nova-lite-v1:0", allowedModels: [team], costByUser: true },
  });
  const profiles = stack.resource.aws_bedrock_inference_profile ?? {};

  it("are one of each model for each user and for shared spaces, with their tags", () => {
    const claudes = "inference_profiles_us_anthropic_claude_sonnet_4_5_20250929_v1_0";
    const novas = "inference_profiles_amazon_nova_lite_v1_0";
    expect(Object.keys(profiles).toSorted()).toEqual(
      [novas, `${novas}_shared`, claudes, `${claudes}_shared`].toSorted(),
    );
    expect(profiles[claudes]).toMatchObject({
      for_each: `\${local.user_profiles}`,
      model_source: [{ copy_from: own(`inference-profile/${chatModel}`) }],
      tags: { StudioUser: `\${lower(each.key)}` },
    });
    const values = new KnownValues(stack as unknown as StackJson, () => "");
    const names = values
      .instances("aws_bedrock_inference_profile")
      .map(({ block, each }) => String(values.valueOf(block.name, each)));
    expect(new Set(names).size).toBe(6);
    for (const name of names) expect(name).toMatch(/^marimo-dev-[0-9a-f]{16}$/);
    expect(profiles[`${claudes}_shared`]).toMatchObject({ tags: { StudioUser: "shared spaces" } });
    expect(profiles[novas]).toMatchObject({
      model_source: [{ copy_from: model("us-east-1", "amazon.nova-lite-v1:0") }],
    });
    const without = synthesize({ userProfiles, ai: { chatModel } });
    expect(without.resource.aws_bedrock_inference_profile).toBeUndefined();
  });

  it("are open to their user only, and the models through them only", () => {
    const values = new KnownValues(stack as unknown as StackJson, () => "");
    const json = values.valueOf(`\${data.aws_iam_policy_document.execution_ai_document.json}`, undefined);
    const identity = [JSON.parse(String(json)) as PolicyDocument];
    const arn = (resource: string) => `arn:aws:bedrock:us-east-1:111122223333:${resource}`;
    const profile = arn("application-inference-profile/abcd1234efgh");
    const ask = (resource: string, user: string | undefined, context: Record<string, string>) =>
      simulate(
        { identity },
        {
          ...{ action: "bedrock:InvokeModelWithResponseStream", resource, context },
          tags: user === undefined ? {} : { StudioUser: user },
        },
      ).allowed;
    const of = (owner: string, environment = "dev") => ({
      "aws:ResourceTag/StudioUser": owner,
      "aws:ResourceTag/Environment": environment,
    });
    expect(ask(profile, "ana", of("ana"))).toBe(true);
    expect(ask(profile, undefined, of("shared spaces"))).toBe(true);
    for (const [user, tags] of [
      ["ana", of("bo")],
      ["ana", of("ana", "prod")],
      ["ana", of("shared spaces")],
      [undefined, of("ana")],
      ["", of("")],
      ["ana", {}],
    ] as const)
      expect(ask(profile, user, tags), JSON.stringify([user, tags])).toBe(false);
    const claudeElsewhere = `arn:aws:bedrock:us-west-2::foundation-model/${claude}`;
    const through = (one: string) => ({ "bedrock:InferenceProfileArn": one });
    expect(ask(claudeElsewhere, "ana", through(profile))).toBe(true);
    expect(ask(claudeElsewhere, "ana", through(arn(`inference-profile/us.${claude}`)))).toBe(false);
    expect(ask(claudeElsewhere, "ana", {})).toBe(false);
  });

  it("are listed in the bucket, in a place that only deployers write", () => {
    const { content, key } = stack.resource.aws_s3_object?.inference_profiles_list ?? {};
    expect(key).toBe("marimo/payload/inference-profiles.json");
    expect(content).toMatch(/^\$\{jsonencode\(.*"amazon\.nova-lite-v1:0".*lower\(key\) => val\.arn/s);
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
