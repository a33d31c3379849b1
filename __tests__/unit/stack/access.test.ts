import { describe, expect, it } from "vitest";
import { needsOf } from "../../../src/plan-review/quotas.ts";
import type { AccessSettings } from "../../../src/settings/access.ts";
import { resolveAccess } from "../../../src/settings/access.ts";
import type { EnvironmentSettings } from "../../../src/settings/environment.ts";
import { policyLength } from "../../../src/settings/policy-length.ts";
import { validateEnvironments } from "../../../src/settings/validate.ts";
import { KnownValues, type StackJson } from "../../support/known-values.ts";
import { type PolicyDocument, simulate } from "../../support/policy-simulator.ts";
import { accountId, arn, resource, statements, synthesize } from "../../support/synthesize.ts";

const keyArn = "arn:aws:kms:us-east-1:999988887777:key/1234abcd-12ab-44cd-96ef-1234567890ab";
const userProfiles = [{ name: "Ana" }, { name: "bo" }, { name: "carla" }];
const lake = { name: "acme-lake", prefix: "curated/" };
const schedule = { notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" };
const objects = (path: string) => expect.stringMatching(new RegExp(`:s3:::${path.replace("*", "\\*")}$`));
const policies = (settings: Partial<EnvironmentSettings>) =>
  Object.keys(synthesize(settings).resource.aws_iam_policy ?? {});
const problems = (settings: object) =>
  validateEnvironments([{ name: "dev", userProfiles, ...settings }]).map((one) =>
    one.replace(/^[^:]*: /, ""),
  );

describe("access", () => {
  it("reads below the prefix, and changes only where it says write", () => {
    const found = statements(
      synthesize({ access: { buckets: [lake, { name: "acme-out", write: true }] } }),
      "execution_access_document",
    );
    expect(found.ReadObjects?.resources).toEqual([objects("acme-lake/curated/*"), objects("acme-out/*")]);
    expect(found.ChangeObjects?.resources).toEqual([objects("acme-out/*")]);
    expect(found.ListBuckets?.resources).toEqual([objects("acme-out")]);
    expect(found.ListPrefixes1x).toMatchObject({
      resources: [objects("acme-lake")],
      condition: [
        { variable: "aws:ResourceAccount", values: [accountId] },
        { variable: "s3:prefix", values: ["curated/*"] },
      ],
    });
  });

  it("names the owner of each bucket, and the key through S3 only", () => {
    const bucket = { ...lake, account: "999988887777", encryptionKeyArn: keyArn };
    const stack = synthesize({ access: { buckets: [bucket] } });
    const found = statements(stack, "execution_access_document");
    expect(found.ReadObjects999988887777?.condition).toEqual([
      { test: "StringEquals", variable: "aws:ResourceAccount", values: ["999988887777"] },
    ]);
    expect(found.KeysOfBuckets).toMatchObject({ actions: ["kms:Decrypt"], resources: [keyArn] });
    expect(found.KeysForWriting).toBeUndefined();
    const value = JSON.stringify(stack.output.other_accounts_policies?.value);
    expect(value).toContain('"curated/*"');
    expect(value).toContain("role/marimo-dev-*");
    expect(value).not.toContain("s3:PutObject");
    expect(synthesize({ access: { buckets: [lake] } }).output).not.toHaveProperty("other_accounts_policies");
  });

  it("reads the tables of a database and secrets by name", () => {
    const found = statements(
      synthesize({ access: { glueDatabases: ["sales"], secrets: ["warehouse", "marimo/*"] } }),
      "execution_access_document",
    );
    expect(found.ReadCatalog?.resources).toEqual([
      arn("glue", "catalog"),
      arn("glue", "database/sales"),
      arn("glue", "table/sales/*"),
    ]);
    expect(found.ReadGrantedSecrets?.resources).toEqual([
      arn("secretsmanager", "secret:warehouse-??????"),
      arn("secretsmanager", "secret:marimo/*"),
    ]);
  });

  it("is a policy of everybody's roles, also of an existing one, and none without grants", () => {
    expect(policies({})).not.toContain("execution_access_policy");
    const access = { buckets: [lake] };
    expect(policies({ access })).toContain("execution_access_policy");
    const executionRoleArn = "arn:aws:iam::123456789012:role/studio";
    expect(policies({ access, existing: { executionRoleArn } })).toContain("execution_access_policy");
    const { output } = synthesize({ access, existing: { domainId: "d-0123456789ab" } });
    expect(output.execution_role_policies?.value).toHaveProperty("access");
  });

  it("is measured as no shorter than the policy, and refused if that is too long", () => {
    const buckets = Array.from({ length: 20 }, (_, index) => ({ name: `acme-${index}-${"x".repeat(50)}` }));
    const access: AccessSettings = {
      buckets: buckets.map((one) => ({ ...one, prefix: `${"p".repeat(90)}/` })),
    };
    const length = policyLength(resolveAccess(access));
    const text = JSON.stringify(statements(synthesize({ access }), "execution_access_document"));
    expect(length).toBeGreaterThan(6144);
    expect(text.match(/:s3:::/g)?.length).toBe(60);
    expect(problems({ access })).toEqual([
      expect.stringContaining(`makes an IAM policy of ${length} characters`),
    ]);
    expect(problems({ access: { buckets: buckets.slice(0, 5) } })).toEqual([]);
  });
});

describe("teams", () => {
  const teams = [
    { name: "forecasting", members: ["Ana", "bo"], access: { buckets: [lake] } },
    { name: "vision", members: ["bo"], access: { glueDatabases: ["images"] } },
  ];

  it("are a policy each, attached once to the roles of their members", () => {
    const stack = synthesize({ userProfiles, teams });
    expect(resource(stack, "aws_iam_policy_attachment", "teams_forecasting_attachment")).toMatchObject({
      name: "marimo-dev-team-forecasting",
      roles: ["marimo-dev-user-ana", "marimo-dev-user-bo"],
      depends_on: ["aws_iam_role.users_role"],
    });
    expect(statements(stack, "teams_vision_document").ReadCatalog?.resources).toContain(
      arn("glue", "table/images/*"),
    );
    expect(JSON.stringify(statements(stack, "teams_vision_document"))).not.toContain("acme-lake");
  });

  it("reach schedules that name them, and those that run as a member", () => {
    const schedules = [
      { ...schedule, name: "daily", team: "forecasting" },
      { ...schedule, name: "weekly", runAs: "bo" },
      { ...schedule, name: "other" },
    ];
    const stack = synthesize({ userProfiles, teams, schedules });
    const rolesOf = (team: string) =>
      resource(stack, "aws_iam_policy_attachment", `teams_${team}_attachment`).roles;
    expect(rolesOf("forecasting")).toEqual([
      "marimo-dev-user-ana",
      "marimo-dev-user-bo",
      "marimo-dev-schedules-bo",
      expect.stringContaining("aws_iam_role.jobs_role_forecasting_role.name"),
    ]);
    expect(rolesOf("vision")).not.toContainEqual(expect.stringContaining("forecasting"));
    expect(resource(stack, "aws_iam_role", "jobs_role_forecasting_role").name).toBe(
      "marimo-dev-schedules-team.forecasting",
    );
    const input = (name: string) =>
      JSON.stringify(resource(stack, "aws_scheduler_schedule", `schedules_schedule_${name}`).target);
    expect(input("daily")).toContain("jobs_role_forecasting_role.arn");
    expect(input("other")).not.toContain("forecasting");
  });

  it("have no policy without a grant, which IAM would refuse", () => {
    const team = { name: "empty", members: ["bo"], access: {} };
    expect(synthesize({ userProfiles, teams: [team] }).text).not.toContain("teams_empty");
  });

  it("count as policies of the member who has most", () => {
    const without = needsOf(synthesize({ userProfiles })).perRole;
    expect(needsOf(synthesize({ userProfiles, teams })).perRole).toBe(without + 2);
  });

  it("stay flat: 50 teams and 1,000 people add a line for each membership", () => {
    const many = Array.from({ length: 1000 }, (_, index) => ({ name: `u${index}` }));
    const size = (count: number, members: number) =>
      synthesize({
        userProfiles: many,
        teams: Array.from({ length: count }, (_, index) => ({
          name: `t${index}`,
          members: many.slice(0, members).map(({ name }) => name),
          access: { buckets: [lake] },
        })),
      }).text.length;
    const [none, oneMember, tenMembers] = [size(0, 0), size(50, 1), size(50, 10)];
    expect((oneMember - none) / 50).toBeLessThan(4000);
    expect((tenMembers - oneMember) / 450).toBeLessThan(50);
  });
});

describe("what IAM says of a grant", () => {
  const stack = synthesize({
    userProfiles,
    access: { buckets: [{ name: "acme-raw", prefix: "open/" }] },
    teams: [
      {
        name: "forecasting",
        members: ["ana"],
        access: { buckets: [lake], glueDatabases: ["sales"], secrets: ["warehouse"] },
      },
    ],
  });
  const values = new KnownValues(stack as unknown as StackJson, () => "");
  const documents = (...names: string[]) =>
    names.map((name) => {
      const json = values.valueOf(`\${data.aws_iam_policy_document.${name}.json}`, undefined);
      return JSON.parse(String(json)) as PolicyDocument;
    });
  const bo = documents("execution_access_document");
  const ana = [...bo, ...documents("teams_forecasting_document")];
  const inAccount = "us-east-1:111122223333";
  const allows = (identity: readonly PolicyDocument[], action: string, of: string, more = {}) =>
    simulate(
      { identity },
      { action, resource: of, context: { "aws:ResourceAccount": "111122223333", ...more } },
    ).allowed;

  it.each([
    ["s3:GetObject", "arn:aws:s3:::acme-lake/curated/a.csv", "arn:aws:s3:::acme-lake/raw/a.csv"],
    ["glue:GetTable", `arn:aws:glue:${inAccount}:table/sales/a`, `arn:aws:glue:${inAccount}:table/hr/a`],
    [
      "secretsmanager:GetSecretValue",
      `arn:aws:secretsmanager:${inAccount}:secret:warehouse-AbCdEf`,
      `arn:aws:secretsmanager:${inAccount}:secret:warehouse-admin-AbCdEf`,
    ],
  ])("lets ana use %s with her team, not beside the grant, and bo not at all", (action, granted, beside) => {
    expect(allows(ana, action, granted)).toBe(true);
    expect(allows(ana, action, beside)).toBe(false);
    expect(allows(bo, action, granted)).toBe(false);
  });

  it("lets bo read what everybody reads, of this account only, and nobody write it", () => {
    const everybodys = "arn:aws:s3:::acme-raw/open/a.csv";
    expect(allows(bo, "s3:GetObject", everybodys)).toBe(true);
    expect(allows(bo, "s3:GetObject", everybodys, { "aws:ResourceAccount": "999988887777" })).toBe(false);
    expect(allows(ana, "s3:PutObject", everybodys)).toBe(false);
  });
});

describe("endpoints of grants", () => {
  const closed = { egress: "endpoints-only", access: { buckets: [lake] } } as const;
  const endpoints = (settings: Partial<EnvironmentSettings>) =>
    Object.keys(synthesize(settings).resource.aws_vpc_endpoint ?? {});

  it("are those of the granted services and no others", () => {
    const plain = endpoints({ egress: "endpoints-only" });
    expect(endpoints(closed)).toEqual(plain);
    expect(endpoints({ ...closed, access: { glueDatabases: ["sales"] } })).toEqual(
      expect.arrayContaining([...plain, "network_glue_endpoint"]),
    );
    const team = { name: "vision", members: ["bo"], access: { secrets: ["warehouse"] } };
    const added = endpoints({ egress: "endpoints-only", userProfiles, teams: [team] });
    expect(added.filter((one) => !plain.includes(one))).toEqual(["network_secretsmanager_endpoint"]);
    expect(endpoints({ access: { glueDatabases: ["sales"] } })).toEqual(endpoints({}));
  });

  it("let the granted buckets through that of S3, only to read unless they are written", () => {
    const found = statements(
      synthesize({ ...closed, access: { buckets: [lake, { name: "acme-out", write: true }] } }),
      "network_s3_endpoint_policy",
    );
    expect(found.BucketsToRead).toMatchObject({
      actions: ["s3:Get*", "s3:List*"],
      resources: [objects("acme-lake"), objects("acme-lake/*")],
    });
    expect(found.BucketsToChange?.resources).toEqual([objects("acme-out"), objects("acme-out/*")]);
    const plain = statements(synthesize({ egress: "endpoints-only" }), "network_s3_endpoint_policy");
    expect(Object.keys(plain)).toEqual(["BucketOfTheEnvironment"]);
  });
});

describe("validation", () => {
  const team = (changes: object) => ({ teams: [{ name: "a", members: ["bo"], access: {}, ...changes }] });
  const manyTeams = (count: number) => ({
    teams: Array.from({ length: count }, (_, index) => ({ name: `t${index}`, members: ["bo"], access: {} })),
  });
  it.each<[string, object, string]>([
    ["a key that does not exist", { access: { bucket: [] } }, "unknown key"],
    ["no list", { access: { buckets: "acme" } }, "must be a list"],
    ["a bucket without a name", { access: { buckets: [{}] } }, "is not a valid bucket name"],
    [
      "a prefix without a slash",
      { access: { buckets: [{ ...lake, prefix: "cur" }] } },
      "is not a valid prefix",
    ],
    ["a pattern", { access: { buckets: [{ ...lake, prefix: "*/" }] } }, "is not a valid prefix"],
    ["a bucket twice", { access: { buckets: [lake, { ...lake }] } }, "is listed twice"],
    [
      "the environment's bucket",
      { access: { buckets: [{ name: "marimo-x-123456789012-us-east-1" }] } },
      "is a bucket of an environment",
    ],
    [
      "the bucket of the environment's state",
      { backend: { type: "s3", bucket: "acme-state" }, access: { buckets: [{ name: "acme-state" }] } },
      "has the environment's Terraform state",
    ],
    [
      "an alias",
      { access: { buckets: [{ ...lake, encryptionKeyArn: "alias/x" }] } },
      "is not the ARN of a KMS key",
    ],
    [
      "an account's name",
      { access: { buckets: [{ ...lake, account: "lake" }] } },
      "is not the ID of an account",
    ],
    ["all databases", { access: { glueDatabases: ["*"] } }, "is not the name of a Glue database"],
    ["all secrets", { access: { secrets: ["*"] } }, "is not the name of a secret"],
    ["a team's name", team({ name: "A" }), "is not a valid team name"],
    ["a stranger", team({ members: ["bob"] }), "is not the name of a user"],
    ["a member twice", team({ members: ["bo", "BO"] }), "is listed twice"],
    ["nobody", team({ members: [] }), "lists 0"],
    [
      "a team beside one role",
      { ...team({}), existing: { executionRoleArn: "arn:aws:iam::123456789012:role/x" } },
      "needs a role for each user",
    ],
    ["a user in too many teams", manyTeams(11), "is in 11 teams"],
    [
      "a schedule of no team",
      { schedules: [{ ...schedule, name: "x", team: "b" }], ...team({}) },
      "is not the name of a team",
    ],
    [
      "a team and a user",
      { schedules: [{ ...schedule, name: "x", team: "a", runAs: "bo" }], ...team({}) },
      "cannot be combined with runAs",
    ],
  ])("refuses %s", (_, settings, problem) => {
    expect(problems(settings)).toEqual([expect.stringContaining(problem)]);
  });

  it("refuses more buckets than the policy of the S3 endpoint can name", () => {
    const teams = Array.from({ length: 6 }, (_, index) => ({
      name: `t${index}`,
      members: ["bo"],
      access: { buckets: Array.from({ length: 17 }, (_, one) => ({ name: `acme-${index}-${one}` })) },
    }));
    expect(problems({ egress: "endpoints-only", teams })).toEqual([
      expect.stringContaining("grant 102 buckets, with access"),
    ]);
    expect(problems({ teams })).toEqual([]);
  });

  it("accepts the most, and says all problems at once", () => {
    expect(problems(manyTeams(10))).toEqual([]);
    expect(
      problems({ access: { glueDatabases: ["*"], secrets: ["*"] }, ...team({ name: "A" }) }),
    ).toHaveLength(3);
  });
});
