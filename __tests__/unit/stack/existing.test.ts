import { describe, expect, it } from "vitest";
import {
  accountId,
  arn,
  expression,
  keyArn,
  resource,
  resourceNames,
  statements,
  synthesize,
} from "../../support/synthesize.ts";

const encryptionKeyArn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const permissionsBoundaryArn = "arn:aws:iam::123456789012:policy/boundary";

/** What Terraform checks of a data source, as it stands in the JSON. */
function conditions(stack: ReturnType<typeof synthesize>, type: string, name: string): unknown[] {
  const data = stack.data[type]?.[name] as
    | { lifecycle?: Record<string, { condition: string; error_message: string }[]> }
    | undefined;
  return Object.values(data?.lifecycle ?? {})
    .flat()
    .map(({ condition }) => condition);
}

describe("the permissions boundary", () => {
  it("bounds every role that the stack makes, and is read first", () => {
    const budget = { monthlyUsd: 500, alertAddresses: ["ana@example.com"], stopAtPercent: 100 };
    const stack = synthesize({ permissionsBoundaryArn, guardRails: { budget } });
    const roles = Object.entries(stack.resource.aws_iam_role ?? {});
    expect(roles.map(([name]) => name).sort()).toEqual([
      "budget_role",
      "execution_role",
      "instance_limit_role",
      "network_flow_logs_role",
      "users_role",
    ]);
    for (const [name, role] of roles) {
      expect(role.permissions_boundary, name).toBe(
        expression("data.aws_iam_policy.permissions_boundary_policy.arn"),
      );
    }
    expect(stack.data.aws_iam_policy?.permissions_boundary_policy?.arn).toBe(permissionsBoundaryArn);
    expect(conditions(stack, "aws_iam_policy", "permissions_boundary_policy")).toEqual([
      expression(`(false || (${accountId.slice(2, -1)} == "123456789012"))`),
    ]);
  });

  it("may be AWS's own policy, whatever the account", () => {
    const stack = synthesize({ permissionsBoundaryArn: "arn:aws:iam::aws:policy/PowerUserAccess" });
    expect(conditions(stack, "aws_iam_policy", "permissions_boundary_policy")[0]).toContain("(true || ");
  });

  it("is on no role without the setting", () => {
    expect(synthesize().text).not.toContain("permissions_boundary");
  });
});

describe("an existing key", () => {
  const stack = () => synthesize({ existing: { encryptionKeyArn } });
  const found = expression("data.aws_kms_key.encryption_key.arn");

  it("takes the place of the stack's own everywhere", () => {
    expect(resourceNames(stack(), "aws_kms_key")).toEqual([]);
    expect(resourceNames(stack(), "aws_kms_alias")).toEqual([]);
    expect(stack().text).not.toContain(keyArn);
    // As many places as the own key has.
    const places = (text: string, arn: string) => text.split(arn).length;
    expect(places(stack().text, found)).toBe(places(synthesize().text, keyArn));
  });

  it("has to be enabled, and symmetric to encrypt with", () => {
    expect(conditions(stack(), "aws_kms_key", "encryption_key")).toEqual([
      expression('(self.key_state == "Enabled")'),
      expression('((self.key_spec == "SYMMETRIC_DEFAULT") && (self.key_usage == "ENCRYPT_DECRYPT"))'),
    ]);
  });

  it("comes with the statements that its policy must have: the own key's, without its administration", () => {
    const { AccountAdministration, ...others } = statements(synthesize(), "encryption_policy");
    expect(AccountAdministration).toBeDefined();
    expect(statements(stack(), "encryption_policy_statements")).toEqual(others);
    expect(stack().output.encryption_key_policy?.value).toBe(
      expression("data.aws_iam_policy_document.encryption_policy_statements.json"),
    );
    expect(synthesize().output).not.toHaveProperty("encryption_key_policy");
  });
});

