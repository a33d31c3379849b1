import { describe, expect, it } from "vitest";
import {
  accountId,
  expression,
  keyArn,
  partition,
  resource,
  statements,
  synthesize,
} from "../../support/synthesize.ts";

const notifications = { emailDomains: ["example.com", "Example.org"] };
const user = "&{aws:PrincipalTag/StudioUser}";
const topicOf = (name: string) => `arn:${partition}:sns:us-east-1:${accountId}:marimo-dev-user-${name}`;
const on = (settings: Parameters<typeof synthesize>[0] = {}) =>
  synthesize({ userProfiles: [{ name: "Ana" }], jobs: { notifications }, ...settings });
const settingsOf = (stack: ReturnType<typeof synthesize>) =>
  JSON.parse(String(resource(stack, "aws_s3_object", "jobs_settings").content));

describe("notifications of users", () => {
  it("are off by default", () => {
    const stack = synthesize();
    expect(stack.text).not.toContain("user_topics");
    for (const sid of ["OwnTopic", "KeyForTheTopic"]) expect(stack.text).not.toContain(sid);
    expect(settingsOf(stack)).toMatchObject({ topicArnPrefix: null, emailDomains: [] });
  });

  it("have an encrypted topic for each user, whose policy leaves all to IAM", () => {
    const stack = on();
    const topic = resource(stack, "aws_sns_topic", "user_topics_topic");
    expect(topic.kms_master_key_id).toBe(keyArn);
    expect(topic.for_each).toBe(expression("local.user_profiles"));
    expect(topic.name).toBe("marimo-dev-user-${" + "lower(each.key)}");
    expect(topic.policy).toContain("replace(data.aws_iam_policy_document.user_topics_policy.json");
    const { AccountAdministration } = statements(stack, "user_topics_policy");
    expect(AccountAdministration?.principals).toEqual([
      { type: "AWS", identifiers: [`arn:${partition}:iam::${accountId}:root`] },
    ]);
    expect(settingsOf(stack)).toMatchObject({
      topicArnPrefix: topicOf(""),
      emailDomains: ["example.com", "example.org"],
    });
  });

  it("let a user publish to the own topic and add addresses of the domains", () => {
    const own = Object.assign(
      {},
      ...Object.keys(on().data.aws_iam_policy_document ?? {}).map((name) => statements(on(), name)),
    );
    expect(own.OwnTopic).toMatchObject({
      actions: ["sns:ListSubscriptionsByTopic", "sns:Publish"],
      resources: [topicOf(user)],
    });
    expect(own.OwnAddresses).toMatchObject({ actions: ["sns:Subscribe"], resources: [topicOf(user)] });
    expect(own.OwnAddresses.condition).toEqual(
      expect.arrayContaining([
        { test: "StringEquals", variable: "sns:Protocol", values: ["email"] },
        { test: "StringLike", variable: "sns:Endpoint", values: ["*@example.com", "*@example.org"] },
      ]),
    );
    expect(own.KeyForTheTopic.condition).toEqual([
      {
        test: "StringEquals",
        variable: "kms:ViaService",
        values: [expect.stringContaining("sns.us-east-1.")],
      },
    ]);
  });

  it("reach SNS by an endpoint without internet, only where they are on", () => {
    const services = (stack: ReturnType<typeof synthesize>) =>
      Object.keys(stack.resource.aws_vpc_endpoint ?? {}).filter((name) => name.includes("sns"));
    expect(services(on({ egress: "endpoints-only" }))).toEqual(["network_sns_endpoint"]);
    expect(services(synthesize({ egress: "endpoints-only" }))).toEqual([]);
    expect(services(on())).toEqual([]);
  });
});
