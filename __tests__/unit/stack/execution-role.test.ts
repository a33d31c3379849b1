import { describe, expect, it } from "vitest";
import { synthesizeEvery } from "../../support/every-environment.ts";
import {
  accountId,
  arn,
  dnsSuffix,
  expression,
  keyArn,
  partition,
  resource,
  servicePrincipal,
  statements,
  synthesize,
} from "../../support/synthesize.ts";

const documents = [
  ...["spaces", "artifacts"].map((name) => `execution_${name}_document`),
  ...["jobs", "job_runtime"].map((name) => `job_users_${name}_document`),
];
const everyRole = expression(
  `concat([aws_iam_role.execution_role.name], [ for key, val in aws_iam_role.users_role: val.name])`,
);
const bucketArn = expression("aws_s3_bucket.storage_artifacts_bucket.arn");
const self = arn("sagemaker", "user-profile/&{sagemaker:DomainId}/&{sagemaker:UserProfileName}");
const own = { test: "ArnLike", variable: "sagemaker:OwnerUserProfileArn", values: [self] };
const ownerless = { test: "Null", variable: "sagemaker:OwnerUserProfileArn", values: ["true"] };
const sharing = (...values: string[]) => ({
  test: "StringEquals",
  variable: "sagemaker:SpaceSharingType",
  values,
});

