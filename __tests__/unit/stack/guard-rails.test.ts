import { describe, expect, it } from "vitest";
import type { GuardRailSettings } from "../../../src/settings/guard-rails.ts";
import {
  providerInstanceTypes,
  studioInstanceTypes,
} from "../../../src/settings/reference/instance-types.ts";
import {
  accountId,
  arn,
  expression,
  partition,
  resource,
  servicePrincipal,
  statements,
  synthesize,
} from "../../support/synthesize.ts";

const withGuardRails = (guardRails: GuardRailSettings, tags: Record<string, string> = {}) =>
  synthesize({ guardRails, tags });
const resources = [arn("sagemaker", "app/*"), arn("sagemaker", "space/*")];
const everyRole = expression(
  `concat([aws_iam_role.execution_role.name], [ for key, val in aws_iam_role.users_role: val.name])`,
);

/** Whether the policy is that of everybody's roles, and the domain waits for it. */
function expectAttached(stack: ReturnType<typeof synthesize>, name: string) {
  expect(resource(stack, "aws_iam_policy_attachment", `guard_rails_${name}_attachment`)).toMatchObject({
    roles: everyRole,
    policy_arn: `\${aws_iam_policy.guard_rails_${name}_policy.arn}`,
  });
  expect(resource(stack, "aws_iam_policy", `guard_rails_${name}_policy`)).toMatchObject({
    name: `marimo-dev-guard-rails-${name.replaceAll("_", "-")}`,
    policy: `\${data.aws_iam_policy_document.guard_rails_${name}_document.json}`,
  });
  expect(resource(stack, "aws_sagemaker_domain", "studio_domain").depends_on).toContain(
    `aws_iam_policy_attachment.guard_rails_${name}_attachment`,
  );
}

