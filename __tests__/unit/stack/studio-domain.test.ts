import { describe, expect, it } from "vitest";
import { expression, keyArn, resource, synthesize } from "../../support/synthesize.ts";

const domainOf = (settings: Parameters<typeof synthesize>[0] = {}) =>
  resource(synthesize(settings), "aws_sagemaker_domain", "studio_domain");
const profilesOf = (settings: Parameters<typeof synthesize>[0] = {}) =>
  resource(synthesize(settings), "aws_sagemaker_user_profile", "studio_profiles");
const role = expression("aws_iam_role.execution_role.arn");
const lifecycleConfiguration = (name: string) =>
  `\${aws_sagemaker_studio_lifecycle_config.lifecycle_configuration_${name}.arn}`;
const storage = {
  default_ebs_storage_settings: { default_ebs_volume_size_in_gb: 5, maximum_ebs_volume_size_in_gb: 100 },
};
const idleAfter = (minutes: number) => ({
  app_lifecycle_management: {
    idle_settings: {
      lifecycle_management: "ENABLED",
      idle_timeout_in_minutes: minutes,
      min_idle_timeout_in_minutes: 60,
      max_idle_timeout_in_minutes: minutes,
    },
  },
});
const codeEditor = (name: string, minutes = 60) => ({
  built_in_lifecycle_config_arn: lifecycleConfiguration(`code_editor_${name}`),
  ...idleAfter(minutes),
});
const jupyterLab = (name: string, instanceType: string, minutes = 60) => ({
  built_in_lifecycle_config_arn: lifecycleConfiguration(name),
  default_resource_spec: { instance_type: instanceType },
  ...idleAfter(minutes),
});

describe("the domain", () => {
  it("is only in the private subnets, with the key", () => {
    expect(domainOf()).toMatchObject({
      domain_name: "marimo-dev",
      auth_mode: "IAM",
      app_network_access_type: "VpcOnly",
      vpc_id: expression("aws_vpc.network_vpc.id"),
      subnet_ids: [
        expression("aws_subnet.network_private_us-east-1a.id"),
        expression("aws_subnet.network_private_us-east-1b.id"),
      ],
      kms_key_id: keyArn,
      tag_propagation: "ENABLED",
    });
    // Propagated to the apps of each user, by which costs are counted.
    expect(profilesOf().tags).toEqual({ StudioUser: `\${lower(each.key)}` });
  });

  it("says the same to private and to shared spaces, but for their security group and Code Editor", () => {
    const domain = domainOf({ defaultInstanceType: "ml.m5.large", idleTimeoutMinutes: 120 });
    const shared = {
      execution_role: role,
      security_groups: [expression("aws_security_group.studio_shared_group.id")],
      jupyter_lab_app_settings: jupyterLab("domain", "ml.m5.large", 120),
      space_storage_settings: storage,
    };
    expect(domain.default_user_settings).toEqual({
      ...shared,
      code_editor_app_settings: codeEditor("domain", 120),
      security_groups: [expression("aws_security_group.studio_everyone_group.id")],
      default_landing_uri: "studio::",
      studio_web_portal: "ENABLED",
      studio_web_portal_settings: expect.anything(),
    });
    expect(domain.default_space_settings).toEqual(shared);
  });

  it("names no image for an instance type with a GPU, so that Studio may choose one for GPUs", () => {
    const { default_user_settings } = domainOf({ defaultInstanceType: "ml.g5.xlarge" });
    expect(default_user_settings).toMatchObject({
      jupyter_lab_app_settings: { default_resource_spec: { instance_type: "ml.g5.xlarge" } },
    });
    expect(JSON.stringify(default_user_settings)).not.toMatch(/image/i);
  });

  it("offers the repositories in JupyterLab, for shared spaces and added users too", () => {
    const repositories = ["https://github.com/acme/models", "https://github.com/acme/data.git"];
    const offered = { code_repository: repositories.map((repository_url) => ({ repository_url })) };
    const [first = "", repositoryUrl = ""] = repositories;
    // A private one by its address, without its secret.
    const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:git-AbCdEf";
    const settings = { repositories: [first, { repositoryUrl, secretArn }] };
    const { default_user_settings, default_space_settings } = domainOf(settings);
    for (const offering of [
      default_user_settings,
      default_space_settings,
      profilesOf(settings).user_settings,
    ]) {
      expect(offering).toMatchObject({ jupyter_lab_app_settings: offered });
      expect(offering).not.toMatchObject({ code_editor_app_settings: offered });
    }
  });

  it("never asks for an update that a VpcOnly domain refuses", () => {
    expect(domainOf().lifecycle).toMatchObject({
      ignore_changes: [
        "default_user_settings[0].jupyter_lab_app_settings",
        "default_user_settings[0].space_storage_settings",
        "default_space_settings[0].jupyter_lab_app_settings",
        "default_space_settings[0].space_storage_settings",
        "default_user_settings[0].code_editor_app_settings",
        "default_user_settings[0].studio_web_portal_settings",
      ],
    });
  });

  it.each(["Retain", "Delete"] as const)(
    "has %s for its home file system from the first apply",
    (retention) => {
      expect(domainOf({ homeFileSystemRetention: retention }).retention_policy).toEqual({
        home_efs_file_system: retention,
      });
    },
  );

  it("waits for the role's policies and for the clean-up that must come after it in a destroy", () => {
    expect(domainOf().depends_on).toEqual([
      "terraform_data.home_file_system_cleanup_step",
      "aws_iam_policy_attachment.execution_spaces_attachment",
      "aws_iam_policy_attachment.execution_artifacts_attachment",
      "aws_iam_policy_attachment.job_users_jobs_attachment",
      "aws_iam_policy_attachment.job_users_job_runtime_attachment",
      "aws_iam_policy_attachment.job_users_services_attachment",
      "aws_iam_policy_attachment.guard_rails_instance_types_attachment",
    ]);
  });

  it("is protected from removal by setting, as are the key and the buckets", () => {
    const protectedOnes = (settings: Parameters<typeof synthesize>[0]) => {
      const stack = synthesize(settings);
      return Object.values(stack.resource)
        .flatMap((ofType) => Object.entries(ofType))
        .filter(([, { lifecycle }]) => (lifecycle as { prevent_destroy?: boolean })?.prevent_destroy)
        .map(([name]) => name)
        .sort();
    };
    expect(protectedOnes({})).toEqual([
      "audit_logs_bucket",
      "encryption_key",
      "storage_artifacts_bucket",
      "studio_domain",
    ]);
    expect(protectedOnes({ homeFileSystemRetention: "Delete" })).toEqual([]);
    expect(protectedOnes({ removalProtection: false })).toEqual([]);
  });
});