describe("the execution role", () => {
  it("is assumed by SageMaker, only for this account and Region", () => {
    const stack = synthesize();
    expect(resource(stack, "aws_iam_role", "execution_role").assume_role_policy).toBe(
      expression("data.aws_iam_policy_document.execution_trust.json"),
    );
    expect(Object.values(statements(stack, "execution_trust"))).toEqual([
      {
        sid: "SageMaker",
        actions: ["sts:AssumeRole"],
        principals: [{ type: "Service", identifiers: [servicePrincipal("sagemaker")] }],
        condition: [
          { test: "StringEquals", variable: "aws:SourceAccount", values: [accountId] },
          { test: "ArnLike", variable: "aws:SourceArn", values: [arn("sagemaker", "*")] },
        ],
      },
    ]);
  });

  it("has what everybody has, nothing inline, and none of AWS's own policies", () => {
    const stack = synthesize();
    for (const name of ["spaces", "artifacts"]) {
      expect(resource(stack, "aws_iam_policy", `execution_${name}_policy`)).toMatchObject({
        name: `marimo-dev-${name}`,
        policy: `\${data.aws_iam_policy_document.execution_${name}_document.json}`,
      });
      expect(resource(stack, "aws_iam_policy_attachment", `execution_${name}_attachment`)).toMatchObject({
        policy_arn: `\${aws_iam_policy.execution_${name}_policy.arn}`,
        roles: everyRole,
      });
    }
    expect(Object.keys(stack.resource)).not.toContain("aws_iam_role_policy_attachment");
    expect(Object.keys(stack.resource.aws_iam_role_policy ?? {})).toEqual([
      "instance_limit_policy",
      "network_flow_logs_write",
    ]);
    expect(stack.text).not.toContain("FullAccess");
  });

  it("keeps no inline policy that is added by hand, as each role of the stack", () => {
    for (const [name, stack] of synthesizeEvery()) {
      const { aws_iam_role: roles = {}, aws_iam_role_policies_exclusive: lists = {} } = stack.resource;
      const { aws_iam_role_policy: policies = {} } = stack.resource;
      for (const [role, block] of Object.entries(roles)) {
        const isOf = (named: unknown) => named === expression(`aws_iam_role.${role}.name`);
        const own = Object.keys(policies).filter((policy) => isOf(policies[policy]?.role));
        const list = Object.values(lists).filter(({ role_name }) => isOf(role_name));
        // Without a resource and a request for each person.
        const expected =
          own.length === 0
            ? { inline: [{}], names: [] }
            : {
                inline: undefined,
                names: [own.map((one) => expression(`aws_iam_role_policy.${one}.name`)).sort()],
              };
        const found = {
          inline: block.inline_policy,
          names: list.map(({ policy_names }) => (policy_names as string[]).toSorted()),
        };
        expect(found, `${name}: ${role}`).toEqual(expected);
      }
    }
  });

  it("may change spaces and apps that are its own, or nobody's", () => {
    const spaces = statements(synthesize(), "execution_spaces_document");
    expect(spaces.OwnSpaces?.condition).toEqual([own, sharing("Private", "Shared")]);
    expect(spaces.AppsOfOwnPrivateSpaces?.condition).toEqual([own, sharing("Private")]);
    expect(spaces.SpacesWithoutOwner?.condition).toEqual([ownerless]);
    expect(spaces.AppsWithoutOwner?.condition).toEqual([ownerless]);
    expect(spaces.OpenStudioAsOneself?.resources).toEqual([self]);
    const changing = Object.values(spaces).filter(({ actions }) =>
      actions.some((action) => /:(Create|Update|Delete)(Space|App)$/.test(action)),
    );
    expect(changing).toHaveLength(4);
  });

  it("reads and writes what is shared or its own in the one bucket, and reads what every space runs", () => {
    const artifacts = statements(synthesize(), "execution_artifacts_document");
    const deployed = ["payload", "wheels", "schedules"].map((prefix) => `marimo/${prefix}/*`);
    expect(artifacts.ListObjects?.condition).toEqual([
      { test: "StringLike", variable: "s3:prefix", values: [...deployed, "shared/*"] },
    ]);
    expect(artifacts.ReadObjects?.resources).toEqual(
      [...deployed, "shared/*"].map((path) => `${bucketArn}/${path}`),
    );
    expect(artifacts.ChangeObjects?.resources).toEqual([`${bucketArn}/shared/*`]);
    const tagged = { test: "StringLike", variable: "aws:PrincipalTag/StudioUser", values: ["?*"] };
    expect(artifacts.OwnObjects).toMatchObject({
      resources: [`${bucketArn}/people/&{aws:PrincipalTag/StudioUser}/*`],
      condition: [tagged],
    });
    expect(artifacts.ListOwnObjects?.condition).toContainEqual(tagged);
    expect(artifacts.ResultsOfSchedulesAreReadOnly).toMatchObject({
      effect: "Deny",
      resources: [`${bucketArn}/shared/jobs/*`],
    });
    expect(artifacts.PayloadIsReadOnly).toMatchObject({
      effect: "Deny",
      actions: expect.arrayContaining(["s3:PutObject*", "s3:DeleteObject*"]),
      resources: ["payload", "wheels", "schedules"].map((prefix) => `${bucketArn}/marimo/${prefix}/*`),
    });
  });

  it("uses the one key, for the bucket through S3, for volumes by AWS's grants", () => {
    const artifacts = statements(synthesize(), "execution_artifacts_document");
    expect(artifacts.KeyForTheBucket).toMatchObject({
      resources: [keyArn],
      condition: [{ variable: "kms:ViaService", values: [`s3.us-east-1.${dnsSuffix}`] }],
    });
    expect(artifacts.KeyForTheVolumesOfSpaces).toMatchObject({
      actions: ["kms:DescribeKey"],
      resources: [keyArn],
    });
    expect(artifacts.GrantsForTheVolumesOfSpaces).toMatchObject({
      actions: ["kms:CreateGrant"],
      resources: [keyArn],
      condition: [{ test: "Bool", variable: "kms:GrantIsForAWSResource", values: ["true"] }],
    });
  });

  it("lists jobs without describing any, and writes Studio's logs without reading any", () => {
    const stack = synthesize();
    const withoutTag = Object.values(statements(stack, "execution_spaces_document")).filter(
      (one) => !JSON.stringify(one).includes("PrincipalTag"),
    );
    expect(JSON.stringify(withoutTag)).toContain("ListProcessingJobs");
    expect(JSON.stringify(withoutTag)).not.toMatch(/Describe\w*Job|GetLog/);
    const group = arn("logs", "log-group:/aws/sagemaker/studio");
    expect(statements(stack, "execution_spaces_document").StudioLogs?.resources).toEqual([
      group,
      `${group}:log-stream:*`,
    ]);
  });

  it("reads the one CodeArtifact repository that the packages come from, and none without it", () => {
    const packageIndexUrl =
      "https://team-x-210987654321.d.codeartifact.eu-west-1.amazonaws.com/pypi/python.all/simple/";
    const ofOwner = `arn:${partition}:codeartifact:eu-west-1:210987654321`;
    const stack = synthesize({ packageIndexUrl });
    expect(Object.values(statements(stack, "execution_packages_document"))).toEqual([
      {
        sid: "PackageIndexToken",
        actions: ["codeartifact:GetAuthorizationToken"],
        resources: [`${ofOwner}:domain/team-x`],
      },
      {
        sid: "ReadThePackageIndex",
        actions: ["codeartifact:GetRepositoryEndpoint", "codeartifact:ReadFromRepository"],
        resources: [`${ofOwner}:repository/team-x/python.all`],
      },
      {
        sid: "BearerTokenForCodeArtifact",
        actions: ["sts:GetServiceBearerToken"],
        resources: ["*"],
        condition: [
          {
            test: "StringEquals",
            variable: "sts:AWSServiceName",
            values: [servicePrincipal("codeartifact")],
          },
        ],
      },
    ]);
    expect(resource(stack, "aws_iam_policy_attachment", "execution_packages_attachment").roles).toBe(
      everyRole,
    );
    for (const other of [{}, { packageIndexUrl: "https://pypi.example.com/simple" }]) {
      expect(synthesize(other).text).not.toMatch(/codeartifact|GetServiceBearerToken/);
    }
  });

  it("reads exactly the secrets of the repositories, and none without them", () => {
    const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:marimo/git-AbCdEf";
    const repositories = [
      "https://github.com/acme/tools",
      { repositoryUrl: "https://github.com/acme/models", secretArn },
      { repositoryUrl: "https://github.com/acme/data", secretArn },
    ];
    const stack = synthesize({ repositories });
    expect(Object.values(statements(stack, "execution_packages_document"))).toEqual([
      { sid: "ReadSecrets", actions: ["secretsmanager:GetSecretValue"], resources: [secretArn] },
    ]);
    expect(resource(stack, "aws_iam_policy_attachment", "execution_packages_attachment").roles).toBe(
      everyRole,
    );
    // Only the users' role: jobs and Terraform do not need them.
    expect(JSON.stringify(stack.data).match(/GetSecretValue/g)).toHaveLength(1);
    for (const other of [{}, { repositories: repositories.slice(0, 1) }]) {
      expect(synthesize(other).text).not.toContain("secretsmanager");
    }
  });

  it.each(documents)("%s allows no wildcard action, and every resource only in this region", (document) => {
    const found = Object.values(statements(synthesize(), document));
    expect(found.length).toBeGreaterThan(0);
    for (const { sid, effect, actions, resources, condition } of found) {
      if (effect === "Deny") continue;
      expect(actions.join(), sid).not.toContain("*");
      // A metric has no resource, but a namespace.
      if (resources?.includes("*") && sid !== "MetricsOfJobs") {
        expect(condition, sid).toEqual([
          { test: "StringEquals", variable: "aws:RequestedRegion", values: ["us-east-1"] },
        ]);
        expect(
          actions.every((action) => /:(List|Describe|GetAuthorizationToken)/.test(action)),
          sid,
        ).toBe(true);
      }
    }
  });
});
