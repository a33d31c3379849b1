import { describe, expect, it } from "vitest";
import { resolveAccess } from "../../../src/settings/access.ts";
import type { EnvironmentSettings } from "../../../src/settings/environment.ts";
import { policyLength } from "../../../src/settings/policy-length.ts";
import { validateEnvironments } from "../../../src/settings/validate.ts";
import { type Instance, KnownValues, type StackJson } from "../../support/known-values.ts";
import { type PolicyDocument, simulate } from "../../support/policy-simulator.ts";
import { resource, statements, synthesize } from "../../support/synthesize.ts";

const userProfiles = [{ name: "Ana" }, { name: "bo" }];
const athena = (bytesScannedCutoffGb: number) => ({ athena: { bytesScannedCutoffGb } });
const team = (name: string, members: readonly string[], cutoff: number) => ({
  ...{ name, members, access: athena(cutoff) },
});
const schedule = { notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" };
const gb = 1024 ** 3;

const known = (settings: Partial<EnvironmentSettings>) => {
  const stack = synthesize(settings.existing === undefined ? { userProfiles, ...settings } : settings);
  return { stack, values: new KnownValues(stack as unknown as StackJson, () => "") };
};

/** Each workgroup with its results and the GB that a query may scan. */
function workgroups(settings: Partial<EnvironmentSettings>) {
  const { values } = known(settings);
  return values.instances("aws_athena_workgroup").map(({ block, each }: Instance) => {
    const { name, configuration } = values.valueOf(block, each) as {
      readonly name: string;
      readonly configuration: {
        readonly bytes_scanned_cutoff_per_query: number;
        readonly result_configuration: { readonly output_location: string };
      };
    };
    const folder = configuration.result_configuration.output_location.replace(/^s3:\/\/[^/]+\//, "");
    return `${name} ${folder} ${configuration.bytes_scanned_cutoff_per_query / gb}`;
  });
}

describe("workgroups", () => {
  it("are one for each user and one for shared spaces, with the results of each in their own place", () => {
    expect(workgroups({ access: athena(100) })).toEqual([
      "marimo-dev-shared shared/athena/ 100",
      "marimo-dev-user-ana people/ana/athena/ 100",
      "marimo-dev-user-bo people/bo/athena/ 100",
    ]);
    expect(workgroups({})).toEqual([]);
  });

  it("of a team are its members' only, with the largest of their limits", () => {
    const teams = [team("small", ["ana"], 10), team("large", ["Ana"], 500)];
    expect(workgroups({ teams })).toEqual(["marimo-dev-user-ana people/ana/athena/ 500"]);
    expect(workgroups({ teams, access: athena(50) })).toEqual([
      "marimo-dev-shared shared/athena/ 50",
      "marimo-dev-user-ana people/ana/athena/ 500",
      "marimo-dev-user-bo people/bo/athena/ 50",
    ]);
  });

  it("of a schedule with a team are beside those of its members", () => {
    const teams = [team("large", ["ana"], 500)];
    const schedules = [{ ...schedule, name: "daily", team: "large" }];
    expect(workgroups({ teams, schedules })).toContain("marimo-dev-schedules-team.large shared/athena/ 500");
  });

  it("are one where everybody has one role", () => {
    const executionRoleArn = "arn:aws:iam::123456789012:role/studio";
    for (const existing of [{ executionRoleArn }, { domainId: "d-0123456789ab" }])
      expect(workgroups({ existing, access: athena(100) })).toEqual(["marimo-dev-shared shared/athena/ 100"]);
  });

  it("hold clients to their settings, and are deleted with the history of queries", () => {
    const { stack } = known({ access: athena(100) });
    expect(resource(stack, "aws_athena_workgroup", "athena_users")).toMatchObject({
      force_destroy: true,
      configuration: {
        enforce_workgroup_configuration: true,
        result_configuration: {
          expected_bucket_owner: expect.stringContaining("account_id"),
          encryption_configuration: {
            encryption_option: "SSE_KMS",
            kms_key_arn: expect.stringContaining("aws_kms_key"),
          },
        },
      },
    });
  });

  it("are a line for each user", () => {
    const size = (count: number) =>
      synthesize({
        userProfiles: Array.from({ length: count }, (_, index) => ({ name: `u${index}` })),
        access: athena(100),
      }).text.length;
    const without = (count: number) =>
      synthesize({ userProfiles: Array.from({ length: count }, (_, index) => ({ name: `u${index}` })) }).text
        .length;
    expect(size(500) - without(500) - (size(1) - without(1))).toBeLessThan(499 * 50);
  });
});

describe("the workgroup of notebooks", () => {
  const variables = (settings: Partial<EnvironmentSettings>) => {
    const { stack } = known(settings);
    const [, users] = /MARIMO_ATHENA_USERS=(.*?)\\n/.exec(stack.text) ?? [];
    const ofJobs = /athenaUsers\\": \[(.*?)\]/.exec(stack.text)?.[1]?.match(/[\w*]+(?=\\")/g) ?? [];
    return { users, ofJobs };
  };
  const ofSchedule = (settings: Partial<EnvironmentSettings>) => {
    const input = JSON.stringify(
      resource(known(settings).stack, "aws_scheduler_schedule", "schedules_schedule_daily").target,
    );
    return /MARIMO_ATHENA_WORKGROUP\W+([\w.-]+)/.exec(input)?.[1];
  };

  it("is a variable for those who have it, in spaces and in jobs", () => {
    expect(variables({ access: athena(1) })).toEqual({ users: "*", ofJobs: ["*"] });
    const teams = [team("large", ["Ana"], 500)];
    expect(variables({ teams })).toEqual({ users: "ana", ofJobs: ["ana"] });
    expect(variables({})).toEqual({ users: undefined, ofJobs: [] });
  });

  it("is that of a schedule's access", () => {
    const teams = [team("large", ["ana"], 500), { name: "other", members: ["bo"], access: {} }];
    const daily = { ...schedule, name: "daily" };
    const access = athena(1);
    expect(ofSchedule({ access, schedules: [daily] })).toBe("marimo-dev-shared");
    expect(ofSchedule({ teams, schedules: [daily] })).toBeUndefined();
    expect(ofSchedule({ teams, schedules: [{ ...daily, team: "large" }] })).toBe(
      "marimo-dev-schedules-team.large",
    );
    expect(ofSchedule({ access, teams, schedules: [{ ...daily, team: "other" }] })).toBe("marimo-dev-shared");
    expect(ofSchedule({ teams, schedules: [{ ...daily, runAs: "ana" }] })).toBe("marimo-dev-user-ana");
    expect(ofSchedule({ teams, schedules: [{ ...daily, runAs: "bo" }] })).toBeUndefined();
  });
});