describe("guard-rails", () => {
  it("do not exist unless a setting asks for them, except for a small team's instance types", () => {
    const stack = synthesize({ defaultInstanceType: "ml.c5.18xlarge" });
    expect(Object.keys(stack.resource)).not.toContain("aws_budgets_budget");
    expect(stack.text).not.toMatch(/guard_rails_(spaces|tags)/);
    expect(stack.resource.aws_iam_role?.execution_role).not.toHaveProperty("force_detach_policies");
    const [allowed] =
      statements(stack, "guard_rails_instance_types_document").OtherInstanceTypes?.condition ?? [];
    expect(allowed?.values).toEqual(
      expect.arrayContaining(["ml.t3.medium", "ml.g5.xlarge", "ml.c5.18xlarge"]),
    );
    expect(JSON.stringify(allowed)).not.toMatch(/p[345]|metal/);
    // Control: any type.
    const any = withGuardRails({ allowedInstanceTypes: "any" });
    expect(any.text).not.toContain("guard_rails");
  });

  it("deny other instance types than the allowed, and Studio hides them", () => {
    const allowedInstanceTypes = ["ml.t3.medium", "ml.m5.large"];
    const stack = withGuardRails({ allowedInstanceTypes });
    expect(statements(stack, "guard_rails_instance_types_document")).toEqual({
      OtherInstanceTypes: {
        sid: "OtherInstanceTypes",
        effect: "Deny",
        actions: ["sagemaker:CreateApp", "sagemaker:CreateSpace", "sagemaker:UpdateSpace"],
        resources,
        condition: [
          {
            test: "ForAnyValue:StringNotEquals",
            variable: "sagemaker:InstanceTypes",
            values: allowedInstanceTypes,
          },
        ],
      },
    });
    expectAttached(stack, "instance_types");

    const profiles = resource(stack, "aws_sagemaker_user_profile", "studio_profiles");
    const domain = resource(stack, "aws_sagemaker_domain", "studio_domain");
    // Provider 5.100.0 knows no g7, g7e, p6-b200 and p5.4xlarge: those show, and IAM refuses them.
    const hidden = providerInstanceTypes.filter((type) => !allowedInstanceTypes.includes(type));
    expect(hidden).toHaveLength(studioInstanceTypes.length - 14 - 2);
    for (const settings of [profiles.user_settings, domain.default_user_settings])
      expect(settings).toMatchObject({ studio_web_portal_settings: { hidden_instance_types: hidden } });
    // Hiding more later must not become an UpdateDomain, which a VpcOnly domain refuses.
    expect(domain.lifecycle).toMatchObject({
      ignore_changes: expect.arrayContaining(["default_user_settings[0].studio_web_portal_settings"]),
    });
    expect(profiles).not.toHaveProperty("lifecycle");
  });

  it("hide one type that spaces do not run on where every type is allowed, because the provider sends no empty list", () => {
    const stack = withGuardRails({ allowedInstanceTypes: studioInstanceTypes });
    expect(resource(stack, "aws_sagemaker_user_profile", "studio_profiles").user_settings).toMatchObject({
      studio_web_portal_settings: { hidden_instance_types: ["ml.geospatial.interactive"] },
    });
  });

  it("allow a person as many spaces as there are names", () => {
    const stack = withGuardRails({ maximumSpacesPerUser: 3 });
    const space = (number: number) =>
      arn("sagemaker", `space/&{sagemaker:DomainId}/&{sagemaker:UserProfileName}-${number}`);
    expect(statements(stack, "guard_rails_spaces_document")).toEqual({
      SpacesByOtherNames: {
        sid: "SpacesByOtherNames",
        effect: "Deny",
        actions: ["sagemaker:CreateSpace"],
        not_resources: [space(1), space(2), space(3)],
      },
    });
    expectAttached(stack, "spaces");
  });

  it("limit volumes on profiles and domain alike", () => {
    const stack = withGuardRails({ spaceVolumeGb: { default: 10, maximum: 20 } });
    const storage = {
      default_ebs_storage_settings: { default_ebs_volume_size_in_gb: 10, maximum_ebs_volume_size_in_gb: 20 },
    };
    const domain = resource(stack, "aws_sagemaker_domain", "studio_domain");
    const profiles = resource(stack, "aws_sagemaker_user_profile", "studio_profiles");
    for (const settings of [
      profiles.user_settings,
      domain.default_user_settings,
      domain.default_space_settings,
    ])
      expect(settings).toMatchObject({ space_storage_settings: storage });
  });

  it("keep the values of required tags, and of no other", () => {
    const stack = withGuardRails({ requiredTags: ["CostCenter"] }, { CostCenter: "42", Team: "a" });
    expect(Object.values(statements(stack, "guard_rails_tags_document"))).toEqual([
      {
        sid: "OtherTagValue1",
        effect: "Deny",
        actions: ["AddTags", "CreateApp", "CreatePipeline", "CreateProcessingJob", "CreateSpace"].map(
          (action) => `sagemaker:${action}`,
        ),
        resources: [arn("sagemaker", "*")],
        condition: [
          { test: "Null", variable: "aws:RequestTag/CostCenter", values: ["false"] },
          { test: "StringNotEquals", variable: "aws:RequestTag/CostCenter", values: ["42"] },
        ],
      },
    ]);
    expectAttached(stack, "tags");
    // A job must have the tag, too.
    expect(statements(stack, "job_users_jobs_document").SendJobs?.condition).toContainEqual({
      test: "Null",
      variable: "aws:RequestTag/CostCenter",
      values: ["false"],
    });
  });

  it("fit an IAM policy at their largest", () => {
    const key = (index: number) => `${index}`.padStart(128, "k");
    const tags = Object.fromEntries(Array.from({ length: 6 }, (_, index) => [key(index), "v".repeat(256)]));
    const stack = synthesize({
      name: "a2345678901234567890",
      tags,
      guardRails: {
        allowedInstanceTypes: studioInstanceTypes,
        maximumSpacesPerUser: 40,
        requiredTags: Object.keys(tags),
      },
    });
    for (const name of ["instance_types", "spaces", "tags"]) {
      // As IAM counts: without white space, with what the variables stand for at their longest.
      const text = JSON.stringify(statements(stack, `guard_rails_${name}_document`))
        .replaceAll(partition, "aws-us-gov")
        .replaceAll(accountId, "123456789012")
        .replaceAll("us-east-1", "ap-southeast-1");
      expect(text.length, name).toBeLessThan(6144);
      expect(text.length, name).toBeGreaterThan(3000);
    }
  });
});

