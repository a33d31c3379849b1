import { describe, expect, it } from "vitest";
import type { Plan, ResourceChange, Values } from "../../../src/plan-review/plan.ts";
import { rules } from "../../../src/plan-review/risks/index.ts";
import { homeBackupDefaults } from "../../../src/settings/names.ts";
import { change, plan, replaced, review, risksOf } from "../../support/plan-fixture.ts";

const domain = {
  id: "d-abc",
  arn: "arn:aws:sagemaker:eu-west-1:123456789012:domain/d-abc",
  domain_name: "marimo-dev",
  app_network_access_type: "VpcOnly",
  vpc_id: "vpc-1",
  retention_policy: [{ home_efs_file_system: "Delete" }],
  default_user_settings: [{ execution_role: "arn:one" }],
  tags: { Team: "a" },
};
const domainAt = "aws_sagemaker_domain.studio_domain";
const arn = "arn:aws:sagemaker:eu-west-1:123456789012:studio-lifecycle-config/marimo-dev-1";
const profile = (name: string, domainId = "d-abc"): Values => ({
  domain_id: domainId,
  user_profile_name: name,
  user_settings: [
    { jupyter_lab_app_settings: [{ built_in_lifecycle_config_arn: arn, default_resource_spec: [] }] },
  ],
});
const profileAt = (name: string) => `aws_sagemaker_user_profile.studio_profiles["${name}"]`;
const people = {
  [profileAt("ana")]: profile("ana"),
  [profileAt("bo")]: profile("bo"),
  [profileAt("xi")]: profile("xi", "d-other"),
};

const policy = (...statements: object[]) => JSON.stringify({ Version: "2012-10-17", Statement: statements });
const read = { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::b/*" };
const deny = {
  Effect: "Deny",
  Action: "s3:*",
  Resource: "*",
  Principal: "*",
  Condition: { Bool: { "aws:SecureTransport": "false" } },
};
const policyAt = "aws_iam_role_policy.execution_artifacts";
const policyOf = (...statements: object[]): Values => ({
  role: "execution",
  name: "artifacts",
  policy: policy(...statements),
});
const settingsAt = 'aws_s3_object.payload_generated["settings.env"]';
const backedUp = (changed: object): Values => ({
  content: `MARIMO_TRANSPORT=auto\nMARIMO_HOME_BACKUP=${JSON.stringify({ ...homeBackupDefaults, ...changed })}\n`,
});
const ruleAt = "aws_vpc_security_group_ingress_rule.nfs";
const rule = (cidr: string, from = 443, to = from): Values => ({
  security_group_id: "sg-1",
  ip_protocol: "tcp",
  from_port: from,
  to_port: to,
  cidr_ipv4: cidr,
});
const group = { "aws_security_group.group": { id: "sg-1" } };
const workgroupAt = (user: string) => `aws_athena_workgroup.athena_users["${user}"]`;
const scans = (gb: number): Values => ({
  name: "marimo-dev-user",
  configuration: [{ bytes_scanned_cutoff_per_query: gb * 1024 ** 3 }],
});
const lifecycleRule = (days: number) => ({
  bucket: "b",
  rule: [{ id: "old", status: "Enabled", noncurrent_version_expiration: [{ noncurrent_days: days }] }],
});

const trailOf = (startsWith: string): Values => ({
  s3_bucket_name: "b",
  advanced_event_selector: [{ field_selector: [{ field: "resources.ARN", starts_with: [startsWith] }] }],
});
const eventRule = (type: string, arn: string): Values => ({
  event_pattern: JSON.stringify({ "detail-type": [type], detail: { arn: [arn] } }),
});

interface Case {
  readonly what: string;
  readonly risk: string;
  readonly changes: readonly ResourceChange[];
  /** A change of the same kind without the risk. */
  readonly harmless: readonly ResourceChange[];
  readonly there?: Readonly<Record<string, Values>>;
}

/** A profile with the role of this name. */
const withRole = (name: string, role: string): Values => ({
  ...profile(name),
  user_settings: [{ execution_role: `arn:aws:iam::123456789012:role/${role}` }],
});

/** A managed policy that denies other instance types than these. */
const otherTypes = (...types: string[]): Values => ({
  arn: "arn:types",
  policy: policy({
    Effect: "Deny",
    Action: "sagemaker:CreateApp",
    Resource: "*",
    Condition: { "ForAnyValue:StringNotEquals": { "sagemaker:InstanceTypes": types } },
  }),
});
const typesAt = "aws_iam_policy.guard_rails_instance_types_policy";
const jobTypes = (...types: string[]): Values => ({
  policy: policy({
    ...read,
    Condition: { "ForAllValues:StringEquals": { "sagemaker:InstanceTypes": types } },
  }),
});
const typesAttached = {
  "aws_iam_policy_attachment.types": { policy_arn: "arn:types", roles: ["execution"] },
};
const perimeter = {
  Effect: "Deny",
  Action: "s3:*",
  Resource: "*",
  Condition: { StringNotEquals: { "aws:SourceVpce": ["vpce-1"] } },
};
const spacesAt = "aws_iam_policy.execution_spaces_policy";

const userAt = 'aws_iam_role.users_role["ana"]';
const typesOf = (...types: readonly string[]) => ({
  name: "marimo-dev-user-ana",
  tags: Object.fromEntries(types.map((type, index) => [`JobType${index + 1}`, type])),
});
const limitAt = "aws_cloudwatch_event_rule.instance_limit_rule";
const upTo = (maximum: number): Values => ({
  event_pattern: JSON.stringify({ ResourceConfig: { InstanceCount: [{ numeric: [">", maximum] }] } }),
});
const timeoutAt = "aws_sfn_state_machine.endpoint_timeout_machine";
const hours = (count: number): Values => ({
  definition: JSON.stringify({ Output: { before: `{% $fromMillis($millis() - ${count * 3_600_000}) %}` } }),
});
const scheduleAt = "aws_scheduler_schedule.schedules_schedule_daily";
const scheduleAs = (role: string): Values => ({
  group_name: "marimo-dev",
  target: [{ input: JSON.stringify({ RoleArn: `arn:aws:iam::123456789012:role/${role}` }) }],
});

