import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";
import { mostJobInstanceTypes } from "../../../src/settings/jobs.ts";
import { mostTeamTypes } from "../../../src/settings/names.ts";
import { processingInstanceTypes } from "../../../src/settings/processing.ts";
import {
  accountId,
  arn,
  asIam,
  expression,
  keyArn,
  partition,
  resource,
  resourceNames,
  servicePrincipal,
  statements,
  synthesize,
} from "../../support/synthesize.ts";

const subnets = (count: number) =>
  Array.from({ length: count }, (_, index) => `subnet-${`${index}`.padStart(17, "0")}`);
const secret = (index: number) =>
  `arn:aws:secretsmanager:us-east-1:123456789012:secret:${`${index}`.padStart(30, "s")}-AbCdEf`;

const schedules = [
  {
    name: "daily",
    notebook: "sample-notebooks/01_explore_data.py",
    files: ["prices.csv"],
    expression: "cron(0 7 ? * MON-FRI *)",
    timeZone: "Europe/Berlin",
    arguments: ["--env", 'prod "now" <b>'],
  },
];
const scheduled = () => synthesize({ schedules, jobs: { alertAddresses: ["team@example.com"] } });
const asAna = () =>
  synthesize({
    userProfiles: [{ name: "Ana" }],
    schedules: schedules.map((one) => ({ ...one, runAs: "Ana" })),
  });
const anasSchedules = `arn:${partition}:iam::${accountId}:role/marimo-dev-schedules-ana`;
const requestOf = (stack: ReturnType<typeof synthesize>) => {
  const { depends_on, target } = resource(stack, "aws_scheduler_schedule", "schedules_schedule_daily");
  return {
    dependsOn: depends_on as readonly string[],
    input: JSON.parse(String((target as Record<string, unknown>).input)),
  };
};
const bucket = expression("aws_s3_bucket.storage_artifacts_bucket.bucket");
const bucketArn = expression("aws_s3_bucket.storage_artifacts_bucket.arn");
const jobRole = expression("aws_iam_role.jobs_role_role.arn");
const userRole = (user: string) => `arn:${partition}:iam::${accountId}:role/marimo-dev-user-${user}`;
const user = "&{aws:PrincipalTag/StudioUser}";
const tagged = { test: "StringLike", variable: "aws:PrincipalTag/StudioUser", values: ["?*"] };
const group = expression("aws_security_group.jobs_security_group.id");