describe("what IAM says of a query", () => {
  const documentsOf = (settings: Partial<EnvironmentSettings>, ...names: string[]) => {
    const { values } = known(settings);
    return names.map((name) => {
      const json = values.valueOf(`\${data.aws_iam_policy_document.${name}.json}`, undefined);
      return JSON.parse(String(json)) as PolicyDocument;
    });
  };
  const own = documentsOf(
    { access: athena(1), teams: [team("large", ["ana"], 500)] },
    "execution_artifacts_document",
    "execution_access_document",
  );
  const allows = (
    identity: readonly PolicyDocument[],
    user: string | undefined,
    action: string,
    of: string,
  ) =>
    simulate(
      { identity },
      {
        action,
        resource: of.includes(":") ? of : `arn:aws:athena:us-east-1:111122223333:${of}`,
        context: user === undefined ? {} : { "aws:PrincipalTag/StudioUser": user },
      },
    ).allowed;

  it.each(["StartQueryExecution", "GetQueryResults", "StopQueryExecution", "GetWorkGroup"])(
    "allows %s in one's own workgroup, and not in another's",
    (action) => {
      const on = (user: string | undefined, workgroup: string) =>
        allows(own, user, `athena:${action}`, `workgroup/marimo-dev-${workgroup}`);
      expect(on("ana", "user-ana")).toBe(true);
      expect(on("ana", "user-bo")).toBe(false);
      expect(on("", "user-")).toBe(false);
      expect(on(undefined, "user-ana")).toBe(false);
      expect(on(undefined, "shared")).toBe(true);
      expect(on(undefined, "schedules-team.large")).toBe(false);
    },
  );

  it("allows neither another workgroup nor what would be lost with the workgroup", () => {
    expect(allows(own, "ana", "athena:StartQueryExecution", "workgroup/primary")).toBe(false);
    expect(allows(own, "ana", "athena:UpdateWorkGroup", "workgroup/marimo-dev-user-ana")).toBe(false);
    expect(allows(own, "ana", "athena:CreateNamedQuery", "workgroup/marimo-dev-user-ana")).toBe(false);
    expect(allows(own, "ana", "athena:GetTableMetadata", "datacatalog/awsdatacatalog")).toBe(true);
    expect(allows(own, "ana", "athena:GetTableMetadata", "datacatalog/other")).toBe(false);
  });

  it("gives a schedule with a team the team's workgroup, and what its queries write", () => {
    const [ofTeam] = documentsOf({ teams: [team("large", ["ana"], 500)] }, "teams_large_document");
    const jobs = [ofTeam as PolicyDocument];
    expect(
      allows(jobs, undefined, "athena:StartQueryExecution", "workgroup/marimo-dev-schedules-team.large"),
    ).toBe(true);
    expect(allows(jobs, undefined, "athena:StartQueryExecution", "workgroup/marimo-dev-shared")).toBe(false);
    const bucket = "arn:aws:s3:::marimo-dev-111122223333-us-east-1";
    expect(allows(jobs, undefined, "s3:PutObject", `${bucket}/shared/athena/1.csv`)).toBe(true);
    expect(allows(jobs, undefined, "s3:PutObject", `${bucket}/shared/1.csv`)).toBe(false);
  });

  it("allows nothing without a grant", () => {
    const without = documentsOf({}, "execution_artifacts_document");
    expect(allows(without, "ana", "athena:StartQueryExecution", "workgroup/marimo-dev-user-ana")).toBe(false);
  });

  it("is measured as no shorter than the policy", () => {
    const { values } = known({ access: athena(1) });
    const json = String(
      values.valueOf(`\${data.aws_iam_policy_document.execution_access_document.json}`, undefined),
    );
    expect(policyLength(resolveAccess(athena(1)))).toBeGreaterThanOrEqual(
      JSON.stringify(JSON.parse(json)).length,
    );
  });
});