describe("the budget", () => {
  const budget = { monthlyUsd: 500, alertAddresses: ["team@example.com", "ops@example.com"] };

  it("counts what has the environment's tag, and alerts", () => {
    const stack = withGuardRails({ budget: { ...budget, alertPercents: [50, 100] } });
    expect(resource(stack, "aws_budgets_budget", "budget_budget")).toMatchObject({
      name: "marimo-dev",
      budget_type: "COST",
      limit_amount: "500",
      limit_unit: "USD",
      time_unit: "MONTHLY",
      cost_filter: [{ name: "TagKeyValue", values: ["user:Environment$dev"] }],
      notification: [50, 100].map((threshold) => ({
        comparison_operator: "GREATER_THAN",
        notification_type: "ACTUAL",
        threshold,
        threshold_type: "PERCENTAGE",
        subscriber_email_addresses: budget.alertAddresses,
      })),
    });
    expect(Object.keys(stack.resource)).not.toContain("aws_budgets_budget_action");
    expect(stack.text).not.toContain("BudgetIsSpent");
  });

  it("prevents apps from starting if the setting asks for it, with one policy on one role", () => {
    const stack = withGuardRails({ budget: { ...budget, stopAtPercent: 110 } });
    const policyArn = expression("aws_iam_policy.budget_stop_policy.arn");
    expect(Object.values(statements(stack, "budget_stop_document"))).toEqual([
      {
        sid: "BudgetIsSpent",
        effect: "Deny",
        actions: [
          "athena:StartQueryExecution",
          "bedrock:InvokeModel*",
          "sagemaker:CreateApp",
          "sagemaker:CreateEndpoint",
          "sagemaker:CreateHyperParameterTuningJob",
          "sagemaker:CreateProcessingJob",
          "sagemaker:CreateTrainingJob",
          "sagemaker:CreateTransformJob",
          "sagemaker:RetryPipelineExecution",
          "sagemaker:StartPipelineExecution",
        ],
        resources: [
          arn("athena", "workgroup/*"),
          `arn:${partition}:bedrock:*:*:*`,
          arn("sagemaker", "app/*"),
          arn("sagemaker", "endpoint/*"),
          arn("sagemaker", "hyper-parameter-tuning-job/*"),
          arn("sagemaker", "pipeline/*"),
          arn("sagemaker", "processing-job/*"),
          arn("sagemaker", "training-job/*"),
          arn("sagemaker", "transform-job/*"),
        ],
      },
    ]);
    expect(resource(stack, "aws_budgets_budget_action", "budget_stop")).toMatchObject({
      budget_name: expression("aws_budgets_budget.budget_budget.name"),
      action_type: "APPLY_IAM_POLICY",
      approval_model: "AUTOMATIC",
      action_threshold: { action_threshold_type: "PERCENTAGE", action_threshold_value: 110 },
      definition: { iam_action_definition: { policy_arn: policyArn, roles: everyRole } },
      execution_role_arn: expression("aws_iam_role.budget_role.arn"),
      subscriber: budget.alertAddresses.map((address) => ({ address, subscription_type: "EMAIL" })),
    });
    expect(Object.values(statements(stack, "budget_attach_document"))).toEqual([
      {
        sid: "TheOnePolicyOnTheseRoles",
        actions: ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
        resources: [
          expression("aws_iam_role.execution_role.arn"),
          `arn:${partition}:iam::${accountId}:role/marimo-dev-user-*`,
        ],
        condition: [{ test: "ArnEquals", variable: "iam:PolicyARN", values: [policyArn] }],
      },
    ]);
    expect(statements(stack, "budget_trust").Budgets).toMatchObject({
      principals: [{ type: "Service", identifiers: [servicePrincipal("budgets")] }],
      condition: [
        { variable: "aws:SourceAccount", values: [accountId] },
        { variable: "aws:SourceArn", values: [`arn:${partition}:budgets::${accountId}:budget/*`] },
      ],
    });
  });

  it("lets roles go that AWS Budgets has attached its policy to", () => {
    const stack = withGuardRails({ budget: { ...budget, stopAtPercent: 100 } });
    for (const name of ["execution_role", "users_role"])
      expect(resource(stack, "aws_iam_role", name)).toMatchObject({
        force_detach_policies: true,
        depends_on: ["aws_iam_policy.budget_stop_policy"],
      });
  });

  it("is for each user by the setting, and stops this user's role only", () => {
    const own = { monthlyUsd: 50, alertAddresses: ["team@example.com"], stopAtPercent: 100 };
    const stack = withGuardRails({ budgetPerUser: own });
    const each = `marimo-dev-user-\${lower(each.key)}`;
    expect(resource(stack, "aws_budgets_budget", "user_budgets_budget")).toMatchObject({
      for_each: expression("local.user_profiles"),
      name: each,
      limit_amount: "50",
      cost_filter: [
        { name: "TagKeyValue", values: [expression('join("$", ["user:StudioUser", lower(each.key)])')] },
      ],
    });
    const action = resource(stack, "aws_budgets_budget_action", "user_budgets_stop");
    expect(action).toMatchObject({
      for_each: expression("local.user_profiles"),
      budget_name: expression("local.user_budgets_budget_names[each.key]"),
      definition: {
        iam_action_definition: {
          policy_arn: expression("aws_iam_policy.budget_stop_policy.arn"),
          roles: [expression("local.users_role_names[each.key]")],
        },
      },
      execution_role_arn: expression("aws_iam_role.user_budgets_role.arn"),
    });
    // Neither the role of shared spaces nor another policy.
    expect(statements(stack, "user_budgets_attach_document").TheOnePolicyOnTheseRoles).toMatchObject({
      resources: [`arn:${partition}:iam::${accountId}:role/marimo-dev-user-*`],
      condition: [{ values: [expression("aws_iam_policy.budget_stop_policy.arn")] }],
    });
    expect(resource(stack, "aws_iam_role", "users_role")).toMatchObject({ force_detach_policies: true });
    expect(stack.resource.aws_budgets_budget).not.toHaveProperty("budget_budget");
    // Controls: alerts only, and a budget of the environment.
    const alerts = withGuardRails({ budgetPerUser: { ...own, stopAtPercent: undefined } as never });
    expect(Object.keys(alerts.resource)).not.toContain("aws_budgets_budget_action");
    expect(alerts.resource.aws_budgets_budget).toHaveProperty("user_budgets_budget");
    expect(withGuardRails({ budget: own }).text).not.toContain("user_budgets");
  });

  it("also stops the schedules of the settings", () => {
    const schedules = [
      { name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" },
    ];
    const stack = synthesize({ schedules, guardRails: { budget: { ...budget, stopAtPercent: 100 } } });
    const action = JSON.stringify(resource(stack, "aws_budgets_budget_action", "budget_stop").definition);
    expect(action).toContain("aws_iam_role.schedules_role.name");
    expect(statements(stack, "budget_attach_document").TheOnePolicyOnTheseRoles?.resources).toContain(
      expression("aws_iam_role.schedules_role.arn"),
    );
    expect(resource(stack, "aws_iam_role", "schedules_role")).toMatchObject({
      force_detach_policies: true,
      depends_on: ["aws_iam_policy.budget_stop_policy"],
    });
    // Control: without the setting the role has no such policy to outlive.
    expect(resource(synthesize({ schedules }), "aws_iam_role", "schedules_role")).not.toHaveProperty(
      "force_detach_policies",
    );
  });
});