const grantAt = "aws_iam_policy.execution_access_policy";
const grant = (sid: string): Values => ({
  name: "marimo-dev-access",
  policy: policy({ ...read, Sid: sid }),
});
const aiAt = "aws_iam_policy.execution_ai_policy";
const aiPolicy = (...ids: string[]): Values => ({
  name: "marimo-dev-ai",
  policy: policy({
    Effect: "Allow",
    Action: "bedrock:InvokeModel",
    Resource: ids.map((id) => `arn:aws:bedrock:us-east-1:123456789012:inference-profile/${id}`),
  }),
});

const cases: readonly Case[] = [
  {
    what: "a grant of writing to everybody",
    risk: "data-access:execution_access_policy",
    changes: [change(grantAt, null, grant("ChangeObjects"))],
    harmless: [change(grantAt, null, grant("ReadObjects"))],
  },
  {
    what: "a model that answers in any Region",
    risk: "ai-regions:execution_ai_policy",
    changes: [change(aiAt, null, aiPolicy("global.anthropic.claude-x"))],
    harmless: [
      change(aiAt, aiPolicy("us.amazon.nova-pro-v1:0", "eu.a.b"), aiPolicy("us.amazon.nova-pro-v1:0")),
    ],
  },
  {
    what: "a list of instance types of apps that grows",
    risk: "wider-permissions:guard_rails_instance_types_policy",
    changes: [change(typesAt, otherTypes("ml.t3.medium"), otherTypes("ml.t3.medium", "ml.p4d.24xlarge"))],
    harmless: [change(typesAt, otherTypes("ml.t3.medium", "ml.p4d.24xlarge"), otherTypes("ml.t3.medium"))],
  },
  {
    what: "any instance type of apps",
    risk: "wider-permissions:guard_rails_instance_types_policy",
    changes: [change(typesAt, otherTypes("ml.t3.medium"), null)],
    harmless: [
      change(typesAt, otherTypes("ml.t3.medium"), null),
      change("aws_iam_role.role", { name: "execution" }, null),
    ],
    there: typesAttached,
  },
  {
    what: "a list of instance types of jobs that grows",
    risk: "wider-permissions:job_users_jobs_policy",
    changes: [
      change(
        "aws_iam_policy.job_users_jobs_policy",
        jobTypes("ml.m5.large"),
        jobTypes("ml.m5.large", "ml.p5.4xlarge"),
      ),
    ],
    harmless: [
      change(
        "aws_iam_policy.job_users_jobs_policy",
        jobTypes("ml.m5.large", "ml.p5.4xlarge"),
        jobTypes("ml.m5.large"),
      ),
    ],
  },
  {
    what: "a data perimeter around roles in use",
    risk: "data-perimeter:execution_spaces_policy",
    changes: [change(spacesAt, { policy: policy(read) }, { policy: policy(read, perimeter) })],
    harmless: [change(spacesAt, null, { policy: policy(read, perimeter) })],
  },
  {
    what: "the last way to the internet",
    risk: "lost-internet:nat.a",
    changes: [change('aws_nat_gateway.nat["a"]', { id: "nat-1" }, null)],
    harmless: [
      change('aws_nat_gateway.nat["a"]', { id: "nat-1" }, null),
      change('aws_nat_gateway.nat["b"]', null, { subnet_id: "b" }),
    ],
    there: { [domainAt]: domain, ...people },
  },
  {
    what: "an endpoint that everyone's resources can be reached by",
    risk: "public-exposure:studio",
    changes: [change("aws_vpc_endpoint.studio", null, { policy: policy({ ...read, Principal: "*" }) })],
    harmless: [
      change("aws_vpc_endpoint.studio", null, {
        policy: policy({
          ...{ Effect: "Allow", Principal: "*", Action: "sagemaker:*" },
          Resource: "arn:aws:sagemaker:eu-west-1:123456789012:*",
        }),
      }),
    ],
  },
  {
    what: "a budget's stop action",
    risk: "lost-protection:guard_rails_stop",
    changes: [change("aws_budgets_budget_action.guard_rails_stop", { budget_name: "b" }, null)],
    harmless: [
      change("aws_budgets_budget_action.guard_rails_stop", { budget_name: "b" }, { budget_name: "c" }),
    ],
    there: { [domainAt]: domain },
  },
  {
    what: "a user's budget, but not with the user",
    risk: "lost-protection:user_budgets_budget",
    changes: [change("aws_budgets_budget.user_budgets_budget", { name: "marimo-dev-user-ana" }, null)],
    harmless: [
      change("aws_budgets_budget.user_budgets_budget", { name: "marimo-dev-user-bo" }, null),
      change("aws_budgets_budget_action.user_budgets_stop", { budget_name: "marimo-dev-user-bo" }, null),
      change("aws_iam_role.users_role", { name: "marimo-dev-user-bo" }, null),
    ],
    there: { [domainAt]: domain },
  },
  {
    what: "the encryption of a bucket that stays",
    risk: "lost-protection:encryption",
    changes: [change("aws_s3_bucket_server_side_encryption_configuration.encryption", { bucket: "b" }, null)],
    harmless: [
      change("aws_s3_bucket_server_side_encryption_configuration.other", { bucket: "gone" }, null),
      change("aws_s3_bucket.gone", { bucket: "gone" }, null),
    ],
    there: { "aws_s3_bucket.b": { bucket: "b" } },
  },
  {
    what: "a topic without its key",
    risk: "lost-protection:topic",
    changes: [change("aws_sns_topic.topic", { kms_master_key_id: "k" }, { kms_master_key_id: null })],
    harmless: [change("aws_sns_topic.topic", { kms_master_key_id: "k" }, { kms_master_key_id: "other" })],
  },
  {
    what: "a key without rotation",
    risk: "lost-protection:key",
    changes: [change("aws_kms_key.key", { enable_key_rotation: true }, { enable_key_rotation: false })],
    harmless: [change("aws_kms_key.key", { enable_key_rotation: false }, { enable_key_rotation: true })],
  },
  {
    what: "a role without its Deny statements",
    risk: "lost-protection:types",
    changes: [
      change(
        "aws_iam_policy_attachment.types",
        { policy_arn: "arn:types", roles: ["execution", "ana"] },
        { policy_arn: "arn:types", roles: ["ana"] },
      ),
    ],
    harmless: [
      change(
        "aws_iam_policy_attachment.types",
        { policy_arn: "arn:types", roles: ["gone", "ana"] },
        { policy_arn: "arn:types", roles: ["ana"] },
      ),
      change("aws_iam_role.gone", { name: "gone" }, null),
    ],
    there: { [typesAt]: otherTypes("ml.t3.medium"), "aws_iam_role.execution": { name: "execution" } },
  },
  {
    what: "more instances a job",
    risk: "more-instances:instance_limit_rule",
    changes: [change(limitAt, upTo(1), upTo(4))],
    harmless: [change(limitAt, upTo(4), upTo(1)), change(limitAt, null, upTo(4))],
  },
  {
    what: "a query that may scan more",
    risk: "larger-queries:athena_users.ana",
    changes: [
      change(workgroupAt("ana"), scans(100), scans(200)),
      change(workgroupAt("bo"), scans(100), scans(200)),
    ],
    harmless: [
      change(workgroupAt("ana"), scans(200), scans(100)),
      change(workgroupAt("ana"), null, scans(200)),
    ],
  },
  {
    what: "a query that may scan any amount",
    risk: "larger-queries:athena_users.ana",
    changes: [change(workgroupAt("ana"), scans(100), scans(0))],
    harmless: [
      change(workgroupAt("ana"), scans(0), scans(100)),
      change(workgroupAt("ana"), scans(100), null),
    ],
  },
  {
    what: "more instance types for a user's jobs",
    risk: "more-instance-types:users_role.ana",
    changes: [change(userAt, typesOf("ml.m5.large"), typesOf("ml.m5.large", "ml.p5.48xlarge"))],
    harmless: [
      change(userAt, typesOf("ml.m5.large", "ml.p5.48xlarge"), typesOf("ml.m5.large")),
      change(userAt, typesOf("ml.m5.large"), null),
    ],
  },
  {
    what: "jobs with any number of instances",
    risk: "more-instances:instance_limit_rule",
    changes: [change(limitAt, upTo(1), null)],
    harmless: [change("aws_cloudwatch_event_rule.job_alerts_rule", { event_pattern: "{}" }, null)],
  },
  {
    what: "a longer time-out of endpoints on instances",
    risk: "longer-endpoints:endpoint_timeout_machine",
    changes: [change(timeoutAt, hours(12), hours(48))],
    harmless: [change(timeoutAt, hours(48), hours(12)), change(timeoutAt, null, hours(48))],
  },
  {
    what: "endpoints on instances that nothing deletes",
    risk: "longer-endpoints:endpoint_timeout_machine",
    changes: [change(timeoutAt, hours(12), null)],
    harmless: [change("aws_sfn_state_machine.instance_limit_machine", { definition: "{}" }, null)],
  },
  {
    what: "a schedule that gets a user's rights",
    risk: "schedule-rights:schedules_schedule_daily",
    changes: [change(scheduleAt, scheduleAs("marimo-dev-jobs"), scheduleAs("marimo-dev-schedules-ana"))],
    harmless: [
      change(scheduleAt, scheduleAs("marimo-dev-schedules-ana"), {
        ...scheduleAs("marimo-dev-schedules-ana"),
        description: "a",
      }),
    ],
  },
  {
    what: "a new schedule with a user's rights",
    risk: "schedule-rights:schedules_schedule_daily",
    changes: [change(scheduleAt, null, scheduleAs("marimo-dev-schedules-ana"))],
    harmless: [change(scheduleAt, null, scheduleAs("marimo-dev-jobs"))],
  },
  {
    what: "users with one role",
    risk: "shared-role:studio_profiles.ana",
    changes: [
      change(profileAt("ana"), null, withRole("ana", "studio")),
      change(profileAt("bo"), null, withRole("bo", "studio")),
    ],
    harmless: [
      change(profileAt("ana"), null, withRole("ana", "marimo-dev-user-ana")),
      change(profileAt("bo"), null, withRole("bo", "marimo-dev-user-bo")),
    ],
  },
  {
    what: "a replaced domain",
    risk: "replaced-domain:studio_domain",
    changes: [replaced(domainAt, domain, { ...domain, vpc_id: "vpc-2" }, "vpc_id")],
    harmless: [change(domainAt, domain, { ...domain, tags: { Team: "b" } })],
  },
  {
    what: "a removed profile",
    risk: "replaced-user-profile:studio_profiles.ana",
    changes: [change(profileAt("ana"), profile("ana"), null)],
    harmless: [change(profileAt("cy"), null, profile("cy"))],
  },
  {
    what: "a removed space",
    risk: "replaced-space:shared",
    changes: [change("aws_sagemaker_space.shared", { space_name: "shared" }, null)],
    harmless: [change("aws_sagemaker_space.shared", null, { space_name: "shared" })],
  },
  {
    what: "a removed key",
    risk: "replaced-key:encryption_key",
    changes: [change("aws_kms_key.encryption_key", { deletion_window_in_days: 7 }, null)],
    harmless: [change("aws_kms_key.encryption_key", { description: "a" }, { description: "b" })],
  },
  {
    what: "a replaced bucket",
    risk: "replaced-bucket:artifacts",
    changes: [replaced("aws_s3_bucket.artifacts", { bucket: "a" }, { bucket: "b" }, "bucket")],
    harmless: [
      change("aws_s3_bucket.artifacts", { bucket: "a", tags: {} }, { bucket: "a", tags: { A: "b" } }),
    ],
  },
  {
    what: "a removed schedule",
    risk: "replaced-schedule:daily",
    changes: [change("aws_scheduler_schedule.daily", { schedule_expression: "rate(1 day)" }, null)],
    harmless: [
      change("aws_scheduler_schedule.daily", { state: "ENABLED" }, { state: "DISABLED" }),
      change("aws_scheduler_schedule.weekly", null, { schedule_expression: "rate(7 days)" }),
    ],
  },
  {
    what: "a replaced topic for alerts",
    risk: "replaced-alerts:topic",
    changes: [replaced("aws_sns_topic.topic", { name: "a" }, { name: "b" }, "name")],
    harmless: [change("aws_sns_topic_subscription.address", { endpoint: "ana@example.com" }, null)],
  },
  {
    what: "a removed trail",
    risk: "weaker-audit:audit_trail",
    changes: [change("aws_cloudtrail.audit_trail", { s3_bucket_name: "b" }, null)],
    harmless: [change("aws_cloudtrail.audit_trail", null, { s3_bucket_name: "b" })],
  },
  {
    what: "a trail that records something else",
    risk: "weaker-audit:audit_trail",
    changes: [change("aws_cloudtrail.audit_trail", trailOf("arn:b/"), trailOf("arn:b/marimo/"))],
    harmless: [
      change(
        "aws_cloudtrail.audit_trail",
        { ...trailOf("a"), tags: {} },
        { ...trailOf("a"), tags: { A: "b" } },
      ),
    ],
  },
  {
    what: "another deployer without an alert",
    risk: "weaker-audit:changes",
    changes: [
      change(
        "aws_cloudwatch_event_rule.changes",
        eventRule("via CloudTrail", "a"),
        eventRule("via CloudTrail", "b"),
      ),
    ],
    harmless: [
      change(
        "aws_cloudwatch_event_rule.failed",
        eventRule("State Change", "a"),
        eventRule("State Change", "b"),
      ),
    ],
  },
  {
    what: "a removed file system",
    risk: "replaced-file-system:home",
    changes: [change("aws_efs_file_system.home", { id: "fs-1" }, null)],
    harmless: [change("aws_efs_file_system.home", null, { throughput_mode: "elastic" })],
  },
  {
    what: "a deposed object of an unfinished replacement",
    risk: "replaced-bucket:artifacts.1234abcd",
    changes: [{ ...change("aws_s3_bucket.artifacts", { bucket: "a" }, null), deposed: "1234abcd" }],
    harmless: [change("aws_s3_bucket.artifacts", { bucket: "a" }, null, { actions: ["forget"] })],
  },
  {
    what: "a domain that no longer retains home directories",
    risk: "weaker-retention:studio_domain",
    changes: [
      replaced(
        domainAt,
        { ...domain, retention_policy: [{ home_efs_file_system: "Retain" }] },
        domain,
        "retention_policy",
      ),
    ],
    harmless: [
      replaced(
        domainAt,
        domain,
        { ...domain, retention_policy: [{ home_efs_file_system: "Retain" }] },
        "retention_policy",
      ),
    ],
  },
  {
    what: "homes that are no longer backed up",
    risk: "less-backup:payload_generated.settings.env",
    changes: [change(settingsAt, backedUp({}), { content: "MARIMO_TRANSPORT=auto\n" })],
    harmless: [change(settingsAt, { content: "MARIMO_TRANSPORT=auto\n" }, backedUp({}))],
  },
  {
    what: "homes of which less is backed up",
    risk: "less-backup:payload_generated.settings.env",
    changes: [
      change(
        settingsAt,
        backedUp({}),
        backedUp({ maximumSizeGb: 1, include: ["marimo-notebooks"], exclude: ["*.csv"] }),
      ),
    ],
    harmless: [
      change(
        settingsAt,
        backedUp({ include: ["a"], exclude: ["*.csv"] }),
        backedUp({ intervalMinutes: 60, maximumSizeGb: 9, include: ["a", "b"] }),
      ),
    ],
  },
  {
    what: "a bucket that gets force_destroy",
    risk: "weaker-retention:artifacts",
    changes: [change("aws_s3_bucket.artifacts", { force_destroy: false }, { force_destroy: true })],
    harmless: [change("aws_s3_bucket.artifacts", { force_destroy: true }, { force_destroy: false })],
  },
  {
    what: "logs that were kept forever",
    risk: "weaker-retention:logs",
    changes: [change("aws_cloudwatch_log_group.logs", { retention_in_days: 0 }, { retention_in_days: 365 })],
    harmless: [change("aws_cloudwatch_log_group.logs", { retention_in_days: 365 }, { retention_in_days: 0 })],
  },
  {
    what: "a shorter waiting period for a key's deletion",
    risk: "weaker-retention:key",
    changes: [change("aws_kms_key.key", { deletion_window_in_days: 30 }, { deletion_window_in_days: 7 })],
    harmless: [change("aws_kms_key.key", { deletion_window_in_days: 7 }, { deletion_window_in_days: 30 })],
  },
  {
    what: "suspended versioning",
    risk: "weaker-retention:v",
    changes: [
      change(
        "aws_s3_bucket_versioning.v",
        { versioning_configuration: [{ status: "Enabled" }] },
        { versioning_configuration: [{ status: "Suspended" }] },
      ),
    ],
    harmless: [
      change(
        "aws_s3_bucket_versioning.v",
        { versioning_configuration: [{ status: "Suspended" }] },
        { versioning_configuration: [{ status: "Enabled" }] },
      ),
    ],
  },
  {
    what: "old versions that expire sooner",
    risk: "weaker-retention:l",
    changes: [change("aws_s3_bucket_lifecycle_configuration.l", lifecycleRule(90), lifecycleRule(7))],
    harmless: [change("aws_s3_bucket_lifecycle_configuration.l", lifecycleRule(7), lifecycleRule(90))],
  },
  {
    what: "a policy that allows one more action",
    risk: "wider-permissions:execution_artifacts",
    changes: [
      change(policyAt, policyOf(read), policyOf({ ...read, Action: ["s3:GetObject", "s3:PutObject"] })),
    ],
    harmless: [change(policyAt, policyOf({ ...read, Action: "s3:*" }), policyOf(read))],
  },
  {
    what: "a removed policy with a Deny statement",
    risk: "wider-permissions:artifacts_policy",
    changes: [change("aws_s3_bucket_policy.artifacts_policy", { bucket: "b", policy: policy(deny) }, null)],
    harmless: [
      change(
        "aws_s3_bucket_policy.artifacts_policy",
        { bucket: "b", policy: policy({ ...read, Principal: { AWS: "arn:x" } }) },
        null,
      ),
    ],
    there: { "aws_s3_bucket.b": { bucket: "b" } },
  },
  {
    what: "a new policy for an existing role",
    risk: "wider-permissions:more",
    changes: [change("aws_iam_role_policy.more", null, { role: "execution", policy: policy(read) })],
    harmless: [
      change("aws_iam_role.role", null, { name: "execution" }),
      change("aws_iam_role_policy.more", null, { role: "execution", policy: policy(read) }),
    ],
  },
  {
    what: "a policy that moves from one role to another",
    risk: "wider-permissions:execution_artifacts",
    changes: [replaced(policyAt, policyOf(read), { ...policyOf(read), role: "other" }, "role")],
    harmless: [
      change("aws_iam_role.role", null, { name: "other" }),
      replaced(policyAt, policyOf(read), { ...policyOf(read), role: "other" }, "role"),
    ],
  },
  {
    what: "a managed policy for an existing role",
    risk: "wider-permissions:admin",
    changes: [
      change("aws_iam_role_policy_attachment.admin", null, {
        role: "execution",
        policy_arn: "arn:aws:iam::aws:policy/AdministratorAccess",
      }),
    ],
    harmless: [
      change("aws_iam_role_policy_attachment.admin", { role: "execution", policy_arn: "arn:x" }, null),
    ],
  },
  {
    what: "another managed policy for a list of existing roles",
    risk: "wider-permissions:jobs",
    changes: [
      replaced(
        "aws_iam_policy_attachment.jobs",
        { name: "jobs", policy_arn: "arn:jobs", roles: ["a"] },
        { name: "jobs", policy_arn: "arn:admin", roles: ["a"] },
        "policy_arn",
      ),
    ],
    harmless: [
      replaced(
        "aws_iam_policy_attachment.jobs",
        { name: "jobs", policy_arn: "arn:jobs", roles: ["a"] },
        { name: "all", policy_arn: "arn:jobs", roles: ["a"] },
        "name",
      ),
    ],
  },
  {
    what: "a managed policy for a list of roles, one of which exists",
    risk: "wider-permissions:jobs",
    changes: [
      change(
        "aws_iam_policy_attachment.jobs",
        { name: "jobs", roles: ["a"] },
        { name: "jobs", roles: ["a", "b"] },
      ),
    ],
    harmless: [
      change("aws_iam_role.new", null, { name: "b" }),
      change(
        "aws_iam_policy_attachment.jobs",
        { name: "jobs", roles: ["a"] },
        { name: "jobs", roles: ["a", "b"] },
      ),
      change(
        "aws_iam_policy_attachment.less",
        { name: "less", roles: ["a", "b"] },
        { name: "less", roles: ["a"] },
      ),
    ],
  },
  {
    what: "an inline policy that allows more",
    risk: "wider-permissions:role",
    changes: [
      change(
        "aws_iam_role.role",
        { name: "r", inline_policy: [{ name: "a", policy: policy(read) }] },
        { name: "r", inline_policy: [{ name: "a", policy: policy({ ...read, Action: "s3:*" }) }] },
      ),
    ],
    harmless: [
      change(
        "aws_iam_role.role",
        { name: "r", inline_policy: [{ name: "a", policy: policy(read) }] },
        { name: "r", inline_policy: [{ name: "b", policy: policy(read, deny) }] },
      ),
    ],
  },
  {
    what: "a removed permissions boundary",
    risk: "wider-permissions:role",
    changes: [
      change(
        "aws_iam_role.role",
        { name: "r", permissions_boundary: "arn:b" },
        { name: "r", permissions_boundary: null },
      ),
    ],
    harmless: [
      change(
        "aws_iam_role.role",
        { name: "r", permissions_boundary: null },
        { name: "r", permissions_boundary: "arn:b" },
      ),
    ],
  },
  {
    what: "a policy that is known only after the apply",
    risk: "unknown-permissions:execution_artifacts",
    changes: [change(policyAt, policyOf(read), { role: "execution" }, { after_unknown: { policy: true } })],
    harmless: [
      change("aws_iam_role.role", null, { name: "execution" }),
      change(policyAt, null, { role: "execution" }, { after_unknown: { policy: true } }),
    ],
  },
  {
    what: "a wider address range",
    risk: "wider-security-group:nfs",
    changes: [change(ruleAt, rule("10.0.1.0/24"), rule("10.0.0.0/16"))],
    harmless: [change(ruleAt, rule("10.0.0.0/16"), rule("10.0.1.0/24"))],
    there: group,
  },
  {
    what: "more ports",
    risk: "wider-security-group:nfs",
    changes: [change(ruleAt, rule("10.0.0.0/16", 443), rule("10.0.0.0/16", 443, 8443))],
    harmless: [change(ruleAt, rule("10.0.0.0/16", 0, 65535), rule("10.0.0.0/16", 443))],
    there: group,
  },
  {
    what: "a new rule for an existing group",
    risk: "wider-security-group:out",
    changes: [change("aws_vpc_security_group_egress_rule.out", null, rule("0.0.0.0/0"))],
    // The group is new and has no ID yet.
    harmless: [
      change("aws_security_group.new", null, { name: "new" }, { after_unknown: { id: true } }),
      change(
        "aws_vpc_security_group_egress_rule.out",
        null,
        { ...rule("0.0.0.0/0"), security_group_id: null },
        { after_unknown: { security_group_id: true } },
      ),
    ],
    there: group,
  },
  {
    what: "an inline rule of a group",
    risk: "wider-security-group:group",
    changes: [
      change(
        "aws_security_group.group",
        { id: "sg-1", ingress: [] },
        {
          id: "sg-1",
          ingress: [{ protocol: "tcp", from_port: 22, to_port: 22, cidr_blocks: ["10.0.0.0/8"] }],
        },
      ),
    ],
    harmless: [
      change(
        "aws_security_group.group",
        { id: "sg-1", ingress: [{ protocol: "-1", from_port: 0, to_port: 0, cidr_blocks: ["10.0.0.0/8"] }] },
        {
          id: "sg-1",
          ingress: [{ protocol: "tcp", from_port: 22, to_port: 22, cidr_blocks: ["10.1.0.0/16"] }],
        },
      ),
    ],
  },
  {
    what: "a rule that allows inbound traffic from everywhere, in a new group",
    risk: "public-exposure:nfs",
    changes: [
      change(
        ruleAt,
        null,
        { ...rule("0.0.0.0/0"), security_group_id: null },
        { after_unknown: { security_group_id: true } },
      ),
    ],
    harmless: [
      change(
        ruleAt,
        null,
        { ...rule("10.0.0.0/16"), security_group_id: null },
        { after_unknown: { security_group_id: true } },
      ),
    ],
  },
  {
    what: "a bucket policy for everyone",
    risk: "public-exposure:p",
    changes: [change("aws_s3_bucket_policy.p", null, { policy: policy({ ...read, Principal: "*" }) })],
    harmless: [
      change("aws_s3_bucket_policy.p", null, {
        policy: policy(deny, { ...read, Principal: { Service: "logging.s3.amazonaws.com" } }),
      }),
    ],
  },
  {
    what: "a weakened public access block",
    risk: "public-exposure:block",
    changes: [
      change(
        "aws_s3_bucket_public_access_block.block",
        { block_public_policy: true },
        {
          block_public_policy: false,
          block_public_acls: true,
          ignore_public_acls: true,
          restrict_public_buckets: true,
        },
      ),
    ],
    harmless: [
      change("aws_s3_bucket_public_access_block.block", null, {
        block_public_policy: true,
        block_public_acls: true,
        ignore_public_acls: true,
        restrict_public_buckets: true,
      }),
    ],
  },
  {
    what: "a subnet that assigns public IP addresses",
    risk: "public-exposure:public",
    changes: [
      change("aws_subnet.public", { map_public_ip_on_launch: false }, { map_public_ip_on_launch: true }),
    ],
    harmless: [
      change("aws_subnet.public", { map_public_ip_on_launch: true }, { map_public_ip_on_launch: false }),
    ],
  },
  {
    what: "a route to the internet for an existing route table",
    risk: "public-exposure:out",
    changes: [change("aws_route.out", null, { route_table_id: "rtb-1", gateway_id: "igw-1" })],
    harmless: [change("aws_route.out", null, { route_table_id: "rtb-1", nat_gateway_id: "nat-1" })],
  },
  {
    what: "an update of the domain in VpcOnly",
    risk: "refused-domain-update:studio_domain",
    changes: [
      change(domainAt, domain, { ...domain, default_user_settings: [{ execution_role: "arn:two" }] }),
    ],
    harmless: [change(domainAt, domain, { ...domain, tags: { Team: "b" }, tags_all: { Team: "b" } })],
  },
  {
    what: "a custom image that is removed",
    risk: "removed-image:images_geo_image",
    changes: [change("aws_sagemaker_image.images_geo_image", { image_name: "marimo-dev-geo" }, null)],
    harmless: [
      change("aws_sagemaker_image.images_geo_image", { display_name: "geo" }, { display_name: "maps" }),
    ],
  },
  {
    what: "a custom image with another address",
    risk: "removed-image:images_geo_image",
    changes: [replaced("aws_sagemaker_image.images_geo_image", {}, {}, "image_name")],
    harmless: [change("aws_sagemaker_image.images_geo_image", { tags: {} }, { tags: { Team: "b" } })],
  },
  {
    what: "a replaced lifecycle configuration",
    risk: "lifecycle-change:profiles",
    changes: [
      replaced(
        "aws_sagemaker_studio_lifecycle_config.profiles",
        { arn },
        {},
        "studio_lifecycle_config_content",
      ),
    ],
    harmless: [
      change("aws_sagemaker_studio_lifecycle_config.profiles", { arn, tags: {} }, { arn, tags: { A: "b" } }),
    ],
  },
];