describe("the user profiles", () => {
  it("carry whatever may have to change, with a security group each", () => {
    const profiles = profilesOf();
    expect(profiles).toMatchObject({
      for_each: expression("local.user_profiles"),
      domain_id: expression("aws_sagemaker_domain.studio_domain.id"),
      user_profile_name: expression("each.key"),
      depends_on: ["aws_s3_object.payload_current"],
    });
    expect(profiles.user_settings).toEqual({
      execution_role: expression("local.users_role_arns[each.key]"),
      security_groups: [expression("local.studio_profile_group_ids[each.key]")],
      jupyter_lab_app_settings: jupyterLab("profiles", expression("each.value")),
      code_editor_app_settings: codeEditor("profiles"),
      space_storage_settings: storage,
      default_landing_uri: "studio::",
      studio_web_portal: "ENABLED",
      studio_web_portal_settings: expect.anything(),
    });
    expect(profiles).not.toHaveProperty("lifecycle");
  });

  it("take a changed idle time-out for both apps", () => {
    expect(profilesOf({ idleTimeoutMinutes: 90 }).user_settings).toMatchObject({
      jupyter_lab_app_settings: idleAfter(90),
      code_editor_app_settings: codeEditor("profiles", 90),
    });
  });

  it("have a security group each, by the same map", () => {
    expect(resource(synthesize(), "aws_security_group", "studio_profile_group")).toMatchObject({
      for_each: expression("local.user_profiles"),
      name: `marimo-dev-user-${expression("each.key")}`,
    });
  });

  it("start with the environment's instance type unless they have their own", () => {
    const stack = synthesize({
      defaultInstanceType: "ml.m5.large",
      userProfiles: [{ name: "ana" }, { name: "bo", defaultInstanceType: "ml.g5.xlarge" }],
    });
    expect(stack.locals.user_profiles).toEqual({ ana: "ml.m5.large", bo: "ml.g5.xlarge" });
  });

  it("are users of IAM Identity Center with SSO, and only then", () => {
    expect(domainOf({ authentication: "SSO" }).auth_mode).toBe("SSO");
    expect(profilesOf({ authentication: "SSO" })).toMatchObject({
      single_sign_on_user_identifier: "UserName",
      single_sign_on_user_value: expression("each.key"),
    });
    expect(profilesOf()).not.toHaveProperty("single_sign_on_user_value");
    const users = [{ name: "ana", ssoUserName: "ana@example.com" }, { name: "bo" }];
    const stack = synthesize({ authentication: "SSO", userProfiles: users });
    expect(stack.locals.studio_sso_user_names).toEqual({ ana: "ana@example.com" });
    expect(profilesOf({ authentication: "SSO", userProfiles: users })).toMatchObject({
      single_sign_on_user_value: expression("lookup(local.studio_sso_user_names, each.key, each.key)"),
    });
  });

  it("cost the JSON one line each", () => {
    const lines = (users: number) =>
      synthesize({
        vpcCidr: "10.0.0.0/16",
        userProfiles: Array.from({ length: users }, (_, i) => ({ name: `user-${i}` })),
      }).text.split("\n").length;
    expect(lines(501) - lines(1)).toBe(500);
  });
});