describe("jobs", () => {
  it("tell marimo-job all that it needs, in an object that people cannot write", () => {
    const stack = synthesize({ jobs: { allowedInstanceTypes: ["ml.m5.large"] } });
    const object = resource(stack, "aws_s3_object", "jobs_settings");
    expect(object.key).toBe("marimo/payload/jobs.json");
    expect(JSON.parse(String(object.content))).toMatchObject({
      environment: "dev",
      bucket,
      jobNamePrefix: "marimo-dev",
      roleArn: null,
      userRoleArnPrefix: userRole(""),
      imageUri: "885854791233.dkr.ecr.us-east-1.amazonaws.com/sagemaker-distribution-prod:4.5.2-cpu",
      python: "3.12",
      subnetIds: expect.arrayContaining([expression("aws_subnet.network_private_us-east-1a.id")]),
      securityGroupIds: [group],
      encryptionKeyArn: keyArn,
      allowedInstanceTypes: ["ml.m5.large"],
      maximumMinutes: 1440,
      tags: { Project: "sagemaker-marimo", Environment: "dev" },
    });
    const denied = statements(stack, "execution_artifacts_document").PayloadIsReadOnly;
    expect(denied).toMatchObject({ effect: "Deny" });
    for (const prefix of ["marimo/payload", "marimo/wheels", "marimo/schedules"])
      expect(denied?.resources).toContain(`${bucketArn}/${prefix}/*`);
  });

  it("have their own security group, which allows only outgoing HTTPS", () => {
    const security = resource(synthesize(), "aws_security_group", "jobs_security_group");
    expect(security.ingress).toEqual([]);
    expect(security.egress).toMatchObject([{ from_port: 443, to_port: 443 }]);
  });

  it("of several instances have a security group whose members reach one another, if a job may have several", () => {
    const stack = synthesize({ jobs: { maximumInstances: 4 } });
    const nodes = expression("aws_security_group.jobs_node_security_group.id");
    const { ingress } = resource(stack, "aws_security_group", "jobs_node_security_group");
    expect(ingress).toMatchObject([{ protocol: "-1", self: true }]);
    const settings = (of: typeof stack) =>
      JSON.parse(String(resource(of, "aws_s3_object", "jobs_settings").content)) as object;
    expect(settings(stack)).toMatchObject({
      securityGroupIds: [group],
      nodeSecurityGroupIds: [nodes],
      maximumInstances: 4,
      maximumWarmMinutes: 60,
    });
    const may = (of: typeof stack) =>
      statements(of, "job_users_services_document").Train?.condition?.find(
        ({ test, variable }) =>
          test === "ForAllValues:StringEquals" && variable === "sagemaker:VpcSecurityGroupIds",
      )?.values;
    expect(may(stack)).toEqual([group, nodes]);
    expect(settings(synthesize({ jobs: { maximumInstances: "any" } }))).toMatchObject({
      maximumInstances: null,
    });
    // Control: with one instance a job.
    const single = synthesize();
    expect(single.resource.aws_security_group).not.toHaveProperty("jobs_node_security_group");
    expect(settings(single)).toMatchObject({ nodeSecurityGroupIds: [], maximumInstances: 1 });
    expect(may(single)).toEqual([group]);
  });

  it("of schedules run as a role that can write only its own output, which is there only for schedules", () => {
    expect(resourceNames(synthesize(), "aws_iam_role")).not.toContain("jobs_role_role");
    const written = statements(scheduled(), "jobs_role_artifacts_document");
    const writes = Object.values(written).filter(({ actions }) =>
      actions.some((one) => /Put|Delete/.test(one)),
    );
    expect(writes.map(({ resources }) => resources)).toEqual([[`${bucketArn}/shared/jobs/marimo-dev-*`]]);
    expect(synthesize().text).not.toContain("ecr:*");
  });

  it("can be submitted only in this network, with this key, under the user's name and as the user", () => {
    const jobs = statements(
      synthesize({ jobs: { allowedInstanceTypes: ["ml.m5.large"] } }),
      "job_users_jobs_document",
    );
    expect(jobs.SendJobs).toMatchObject({
      actions: ["sagemaker:CreateProcessingJob"],
      resources: [arn("sagemaker", `processing-job/marimo-dev-${user}-*`)],
    });
    const conditions = Object.fromEntries(
      (jobs.SendJobs?.condition ?? []).map(({ test, values, variable }) => [`${test} ${variable}`, values]),
    );
    expect(conditions).toMatchObject({
      "StringLike aws:PrincipalTag/StudioUser": ["?*"],
      "StringEquals aws:RequestTag/Environment": ["dev"],
      "Null sagemaker:InstanceTypes": ["false"],
      "ForAllValues:StringEquals sagemaker:VpcSecurityGroupIds": [group],
      "Null sagemaker:VpcSubnets": ["false"],
      "NumericLessThanEqualsIfExists sagemaker:MaxRuntimeInSeconds": ["86400"],
      "ArnEqualsIfExists sagemaker:VolumeKmsKey": [keyArn],
      "ArnEqualsIfExists sagemaker:OutputKmsKey": [keyArn],
    });
    // Without a limit in the request, AWS's is 24 hours.
    const short = statements(synthesize({ jobs: { maximumMinutes: 60 } }), "job_users_jobs_document");
    expect(short.SendJobs?.condition).toContainEqual({
      test: "NumericLessThanEquals",
      variable: "sagemaker:MaxRuntimeInSeconds",
      values: ["3600"],
    });
    expect(jobs.OtherInstanceTypesOfJobs).toMatchObject({
      effect: "Deny",
      condition: [
        {
          test: "ForAnyValue:StringNotEquals",
          variable: "sagemaker:InstanceTypes",
          values: ["ml.m5.large"],
        },
      ],
    });
    expect(jobs.RunAsOneself).toMatchObject({
      actions: ["iam:PassRole"],
      resources: [userRole(user)],
      condition: [
        tagged,
        {
          variable: "iam:PassedToService",
          values: [servicePrincipal("sagemaker"), servicePrincipal("scheduler")],
        },
      ],
    });
    // Control: any type.
    const any = synthesize({ jobs: { allowedInstanceTypes: "any" } });
    expect(statements(any, "job_users_jobs_document")).not.toHaveProperty("OtherInstanceTypesOfJobs");
  });

  it("read the secrets of the settings, with endpoints-only through an interface endpoint", () => {
    const secrets = ["arn:aws:secretsmanager:us-east-1:123456789012:secret:warehouse-AbCdEf"];
    const stack = synthesize({ jobs: { secrets }, egress: "endpoints-only" });
    expect(statements(stack, "job_users_job_secrets_document")).toMatchObject({
      ReadSecrets: { actions: ["secretsmanager:GetSecretValue"], resources: secrets },
    });
    expect(statements(stack, "network_secretsmanager_endpoint_policy").ReadSecrets?.resources).toEqual(
      secrets,
    );
    // Control: without the setting there is neither.
    expect(synthesize({ egress: "endpoints-only" }).text).not.toContain("secretsmanager");
    expect(synthesize({ jobs: { secrets } }).text).not.toContain("secretsmanager_endpoint");
  });

  it("are guarded against a missing or empty tag in each statement that names the user", () => {
    const stack = synthesize();
    const found = ["job_users_jobs", "job_users_job_runtime", "execution_spaces"]
      .flatMap((name) => Object.values(statements(stack, `${name}_document`)))
      .filter(({ effect, resources }) => effect !== "Deny" && JSON.stringify(resources).includes(user));
    expect(found.map(({ sid }) => sid)).toEqual([
      "SendJobs",
      "TagJobs",
      "CreateSweeps",
      "OwnJobsAndSweeps",
      "RunAsOneself",
      "OwnStreams",
      "LogsOfEndpoints",
      "OwnOfflineStores",
      "ReadLogsOfJobs",
      "OwnSchedules",
    ]);
    for (const { condition, sid } of found) expect(condition, sid).toContainEqual(tagged);
  });

  it("are only for users: the role of shared spaces has no policy for them", () => {
    for (const name of ["jobs", "job_runtime"])
      expect(
        resource(synthesize(), "aws_iam_policy_attachment", `job_users_${name}_attachment`),
      ).toMatchObject({
        roles: expression("[ for key, val in aws_iam_role.users_role: val.name]"),
      });
  });

  it("run as the one role where everybody has it, without a tag that it lacks", () => {
    const executionRoleArn = "arn:aws:iam::123456789012:role/studio";
    const stack = synthesize({ existing: { executionRoleArn } });
    const jobs = statements(stack, "job_users_jobs_document");
    expect(jobs.SendJobs?.resources).toEqual([arn("sagemaker", "processing-job/marimo-dev-*")]);
    expect(jobs.RunAsOneself?.resources).toEqual([expression("data.aws_iam_role.execution_role.arn")]);
    expect(statements(stack, "job_users_job_runtime_document")).not.toHaveProperty("OwnSchedules");
    // A tag that counts costs is on the user profiles, and nothing is allowed by it.
    expect(stack.text).not.toMatch(/(Principal|Request|Resource)Tag\/StudioUser/);
    const { content } = resource(stack, "aws_s3_object", "jobs_settings");
    expect(JSON.parse(String(content))).toMatchObject({ roleArn: executionRoleArn, userRoleArnPrefix: null });
    expect(resource(stack, "terraform_data", "removal_guard_step").input).toMatchObject({
      existing_role: expression("data.aws_iam_role.execution_role.name"),
    });
  });

  it("fit an IAM policy at their largest", () => {
    const keys = Array.from({ length: 6 }, (_, index) => `${index}`.padStart(128, "k"));
    const longest = processingInstanceTypes.toSorted((one, other) => other.length - one.length);
    const stack = synthesize({
      name: "a2345678901234567890",
      existing: { network: { vpcId: "vpc-0123abcd", subnetIds: subnets(16) } },
      tags: Object.fromEntries(keys.map((key) => [key, "v"])),
      guardRails: { requiredTags: keys },
      jobs: {
        defaultInstanceType: longest[0] ?? "",
        allowedInstanceTypes: longest.slice(0, mostJobInstanceTypes),
        secrets: Array.from({ length: 20 }, (_, index) => secret(index)),
      },
      userProfiles: [{ name: "ana" }],
      teams: [
        {
          name: "a",
          members: ["ana"],
          access: {},
          allowedInstanceTypes: longest.slice(mostJobInstanceTypes, mostJobInstanceTypes + mostTeamTypes),
        },
      ],
      services: {
        serverlessEndpoints: true,
        mlflowArn: `arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/${"m".repeat(256)}`,
      },
    });
    for (const name of ["jobs", "job_runtime", "job_secrets", "services"]) {
      const text = asIam(Object.values(statements(stack, `job_users_${name}_document`)))
        .replaceAll(partition, "aws-us-gov")
        .replaceAll(accountId, "123456789012")
        .replaceAll("us-east-1", "ap-southeast-1")
        .replaceAll(/\$\{aws_kms_key[^}]*\}/g, "k".repeat(89))
        .replaceAll(/\$\{aws_s3_bucket[^}]*\}/g, "b".repeat(63))
        .replaceAll(/\$\{aws_security_group[^}]*\}/g, "sg-0123456789abcdef0")
        .replaceAll(/\$\{data\.aws_subnet\.network_(subnet-\w+)\.id\}/g, "$1");
      if (name === "jobs") expect(text).toContain("PrincipalTag/JobType6");
      expect(text.length, name).toBeGreaterThan(1500);
      expect(text.length, name).toBeLessThan(6144);
    }
  });

  it("do not exist beside an existing domain", () => {
    const stack = synthesize({ existing: { domainId: "d-abc123" } });
    expect(resourceNames(stack, "aws_s3_object")).not.toContain("jobs_settings");
    expect(stack.text).not.toContain("CreateProcessingJob");
  });
});

