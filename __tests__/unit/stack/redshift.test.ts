import { describe, expect, it } from "vitest";
import type { AccessSettings } from "../../../src/settings/access.ts";
import type { EnvironmentSettings } from "../../../src/settings/environment.ts";
import { validateEnvironments } from "../../../src/settings/validate.ts";
import { KnownValues, type StackJson } from "../../support/known-values.ts";
import { type PolicyDocument, simulate } from "../../support/policy-simulator.ts";
import { statements, synthesize } from "../../support/synthesize.ts";

const workgroupId = "1234abcd-12ab-34cd-56ef-1234567890ab";
const sales = { cluster: "warehouse", database: "sales" };
const serverless = { workgroupId, database: "web" };
const userProfiles = [{ name: "Ana" }, { name: "bo" }];
const team = (access: object) => ({ name: "forecasting", members: ["Ana"], access });

describe("a grant of Redshift", () => {
  const inAccount = "us-east-1:111122223333";
  const stack = synthesize({ access: { redshift: [sales, { ...sales, database: "web" }, serverless] } });
  const values = new KnownValues(stack as unknown as StackJson, () => "");
  const json = values.valueOf(`\${data.aws_iam_policy_document.execution_access_document.json}`, undefined);
  const identity = [JSON.parse(String(json)) as PolicyDocument];
  const allows = (action: string, resource: string, context = {}) =>
    simulate({ identity }, { action, resource, context: { "aws:userid": "AROA:SageMaker", ...context } })
      .allowed;

  it.each([
    ["redshift:GetClusterCredentialsWithIAM", `arn:aws:redshift:${inAccount}:dbname:warehouse/sales`, "/hr"],
    ["redshift-data:ExecuteStatement", `arn:aws:redshift:${inAccount}:cluster:warehouse`, "-2"],
    ["redshift-data:ListTables", `arn:aws:redshift-serverless:${inAccount}:workgroup/${workgroupId}`, "0"],
    [
      "redshift-serverless:GetCredentials",
      `arn:aws:redshift-serverless:${inAccount}:workgroup/${workgroupId}`,
      "0",
    ],
  ])("allows %s there, and not beside it", (action, resource, beside) => {
    const context = { "redshift:DbName": "sales" };
    expect(allows(action, resource, context)).toBe(true);
    expect(allows(action, `${resource.replace(/\/sales$/, "")}${beside}`, context)).toBe(false);
  });

  it("gives no credentials for all databases of a cluster, and none for a user's name", () => {
    const database = `arn:aws:redshift:${inAccount}:dbname:warehouse/sales`;
    expect(allows("redshift:GetClusterCredentialsWithIAM", database)).toBe(false);
    expect(
      allows("redshift:GetClusterCredentials", `arn:aws:redshift:${inAccount}:dbuser:warehouse/admin`),
    ).toBe(false);
  });

  it("shows the results of one's own statements only", () => {
    const owner = (of: string) => ({ "redshift-data:statement-owner-iam-userid": of });
    for (const action of ["GetStatementResult", "DescribeStatement", "CancelStatement"]) {
      expect(allows(`redshift-data:${action}`, "*", owner("AROA:SageMaker"))).toBe(true);
      expect(allows(`redshift-data:${action}`, "*", owner("AROB:SageMaker"))).toBe(false);
    }
  });

  it("is nothing where it is not given", () => {
    expect(synthesize({ access: { glueDatabases: ["sales"] } }).text).not.toMatch(/redshift|lakeformation/);
  });
});

describe("Lake Formation", () => {
  it("is the right to ask for data, in this Region", () => {
    expect(
      statements(synthesize({ access: { lakeFormation: true } }), "execution_access_document"),
    ).toMatchObject({
      ReadLakeFormation: {
        actions: ["lakeformation:GetDataAccess"],
        resources: ["*"],
        condition: [{ variable: "aws:RequestedRegion", values: ["us-east-1"] }],
      },
    });
  });
});

