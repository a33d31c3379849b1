import { describe, expect, it } from "vitest";
import { validateEnvironments } from "../../../src/settings/validate.ts";
import { synthesizeEvery } from "../../support/every-environment.ts";
import { accountId, arn, expression, resource, statements, synthesize } from "../../support/synthesize.ts";

const each = `marimo-dev-user-${expression("lower(each.key)")}`;

describe("a user's role", () => {
  it("is one for each user profile, named and tagged in lower case as SageMaker writes ARNs", () => {
    expect(resource(synthesize(), "aws_iam_role", "users_role")).toMatchObject({
      for_each: expression("local.user_profiles"),
      name: each,
      tags: { StudioUser: expression("lower(each.key)") },
      force_detach_policies: true,
    });
  });

  it("is assumed by SageMaker, and by EventBridge Scheduler for exactly the user's schedule group", () => {
    const stack = synthesize();
    const group = (name: string) => arn("scheduler", `schedule-group/${name}`);
    expect(resource(stack, "aws_scheduler_schedule_group", "users_schedules")).toMatchObject({
      for_each: expression("local.user_profiles"),
      name: each,
    });
    const trust = statements(stack, "users_trust");
    expect(Object.keys(trust)).toEqual(["SageMaker", "Scheduler"]);
    expect(trust.Scheduler?.condition).toEqual([
      { test: "StringEquals", variable: "aws:SourceAccount", values: [accountId] },
      { test: "ArnLike", variable: "aws:SourceArn", values: [group("marimo-dev-user-USER")] },
    ]);
    // Terraform puts the name into it: `lower` yields no upper case, so nothing else can be replaced.
    expect(resource(stack, "aws_iam_role", "users_role").assume_role_policy).toBe(
      expression(`replace(data.aws_iam_policy_document.users_trust.json, "marimo-dev-user-USER", "${each}")`),
    );
  });

  it("is that of the user's private spaces; the domain and shared spaces keep the execution role", () => {
    const stack = synthesize();
    const domain = resource(stack, "aws_sagemaker_domain", "studio_domain");
    const shared = { execution_role: expression("aws_iam_role.execution_role.arn") };
    expect(domain.default_user_settings).toMatchObject(shared);
    expect(domain.default_space_settings).toMatchObject(shared);
    expect(resource(stack, "aws_sagemaker_user_profile", "studio_profiles").user_settings).toMatchObject({
      execution_role: expression("local.users_role_arns[each.key]"),
    });
  });

  it("is read from a local value, as a reference to one role evaluates all: a plan takes the square of the users", () => {
    expect(synthesize().text).toContain("{ for key, val in aws_iam_role.users_role: key => val.arn }");
    for (const { text } of synthesizeEvery().values())
      expect(text).not.toMatch(/\baws_\w+\.\w+\[each\.key\]/);
  });

  it("does not exist beside an existing role, which everybody has", () => {
    const stack = synthesize({ existing: { executionRoleArn: "arn:aws:iam::123456789012:role/studio" } });
    expect(stack.text).not.toMatch(
      /users_role|users_schedules|PrincipalTag.StudioUser|RequestTag.StudioUser/,
    );
    expect(resource(stack, "aws_sagemaker_user_profile", "studio_profiles").user_settings).toMatchObject({
      execution_role: expression("data.aws_iam_role.execution_role.arn"),
    });
  });

  it("has at most 50 tags with the most that the settings allow: those of teams, the provider's and its own", () => {
    const tagsOf = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, ""]));
    const userProfiles = [{ name: "ana" }];
    const most = { tags: tagsOf(46), userProfiles };
    expect(validateEnvironments([{ name: "dev", ...most }])).toEqual([]);
    const { provider } = synthesize(most);
    const [{ tags } = { tags: {} }] = (provider.aws[0]?.default_tags ?? []) as { tags: object }[];
    // With StudioUser, and StudioSchedule of a scheduled job. SageMaker API, TagList: 50 tags.
    expect(Object.keys(tags)).toHaveLength(48);
    const types = [
      "ml.g5.24xlarge",
      "ml.g5.2xlarge",
      "ml.g5.4xlarge",
      "ml.g5.8xlarge",
      "ml.g5.12xlarge",
      "ml.g5.16xlarge",
    ];
    const access = { buckets: [{ name: "acme-lake" }] };
    const teams = [{ name: "x", members: ["ana"], access, allowedInstanceTypes: types }];
    const { locals } = synthesize({ tags: tagsOf(40), userProfiles, teams });
    // With Project, Environment, StudioUser and 40.
    expect(Object.keys((locals.users_team_tags as { ana: object }).ana)).toHaveLength(7);
    expect(validateEnvironments([{ name: "dev", tags: tagsOf(40), userProfiles, teams }])).toEqual([]);
    expect(validateEnvironments([{ name: "dev", tags: tagsOf(41), userProfiles, teams }])).toHaveLength(1);
  });

  it("has no policy for jobs where there are no users: the provider refuses an attachment to nobody", () => {
    const attached = (users: number) =>
      Object.keys(
        synthesize({ userProfiles: Array.from({ length: users }, (_, index) => ({ name: `u${index}` })) })
          .resource.aws_iam_policy_attachment ?? {},
      ).filter((name) => name.startsWith("job_users"));
    expect(attached(0)).toEqual([]);
    expect(attached(1)).toHaveLength(3);
  });

  it("has eleven policies with every setting, for which the account needs a higher quota", () => {
    const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:git-AbCdEf";
    const stack = synthesize({
      packageIndexUrl: "https://team-123456789012.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/",
      repositories: [{ repositoryUrl: "https://github.com/acme/models", secretArn }],
      images: [{ name: "geo", imageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/geo:1.0" }],
      tags: { CostCenter: "42" },
      jobs: { secrets: [secretArn] },
      guardRails: {
        allowedInstanceTypes: ["ml.t3.medium"],
        maximumSpacesPerUser: 2,
        requiredTags: ["CostCenter"],
        budget: { monthlyUsd: 500, alertAddresses: ["team@example.com"], stopAtPercent: 100 },
      },
    });
    // IAM User Guide, "IAM and AWS STS quotas": 10 for each role, unless raised, which src/plan-review/quotas.ts checks. The
    // budget's is attached by AWS Budgets.
    const policies = Object.keys(stack.resource.aws_iam_policy ?? {});
    expect(policies).toHaveLength(11);
    // Control: without them.
    expect(Object.keys(synthesize().resource.aws_iam_policy ?? {}).length).toBeLessThanOrEqual(6);
  });
});