describe("the limit of a job's instances", () => {
  const rule = (maximumInstances: number | "any") =>
    synthesize({ jobs: { maximumInstances } }).resource.aws_cloudwatch_event_rule?.instance_limit_rule;

  it("is in the pattern for each kind of job, with the environment's names", () => {
    const { detail } = JSON.parse(String(rule(3)?.event_pattern));
    const more = [{ numeric: [">", 3] }];
    expect(detail.$or).toEqual([
      {
        ProcessingJobName: [{ prefix: "marimo-dev-" }],
        ProcessingJobStatus: ["InProgress"],
        ProcessingResources: { ClusterConfig: { InstanceCount: more } },
      },
      {
        TrainingJobName: [{ prefix: "marimo-dev-" }],
        TrainingJobStatus: ["InProgress"],
        ResourceConfig: { InstanceCount: more },
      },
      {
        TransformJobName: [{ prefix: "marimo-dev-" }],
        TransformJobStatus: ["InProgress"],
        TransformResources: { InstanceCount: more },
      },
    ]);
  });

  it("is not there where a job may have any number", () => {
    expect(rule("any")).toBeUndefined();
    expect(synthesize({ jobs: { maximumInstances: "any" } }).text).not.toMatch(/instance.limit/);
    expect(rule(1)).toBeDefined();
  });
});