describe("an existing bucket", () => {
  const stack = () => synthesize({ existing: { bucket: "acme-studio" }, audit: false });
  const name = expression("data.aws_s3_bucket.storage_bucket.id");

  it("takes the place of the stack's own and of its access logs", () => {
    const types = Object.keys(stack().resource).filter((type) => type.startsWith("aws_s3"));
    expect(types).toEqual(["aws_s3_object"]);
    for (const object of Object.values(stack().resource.aws_s3_object ?? {}))
      expect(object.bucket).toBe(name);
    expect(stack().output.artifact_bucket?.value).toBe(name);
    expect(stack().text).toContain(`export MARIMO_BUCKET='${name}'`);
  });

  it("is all that the execution role may read and write", () => {
    const arn = expression("data.aws_s3_bucket.storage_bucket.arn");
    const artifacts = statements(stack(), "execution_artifacts_document");
    // Nothing in it but the environment's own prefixes is listed, read or written.
    for (const { actions, condition, effect, resources = [] } of Object.values(artifacts)) {
      if (effect === "Deny" || !actions.some((action) => action.startsWith("s3:"))) continue;
      if (actions.includes("s3:ListBucket")) expect(condition?.[0]?.variable).toBe("s3:prefix");
      else if (!actions.includes("s3:GetBucketLocation"))
        for (const one of resources)
          expect(one.slice(arn.length)).toMatch(/^\/(marimo\/\w+|people\/.+|shared)\/\*$/);
    }
    expect(artifacts.PayloadIsReadOnly?.resources).toEqual([
      `${arn}/marimo/payload/*`,
      `${arn}/marimo/wheels/*`,
      `${arn}/marimo/schedules/*`,
    ]);
  });

  it("has to be in the environment's region", () => {
    expect(conditions(stack(), "aws_s3_bucket", "storage_bucket")).toEqual([
      expression('(strcontains(self.bucket_regional_domain_name, ".s3.us-east-1.") == true)'),
    ]);
  });
});

describe("the removal guard beside an existing bucket", () => {
  const guarded = (stack: ReturnType<typeof synthesize>) =>
    Object.keys(resource(stack, "terraform_data", "removal_guard_step").input as object);

  it("asks about the trail's bucket only, because no other one is deleted, and lists the backups in it", () => {
    expect(guarded(synthesize())).toContain("bucket");
    const input = guarded(synthesize({ existing: { bucket: "acme-studio" } }));
    expect(input.filter((name) => name.includes("bucket"))).toEqual(["backup_bucket", "trail_bucket"]);
    expect(input).toContain("domain_id");
  });
});

describe("an existing execution role", () => {
  const executionRoleArn = "arn:aws:iam::123456789012:role/team/studio";
  const stack = () => synthesize({ existing: { executionRoleArn } });

  it("takes the place of the stack's own, found by its name", () => {
    expect(resourceNames(stack(), "aws_iam_role")).toEqual(["instance_limit_role", "network_flow_logs_role"]);
    expect(stack().data.aws_iam_role?.execution_role?.name).toBe("studio");
    expect(stack().output.execution_role_arn?.value).toBe(expression("data.aws_iam_role.execution_role.arn"));
    expect(stack().text).not.toContain(expression("aws_iam_role.execution_role.name"));
  });

  it("is given the same policies, under names that no one else's policies have", () => {
    for (const name of ["spaces", "artifacts"]) {
      expect(resource(stack(), "aws_iam_policy_attachment", `execution_${name}_attachment`)).toMatchObject({
        name: `marimo-dev-${name}`,
        roles: [expression("data.aws_iam_role.execution_role.name")],
      });
    }
    const document = "execution_spaces_document";
    // Everybody's jobs are the one role's own, and nobody has a schedule group.
    const { ReadLogsOfJobs, ...same } = statements(stack(), document);
    expect(ReadLogsOfJobs?.resources).toEqual([
      arn("logs", "log-group:/aws/sagemaker/*Jobs:log-stream:marimo-dev-*"),
    ]);
    expect(statements(synthesize(), document)).toMatchObject(same);
  });

  it("has the objects of all people, because the role is everybody's", () => {
    const document = "execution_artifacts_document";
    const [one, many] = [statements(stack(), document), statements(synthesize(), document)];
    const bucketArn = expression("aws_s3_bucket.storage_artifacts_bucket.arn");
    expect(one.ChangeObjects?.resources).toEqual([`${bucketArn}/shared/*`, `${bucketArn}/people/*`]);
    expect(JSON.stringify(one)).not.toContain("PrincipalTag");
    // Control: roles of users, and nothing else differs.
    expect(JSON.stringify(many)).toContain("PrincipalTag");
    const { ListObjects, ReadObjects, ChangeObjects, ...same } = one;
    expect(many).toMatchObject(same);
    expect([ListObjects, ReadObjects, ChangeObjects]).not.toContain(undefined);
  });

  it("has the guard-rails attached, by policies of this environment's name", () => {
    const guarded = synthesize({ existing: { executionRoleArn }, guardRails: { maximumSpacesPerUser: 2 } });
    expect(resource(guarded, "aws_iam_policy", "guard_rails_spaces_policy").name).toBe(
      "marimo-dev-guard-rails-spaces",
    );
    expect(resource(guarded, "aws_iam_policy_attachment", "guard_rails_spaces_attachment").roles).toEqual([
      expression("data.aws_iam_role.execution_role.name"),
    ]);
  });

  it("has to be of this account, there under that path, and SageMaker's to assume", () => {
    const [account, found, trust, ...others] = conditions(stack(), "aws_iam_role", "execution_role").sort();
    expect(others).toEqual([]);
    expect([account, found]).toEqual([
      expression(`(${accountId.slice(2, -1)} == "123456789012")`),
      expression(`(self.arn == "${executionRoleArn}")`),
    ]);
    expect(trust).toMatch(
      /self\.assume_role_policy.*, data\.aws_service_principal\.\w+\.name\).*"sts:assumerole"/,
    );
  });
});