describe("the endpoint of Athena", () => {
  const closed = { egress: "endpoints-only" } as const;
  const endpoints = (settings: Partial<EnvironmentSettings>) =>
    Object.keys(known(settings).stack.resource.aws_vpc_endpoint ?? {});

  it("is there for a grant only, and is part of the perimeter", () => {
    const added = endpoints({ ...closed, teams: [team("large", ["ana"], 1)] }).filter(
      (one) => !endpoints(closed).includes(one),
    );
    expect(added).toEqual(["network_athena_endpoint"]);
    expect(endpoints({ access: athena(1) })).toEqual(endpoints({}));
    const { OnlyThroughTheVpc } = statements(
      known({ ...closed, dataPerimeter: true, access: athena(1) }).stack,
      "execution_artifacts_document",
    );
    expect(OnlyThroughTheVpc?.actions).toContain("athena:*");
    expect(JSON.stringify(OnlyThroughTheVpc?.condition)).toContain("network_athena_endpoint");
  });
});

describe("validation", () => {
  const problems = (settings: unknown) =>
    validateEnvironments([{ name: "dev", userProfiles, access: { athena: settings } }]);
  it.each([
    [true, "is not an object with settings"],
    [{}, "is missing"],
    [{ bytesScannedCutoffGb: 0 }, "is out of range"],
    [{ bytesScannedCutoffGb: 1.5 }, "must be a whole number"],
    [{ bytesScannedCutoffGb: 1, limit: 2 }, "unknown key"],
  ])("refuses %o", (settings, problem) => {
    expect(problems(settings)).toEqual([expect.stringContaining(problem)]);
  });

  it("accepts both ends of the limit", () => {
    expect(problems({ bytesScannedCutoffGb: 1 })).toEqual([]);
    expect(problems({ bytesScannedCutoffGb: 1_000_000 })).toEqual([]);
  });
});