describe("a schedule", () => {
  it("makes a job by itself: the API's request, with an id that the scheduler fills in", () => {
    const made = resource(scheduled(), "aws_scheduler_schedule", "schedules_schedule_daily");
    expect(made).toMatchObject({
      name: "daily",
      group_name: expression("aws_scheduler_schedule_group.schedules_group.name"),
      schedule_expression: "cron(0 7 ? * MON-FRI *)",
      schedule_expression_timezone: "Europe/Berlin",
      state: "ENABLED",
      flexible_time_window: { mode: "OFF" },
    });
    const target = made.target as Record<string, unknown>;
    expect(target).toMatchObject({
      retry_policy: { maximum_retry_attempts: 2, maximum_event_age_in_seconds: 900 },
      dead_letter_config: { arn: expression("aws_sqs_queue.schedules_dead_letters.arn") },
    });
    expect(target.arn).toMatch(/:scheduler:::aws-sdk:sagemaker:createProcessingJob$/);
    const input = JSON.parse(String(target.input));
    const job = "marimo-dev-daily-<aws.scheduler.execution-id>";
    expect(input).toMatchObject({
      ProcessingJobName: job,
      RoleArn: jobRole,
      AppSpecification: {
        ContainerArguments: ["01_explore_data.py", "--env", 'prod "now" <b>'],
      },
      ProcessingOutputConfig: { Outputs: [{ S3Output: { S3Uri: `s3://${bucket}/shared/jobs/${job}` } }] },
      NetworkConfig: { VpcConfig: { SecurityGroupIds: [group] } },
      StoppingCondition: { MaxRuntimeInSeconds: 3600 },
      Environment: { AWS_DEFAULT_REGION: "us-east-1" },
    });
    const sources = resource(scheduled(), "aws_s3_object", "schedules_sources_daily");
    expect(Object.keys(sources.for_each as object)).toEqual(["01_explore_data.py", "prices.csv"]);
    const uri = input.ProcessingInputs[1].S3Input.S3Uri;
    expect(`s3://${bucket}/${sources.key}`).toBe(`${uri}${expression("each.key")}`);
  });

  it("sends the files that its marimo.App names, and its secrets by their ARNs", () => {
    const folder = mkdtempSync(join(tmpdir(), "schedule-"));
    try {
      mkdirSync(join(folder, "layouts"));
      for (const name of ["layouts/daily.grid.json", "daily.css"]) writeFileSync(join(folder, name), "{}");
      const app = 'marimo.App(\n    layout_file="layouts/daily.grid.json",\n    css_file="daily.css",\n)';
      writeFileSync(join(folder, "daily.py"), `import marimo\n\napp = ${app}\n`);
      const WAREHOUSE = "arn:aws:secretsmanager:us-east-1:123456789012:secret:warehouse-AbCdEf";
      const stack = synthesize({
        jobs: { secrets: [WAREHOUSE] },
        schedules: [
          {
            name: "daily",
            notebook: relative(projectFolder, join(folder, "daily.py")),
            expression: "rate(1 day)",
            secrets: { WAREHOUSE },
          },
        ],
      });
      const sources = resource(stack, "aws_s3_object", "schedules_sources_daily").for_each as object;
      expect(Object.keys(sources).sort()).toEqual(["daily.css", "daily.py", "layouts/daily.grid.json"]);
      const { target } = resource(stack, "aws_scheduler_schedule", "schedules_schedule_daily");
      const { Environment } = JSON.parse(String((target as Record<string, unknown>).input));
      expect(Environment.MARIMO_SECRET_WAREHOUSE).toBe(WAREHOUSE);
    } finally {
      rmSync(folder, { recursive: true });
    }
    // Control: a schedule without them.
    const { target } = resource(scheduled(), "aws_scheduler_schedule", "schedules_schedule_daily");
    expect(JSON.stringify(target)).not.toContain("MARIMO_SECRET_");
  });

  it("is moved to new sources when its notebook changes, and only then", () => {
    const key = (files: string[]) =>
      resource(
        synthesize({ schedules: [{ ...schedules[0], files } as never] }),
        "aws_s3_object",
        "schedules_sources_daily",
      ).key;
    expect(key(["prices.csv"])).not.toBe(key(["02_training_jobs.py"]));
    expect(key(["prices.csv"])).toBe(resource(scheduled(), "aws_s3_object", "schedules_sources_daily").key);
  });

  it("may make these jobs, with the one role, and report what failed: nothing else", () => {
    const allowed = statements(scheduled(), "schedules_document");
    expect(allowed).toMatchObject({
      MakeJobs: { resources: [arn("sagemaker", "processing-job/marimo-dev-*")] },
      RolesOfJobs: { actions: ["iam:PassRole"], resources: [jobRole] },
      DeadLetters: { actions: ["sqs:SendMessage"] },
    });
    expect(Object.keys(allowed)).toHaveLength(3);
    expect(statements(scheduled(), "schedules_trust").Scheduler?.condition).toContainEqual({
      test: "ArnLike",
      variable: "aws:SourceArn",
      values: [expression("aws_scheduler_schedule_group.schedules_group.arn")],
    });
  });

  it("that fails sends an alert, even if another environment's jobs have similar names", () => {
    const rule = resource(scheduled(), "aws_cloudwatch_event_rule", "job_alerts_rule");
    expect(JSON.parse(String(rule.event_pattern))).toEqual({
      source: ["aws.sagemaker"],
      "detail-type": ["SageMaker Processing Job State Change"],
      detail: {
        ProcessingJobStatus: ["Failed", "Stopped"],
        RoleArn: [jobRole],
        ProcessingJobName: [{ prefix: "marimo-dev-daily-" }],
      },
    });
    expect(resource(scheduled(), "aws_sns_topic", "job_alerts_topic").kms_master_key_id).toBe(keyArn);
    expect(resource(scheduled(), "aws_sns_topic_subscription", "job_alerts_address_0").endpoint).toBe(
      "team@example.com",
    );
    expect(statements(scheduled(), "job_alerts_document").FailedJobs?.condition).toBeUndefined();
    expect(statements(scheduled(), "encryption_policy").Alerts?.principals?.[0]?.identifiers).toEqual([
      servicePrincipal("cloudwatch"),
      servicePrincipal("events"),
    ]);
  });

  it("with `runAs` runs as a role of its own, with that user's tag, data and results", () => {
    const stack = asAna();
    expect(resource(stack, "aws_iam_role", "schedule_roles_role")).toMatchObject({
      for_each: expression('toset(["ana"])'),
      name: `marimo-dev-schedules-${expression("each.value")}`,
      tags: { StudioUser: expression("each.value") },
      assume_role_policy: expression("data.aws_iam_policy_document.schedule_roles_trust.json"),
    });
    expect(Object.keys(statements(stack, "schedule_roles_trust"))).toEqual(["SageMaker"]);
    const { dependsOn, input } = requestOf(stack);
    expect(input.RoleArn).toBe(anasSchedules);
    expect(input.ProcessingOutputConfig.Outputs[0].S3Output.S3Uri).toBe(
      `s3://${bucket}/people/ana/jobs/marimo-dev-daily-<aws.scheduler.execution-id>`,
    );
    expect(dependsOn).toContain("aws_iam_policy_attachment.execution_artifacts_attachment");
    expect(statements(stack, "schedules_document").RolesOfJobs?.resources).toEqual([
      anasSchedules.replace(/ana$/, "*"),
    ]);
    // Control: nobody's schedules, which keep their role.
    expect(resourceNames(stack, "aws_iam_role")).not.toContain("jobs_role_role");
    expect(resourceNames(scheduled(), "aws_iam_role")).not.toContain("schedule_roles_role");
    expect(requestOf(scheduled()).input.RoleArn).toBe(jobRole);
  });

  it("with `runAs` has the user's policies of data and of running jobs, and not those of Studio and of sending", () => {
    const names = "[ for key, val in aws_iam_role.schedule_roles_role: val.name]";
    const attached = Object.entries(asAna().resource.aws_iam_policy_attachment ?? {}).flatMap(
      ([name, { roles }]) => (String(roles).includes(names) ? [name.replace(/_attachment$/, "")] : []),
    );
    expect(attached).toEqual(["execution_artifacts", "job_users_job_runtime"]);
    expect(resourceNames(asAna(), "aws_iam_policy_attachment")).toContain("job_users_jobs_attachment");
    const actions = attached.flatMap((name) =>
      Object.values(statements(asAna(), `${name}_document`)).flatMap((one) => one.actions),
    );
    expect(actions.filter((action) => /^(sagemaker|scheduler|iam|sts):/.test(action))).toEqual([]);
  });

  it("with `runAs` sends an alert too when it fails", () => {
    const rule = resource(asAna(), "aws_cloudwatch_event_rule", "job_alerts_rule");
    expect(JSON.parse(String(rule.event_pattern)).detail.RoleArn).toEqual([
      { prefix: anasSchedules.replace(/ana$/, "") },
    ]);
  });

  it("is not there by itself: no queue, no topic, no right of EventBridge to the key", () => {
    const { text } = synthesize({ audit: false });
    expect(text).not.toMatch(/"aws_scheduler_schedule"|aws_sqs|aws_sns|"Alerts"/);
  });
});