describe("an existing network", () => {
  const vpcId = "vpc-0123456789abcdef0";
  const subnetIds = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"];
  const stack = () =>
    synthesize({
      existing: { network: { vpcId, subnetIds } },
      audit: false,
      userProfiles: [{ name: "ana" }, { name: "bo" }],
    });
  const idOf = (subnetId: string) => expression(`data.aws_subnet.network_${subnetId}.id`);

  it("takes the place of the stack's own, which makes nothing but the spaces' security groups in it", () => {
    const made = Object.keys(stack().resource).filter(
      (type) => !/^aws_(s3|sagemaker|kms|iam|scheduler)/.test(type),
    );
    expect(Object.keys(stack().resource.terraform_data ?? {}).sort()).toEqual([
      "home_file_system_key_step",
      "removal_guard_step",
      "state_account",
    ]);
    expect(made.sort()).toEqual([
      "aws_cloudwatch_event_rule",
      "aws_cloudwatch_event_target",
      "aws_security_group",
      "aws_sfn_state_machine",
      "terraform_data",
    ]);
    expect(resource(stack(), "aws_sagemaker_domain", "studio_domain")).toMatchObject({
      vpc_id: expression("data.aws_vpc.network_vpc.id"),
      subnet_ids: subnetIds.map(idOf),
      app_network_access_type: "VpcOnly",
    });
  });

  it("is not cleaned up after its domains, which may have other owners", () => {
    expect(stack().text).not.toContain("home_file_system_cleanup");
    expect(synthesize().text).toContain("home_file_system_cleanup");
  });

  it("has to have private subnets in two zones, and DNS", () => {
    for (const subnetId of subnetIds) {
      expect(stack().data.aws_subnet?.[`network_${subnetId}`]?.id).toBe(subnetId);
      expect(conditions(stack(), "aws_subnet", `network_${subnetId}`)).toEqual([
        expression(`(self.vpc_id == "${vpcId}")`),
        expression("!self.map_public_ip_on_launch"),
      ]);
    }
    const zones = subnetIds.map((id) => `data.aws_subnet.network_${id}.availability_zone`).join(", ");
    expect(conditions(stack(), "aws_vpc", "network_vpc").sort()).toEqual([
      expression(`(length(distinct([${zones}])) > 1)`),
      expression("(self.enable_dns_support && self.enable_dns_hostnames)"),
    ]);
  });

  it("is warned of for every plan where it has fewer than two free addresses a user", () => {
    const { check } = JSON.parse(stack().text) as {
      check: Record<string, { assert: { condition: string; error_message: string }[] }>;
    };
    const free = subnetIds.map((id) => `data.aws_subnet.network_${id}.available_ip_address_count`).join(", ");
    expect(check.network_addresses?.assert[0]?.condition).toBe(expression(`(sum([${free}]) >= 4)`));
    expect(check.network_addresses?.assert[0]?.error_message).toContain("for 2 users");
  });
});