describe("whom the administrators grant", () => {
  const output = (settings: Partial<EnvironmentSettings>, name: string) =>
    synthesize({ userProfiles, ...settings }).output[name]?.value as readonly Record<string, unknown>[];

  it("are the users of Redshift, by role: everybody's, or the team's", () => {
    const [everybody] = output({ access: { redshift: [sales] } }, "redshift_users");
    expect(everybody).toEqual({
      databases: [sales],
      users: expect.stringMatching(
        /^\$\{formatlist\("IAMR:%s", concat\(.*execution_role.*users_role.*\)\)\}$/,
      ),
    });
    expect(output({ teams: [team({ redshift: [serverless] })] }, "redshift_users")).toEqual([
      { databases: [serverless], users: `\${formatlist("IAMR:%s", ["marimo-dev-user-ana"])}` },
    ]);
  });

  it("are the principals of Lake Formation, each a role", () => {
    const access = { lakeFormation: true, glueDatabases: ["plans"] };
    const schedules = [
      {
        ...{ name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" },
        team: "forecasting",
      },
    ];
    const [found] = output({ teams: [team(access)], schedules }, "lake_formation_principals");
    expect(found?.glue_databases).toEqual(["plans"]);
    expect(found?.principals).toMatch(
      /role\/%s", \["marimo-dev-user-ana", aws_iam_role\.jobs_role_forecasting/,
    );
  });

  it("are not asked for without such a grant", () => {
    expect(output({ access: { glueDatabases: ["sales"] } }, "redshift_users")).toBeUndefined();
    expect(output({ access: { redshift: [sales] } }, "lake_formation_principals")).toBeUndefined();
  });
});

describe("endpoints", () => {
  it("are those that notebooks call, only without internet", () => {
    const endpoints = (settings: Partial<EnvironmentSettings>) =>
      Object.keys(synthesize(settings).resource.aws_vpc_endpoint ?? {});
    const plain = endpoints({ egress: "endpoints-only" });
    const added = (access: AccessSettings) =>
      endpoints({ egress: "endpoints-only", access }).filter((one) => !plain.includes(one));
    expect(added({ redshift: [sales, serverless] })).toEqual(["network_redshift_data_endpoint"]);
    expect(added({ lakeFormation: true })).toEqual(["network_lakeformation_endpoint"]);
    expect(added({ lakeFormation: false })).toEqual([]);
    expect(endpoints({ access: { redshift: [sales], lakeFormation: true } })).toEqual(endpoints({}));
  });
});

describe("validation", () => {
  it.each<[string, unknown, string]>([
    ["no list", "warehouse", "must be a list"],
    ["neither place", [{ database: "sales" }], "has neither"],
    ["both places", [{ ...sales, workgroupId }], "has both"],
    ["no database", [{ cluster: "warehouse" }], "is not the name of a database"],
    ["all databases", [{ cluster: "warehouse", database: "*" }], "is not the name of a database"],
    ["a pattern of clusters", [{ cluster: "ware*", database: "a" }], "is not the identifier of a cluster"],
    ["a workgroup's name", [{ workgroupId: "web", database: "a" }], "is not the ID of a workgroup"],
    ["the same twice", [sales, { ...sales }], "is listed twice"],
    ["21", Array.from({ length: 21 }, (_, index) => ({ ...sales, database: `d${index}` })), "lists 21"],
  ])("refuses %s", (_, redshift, problem) => {
    const access = { redshift } as EnvironmentSettings["access"];
    expect(validateEnvironments([{ name: "dev", access }])).toEqual([expect.stringContaining(problem)]);
  });

  it("accepts both kinds, and measures what they add to the policy", () => {
    expect(
      validateEnvironments([{ name: "dev", access: { redshift: [sales, serverless], lakeFormation: true } }]),
    ).toEqual([]);
    const database = "d".repeat(100);
    const redshift = Array.from({ length: 20 }, (_, index) => ({
      cluster: `${"c".repeat(50)}${index}`,
      database: `${database}${index}`,
    }));
    expect(validateEnvironments([{ name: "dev", access: { redshift } }])).toEqual([
      expect.stringContaining("makes an IAM policy of"),
    ]);
  });
});