describe("the risks of a plan", () => {
  it.each(cases)("include $what, but not its harmless counterpart", ({ risk, changes, harmless, there }) => {
    const named = risksOf(changes, there);
    expect(named).toContain(risk);
    expect(risksOf(harmless, there).filter((name) => name.startsWith(`${risk.split(":")[0]}:`))).toEqual([]);
    // The harmless plan also contains a change.
    expect(review(plan(harmless, there)).changed).toBe(true);
  });

  it("are tested for every rule", () => {
    const tested = new Set(cases.map(({ risk }) => risk.split(":")[0]));
    expect(rules.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([
      "removed-environment", // __tests__/unit/state/removed.test.ts
      "profile-in-use",
      "running-app",
    ]);
  });

  describe("with a policy document that Terraform reads only during the apply", () => {
    const statement = (more: Values = {}) => ({
      actions: ["s3:GetObject"],
      resources: ["arn:aws:s3:::b/&{aws:username}"],
      condition: [{ test: "StringEquals", variable: "k", values: ["v"] }],
      principals: [],
      effect: null,
      ...more,
    });
    const before = policyOf({
      ...read,
      Resource: "arn:aws:s3:::b/$" + "{aws:username}",
      Condition: { StringEquals: { k: "v" } },
    });
    const risksWith = (
      statement: unknown,
      {
        unknown,
        expression = "$" + "{data.aws_iam_policy_document.d.json}",
      }: { unknown?: unknown; expression?: string } = {},
    ) => {
      const document = {
        ...change(
          "data.aws_iam_policy_document.d",
          null,
          { statement: [statement] },
          { actions: ["read"], after_unknown: { json: true, statement: unknown } },
        ),
        mode: "data" as const,
      };
      const one = change(policyAt, before, { ...before, policy: null }, { after_unknown: { policy: true } });
      const configuration = {
        root_module: {
          resources: [{ address: policyAt, expressions: { policy: { constant_value: expression } } }],
        },
      };
      return review({ ...plan([document, one]), configuration }).risks.map(({ name }) => name);
    };

    it("come from its statements", () => {
      expect(risksWith(statement())).toEqual([]);
      expect(risksWith(statement({ effect: "Deny" }))).toEqual([]);
      expect(risksWith(statement({ actions: ["s3:*"] }))).toEqual(["wider-permissions:execution_artifacts"]);
      expect(risksWith(statement({ condition: [] }))).toEqual(["wider-permissions:execution_artifacts"]);
    });

    it("report the policy as unknown if a part of it is unknown or a function changes it", () => {
      const unknown = ["unknown-permissions:execution_artifacts"];
      expect(risksWith(statement(), { unknown: [{ resources: [true] }] })).toEqual(unknown);
      expect(
        risksWith(statement(), { expression: "$" + "{replace(data.aws_iam_policy_document.d.json, 1, 2)}" }),
      ).toEqual(unknown);
    });
  });

  it("do not include a policy that is not configured", () => {
    const endpoint = change(
      "aws_vpc_endpoint.s3",
      { policy: policy(read) },
      {},
      { after_unknown: { policy: true } },
    );
    const configured = (expressions: Values) => ({
      ...plan([endpoint]),
      configuration: { root_module: { resources: [{ address: endpoint.address, expressions }] } },
    });
    expect(review(configured({ vpc_id: {} })).risks).toEqual([]);
    expect(review(configured({ policy: {} })).risks).toHaveLength(1);
  });

  it("state how many people lose a domain, and count each of them once", () => {
    const { risks } = review(
      plan(
        [
          replaced(domainAt, domain, { ...domain, vpc_id: "vpc-2" }, "vpc_id"),
          change(profileAt("cy"), profile("cy"), null),
        ],
        people,
      ),
    );
    expect(risks.map(({ name }) => name)).toEqual(["replaced-domain:studio_domain"]);
    expect(risks[0]?.reason).toContain("`vpc_id` cannot be updated in place");
    // xi is in another domain.
    expect(risks[0]?.lost).toContain("3 people (`cy`, `ana`, `bo`)");
    expect(risks[0]?.lost).toContain("the home file system (`retention_policy` is `Delete`)");
  });

  it("state that a retained home file system stays, without the notebooks in spaces", () => {
    const kept = { ...domain, retention_policy: [{ home_efs_file_system: "Retain" }] };
    const [risk] = review(plan([change(domainAt, kept, null)], people)).risks;
    expect(risk?.lost).toContain("2 people");
    expect(risk?.lost).toContain("with the notebooks on their volumes");
    expect(risk?.lost).toContain("which stays without a domain and has no notebooks of JupyterLab spaces");
  });

  it("state what a backup leaves out, and that what is there already goes", () => {
    const less = backedUp({ maximumSizeGb: 1, include: ["marimo-notebooks"], exclude: ["*.csv"] });
    const [risk] = review(plan([change(settingsAt, backedUp({}), less)])).risks;
    expect(risk?.reason).toContain(
      "at most 1 GB of a home instead of 5 GB; only marimo-notebooks; without *.csv as well. The next backup deletes",
    );
  });

  it("name the workaround for the provider's bug, with the command for the domain", () => {
    const [risk] = review(plan([change(domainAt, domain, { ...domain, tag_propagation: "ENABLED" })])).risks;
    expect(risk?.reason).toContain("issue 45528");
    expect(risk?.reason).toContain("`tag_propagation`");
    expect(risk?.instead).toContain("`aws sagemaker update-domain --region eu-west-1 --domain-id d-abc`");
  });

  it("do not advise a call that does not exist: none changes the retention", () => {
    const kept = { ...domain, retention_policy: [{ home_efs_file_system: "Retain" }] };
    const { risks } = review(plan([change(domainAt, domain, kept)]));
    const [risk] = risks.filter(({ name }) => name.startsWith("refused-domain-update"));
    expect(risk?.instead).toContain("no call of SageMaker changes it");
    expect(risk?.instead).not.toContain("update-domain");
  });

  it("do not include an update of a domain that is not VpcOnly", () => {
    const open = { ...domain, app_network_access_type: "PublicInternetOnly" };
    expect(risksOf([change(domainAt, open, { ...open, tag_propagation: "ENABLED" })])).toEqual([]);
  });

  it("state when a lifecycle configuration takes effect and whom it affects", () => {
    const at = "aws_sagemaker_studio_lifecycle_config.profiles";
    const [risk] = review(plan([replaced(at, { arn }, {}, "studio_lifecycle_config_content")], people)).risks;
    expect(risk?.reason).toContain("runs when an app next starts");
    expect(risk?.reason).toContain("3 people (`ana`; `bo`; `xi`)");
    expect(risk?.reason).not.toContain("an existing space keeps its lifecycle configuration");
    const chosen = { user_settings: [{ default_resource_spec: [{ lifecycle_config_arn: arn }] }] };
    const sticky = { [profileAt("ana")]: { ...profile("ana"), ...chosen } };
    const [other] = review(
      plan([replaced(at, { arn }, {}, "studio_lifecycle_config_content")], sticky),
    ).risks;
    expect(other?.reason).toContain("an existing space keeps its lifecycle configuration");
  });

  it("include settings that change to another lifecycle configuration only if the old one stays", () => {
    const after = (name: string) => JSON.parse(JSON.stringify(profile("ana")).replace(arn, name)) as Values;
    const named = change(profileAt("ana"), profile("ana"), after("arn:other"));
    expect(risksOf([named])).toEqual(["lifecycle-change:studio_profiles.ana"]);
    const going = replaced("aws_sagemaker_studio_lifecycle_config.profiles", { arn }, {}, "name");
    expect(risksOf([named, going])).toEqual(["lifecycle-change:profiles"]);
    expect(
      risksOf([change(profileAt("ana"), profile("ana"), { ...profile("ana"), tags: { A: "b" } })]),
    ).toEqual([]);
  });

  describe("with running apps", () => {
    const update = change(profileAt("ana"), profile("ana"), { ...profile("ana"), execution_role: "arn:two" });
    const app = { domainId: "d-abc", appType: "JupyterLab", spaceName: "hers", userProfileName: "ana" };
    const namesWith = (apps: Parameters<typeof review>[1]) =>
      review(plan([update]), apps).risks.map(({ name }) => name);

    it("include only the apps that block the change", () => {
      expect(namesWith({ apps: { running: [app] } })).toEqual(["running-app:studio_profiles.ana"]);
      expect(namesWith({ apps: { running: [{ ...app, userProfileName: "bo" }] } })).toEqual([]);
      expect(namesWith({ apps: { running: [{ ...app, domainId: "d-other" }] } })).toEqual([]);
    });

    it("include the spaces and apps of a profile that is deleted, once, with the command that deletes them", () => {
      const going = change(profileAt("ana"), { ...profile("ana"), tags_all: { Environment: "dev" } }, null);
      const space = { domainId: "d-abc", spaceName: "hers", owner: "ana" };
      const risks = (apps: Parameters<typeof review>[1]) =>
        review(plan([going]), apps).risks.filter(({ name }) => !name.startsWith("replaced-"));
      const [risk, ...others] = risks({
        apps: { running: [app], spaces: [space, { ...space, owner: "bo" }] },
      });
      expect(others).toEqual([]);
      expect(risk).toMatchObject({
        name: "profile-in-use:studio_profiles.ana",
        reason: expect.stringContaining("`ana` has: space `hers`; `JupyterLab` in `hers`."),
        instead: expect.stringContaining("`npm run people -- remove ana --environment dev`"),
      });
      expect(risks({ apps: { running: [], spaces: [space] } })).toHaveLength(1);
      expect(risks({ apps: { running: [], spaces: [{ ...space, owner: "bo" }] } })).toEqual([]);
      expect(risks({ apps: { running: [], spaces: [{ ...space, domainId: "d-other" }] } })).toEqual([]);
    });

    it("do not include a change of tags, which no app blocks", () => {
      const tagged = change(profileAt("ana"), profile("ana"), { ...profile("ana"), tags_all: { A: "b" } });
      expect(review(plan([tagged]), { apps: { running: [app] } }).risks).toEqual([]);
      expect(review(plan([tagged]), { apps: { notChecked: "" } }).appsNotChecked).toBeUndefined();
    });

    it("include apps of its type that block the deletion of a lifecycle configuration", () => {
      const going = { arn, studio_lifecycle_config_app_type: "JupyterLab" };
      const config = replaced("aws_sagemaker_studio_lifecycle_config.profiles", going, {}, "name");
      const names = (userProfileName: string, appType = "JupyterLab") =>
        review(plan([config], people), {
          apps: { running: [{ ...app, userProfileName, appType }] },
        }).risks.map(({ name }) => name);
      expect(names("ana")).toContain("running-app:profiles");
      expect(names("ana", "CodeEditor")).not.toContain("running-app:profiles");
      expect(names("cy")).not.toContain("running-app:profiles");
    });

    it("state that running apps were not checked, only if an app could block the plan", () => {
      const apps = { notChecked: "no credentials" };
      expect(review(plan([update]), { apps }).appsNotChecked).toBe("no credentials");
      expect(review(plan([change("aws_vpc.v", {}, { tags: {} })]), { apps }).appsNotChecked).toBeUndefined();
    });
  });
});

describe("a schedule whose request is known only after the apply", () => {
  const planned = (role: string): Plan => {
    const one = change(
      scheduleAt,
      null,
      { group_name: "marimo-dev", target: [{ arn: "x" }] },
      { after_unknown: { target: [{ input: true }] } },
    );
    const input = `{"RoleArn":"arn:\${data.aws_partition.p.partition}:iam::1:role/${role}"}`;
    const expressions = { target: [{ input: { constant_value: input } }] };
    return {
      ...plan([one]),
      configuration: { root_module: { resources: [{ address: scheduleAt, expressions }] } },
    };
  };

  it("is reviewed by the request in the configuration", () => {
    const names = (role: string) => review(planned(role)).risks.map(({ name }) => name);
    expect(names("marimo-dev-schedules-ana")).toEqual(["schedule-rights:schedules_schedule_daily"]);
    expect(names("marimo-dev-schedules-team.forecasting")).toEqual([]);
    expect(names("marimo-dev-jobs")).toEqual([]);
  });
});