describe("an existing domain", () => {
  const domainId = "d-0123456789ab";
  const executionRoleArn = "arn:aws:iam::123456789012:role/analysts";
  const attached = () => synthesize({ existing: { domainId }, audit: false });
  const lifecycleConfiguration = (name: string) =>
    `aws_sagemaker_studio_lifecycle_config.lifecycle_configuration_${name}.arn`;

  it("gets the repositories in its spaces, and no offer in settings that are not the stack's", () => {
    const { resource, text } = synthesize({
      existing: { domainId },
      repositories: ["https://github.com/acme/models"],
    });
    expect(JSON.stringify(resource)).toContain("MARIMO_REPOSITORIES=https://github.com/acme/models");
    expect(text).not.toMatch(/code_?repositor/i);
  });

  it("lists the secrets of its repositories in the policies that its roles must have", () => {
    const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:git-AbCdEf";
    const repositories = [{ repositoryUrl: "https://github.com/acme/models", secretArn }];
    const stack = synthesize({ existing: { domainId }, repositories });
    expect(statements(stack, "execution_packages_document").ReadSecrets?.resources).toEqual([secretArn]);
    expect(stack.output.execution_role_policies?.value).toMatchObject({
      packages: expression("data.aws_iam_policy_document.execution_packages_document.json"),
    });
    expect(attached().output.execution_role_policies?.value).not.toHaveProperty("packages");
  });

  it("gets payload and one lifecycle configuration for each app, and nothing of Studio or a network is made", () => {
    const made = Object.keys(attached().resource).filter((type) => !/^aws_(s3|kms)/.test(type));
    expect(made).toEqual(["aws_sagemaker_studio_lifecycle_config", "terraform_data"]);
    expect(resourceNames(attached(), "terraform_data")).toEqual(["state_account"]);
    expect(resourceNames(attached(), "aws_sagemaker_studio_lifecycle_config")).toEqual([
      "lifecycle_configuration_code_editor_domain",
      "lifecycle_configuration_domain",
    ]);
    expect(attached().output.lifecycle_configuration_arn?.value).toBe(
      expression(lifecycleConfiguration("domain")),
    );
    expect(attached().data.aws_cloudcontrolapi_resource?.studio_domain).toMatchObject({
      type_name: "AWS::SageMaker::Domain",
      identifier: domainId,
    });
  });

  it("is changed by its owner, with commands that keep its other settings", () => {
    const properties = "data.aws_cloudcontrolapi_resource.studio_domain.properties";
    const app = (name: string, configuration: string) =>
      `"${name}AppSettings" = merge(try(jsondecode(${properties}).DefaultUserSettings.${name}AppSettings, {}), ` +
      `{"BuiltInLifecycleConfigArn" = ${lifecycleConfiguration(configuration)}})`;
    const apps = [app("JupyterLab", "domain"), app("CodeEditor", "code_editor_domain")].join(", ");
    const settings = expression(`replace(jsonencode({${apps}}), "'", "'\\\\''")`);
    expect(attached().output.update_domain_command?.value).toBe(
      `aws sagemaker update-domain --region us-east-1 --domain-id ${domainId} --default-user-settings '${settings}'`,
    );
    expect(attached().output.update_user_profile_command?.value).toBe(
      `aws sagemaker update-user-profile --region us-east-1 --domain-id ${domainId} --user-profile-name NAME ` +
        `--user-settings '${settings}'`,
    );
  });

  it("gives its role the policies that spaces need, or outputs them", () => {
    const named = synthesize({ existing: { domainId, executionRoleArn } });
    expect(resourceNames(named, "aws_iam_policy")).toHaveLength(2);
    expect(named.output).not.toHaveProperty("execution_role_policies");
    expect(resourceNames(attached(), "aws_iam_policy")).toEqual([]);
    expect(attached().output.execution_role_policies?.value).toEqual(
      Object.fromEntries(
        ["artifacts", "spaces"].map((name) => [
          name,
          expression(`data.aws_iam_policy_document.execution_${name}_document.json`),
        ]),
      ),
    );
  });
});
