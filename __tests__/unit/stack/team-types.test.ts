import { describe, expect, it } from "vitest";
import type { EnvironmentSettings } from "../../../src/settings/environment.ts";
import { validateEnvironments } from "../../../src/settings/validate.ts";
import { KnownValues, type StackJson } from "../../support/known-values.ts";
import { type PolicyDocument, simulate } from "../../support/policy-simulator.ts";
import { resource, statements, synthesize } from "../../support/synthesize.ts";

const userProfiles = [{ name: "Ana" }, { name: "bo" }, { name: "carla" }];
const large = "ml.g5.12xlarge";
const teams = [
  { name: "forecasting", members: ["Ana", "bo"], access: {}, allowedInstanceTypes: [large, "ml.m5.large"] },
  { name: "vision", members: ["bo"], access: {}, allowedInstanceTypes: ["ml.g5.48xlarge", large] },
];
const settings: Partial<EnvironmentSettings> = { userProfiles, teams };
const problems = (more: object) => validateEnvironments([{ name: "dev", ...settings, ...more }]);

/** Tags of each user's role, and what IAM says of a job. */
function rolesOf(given: Partial<EnvironmentSettings>) {
  const stack = synthesize(given);
  const values = new KnownValues(stack as unknown as StackJson, () => "");
  const role = values
    .instances("aws_iam_role")
    .filter(({ address }) => address.startsWith("aws_iam_role.users"));
  const tags = Object.fromEntries(
    role.map(({ block, each }) => [each?.key, values.valueOf(block.tags, each) as Record<string, string>]),
  );
  const [document] = ["job_users_jobs_document"].map(
    (name) =>
      JSON.parse(
        String(values.valueOf(`\${data.aws_iam_policy_document.${name}.json}`, undefined)),
      ) as PolicyDocument,
  );
  const isDenied = (user: string, ...types: readonly string[]) =>
    simulate(
      { identity: [document as PolicyDocument] },
      {
        action: "sagemaker:CreateTrainingJob",
        resource: `arn:aws:sagemaker:us-east-1:111122223333:training-job/marimo-dev-${user.toLowerCase()}-a`,
        tags: tags[user] ?? {},
        context: { "sagemaker:InstanceTypes": types },
      },
    ).sid === "OtherInstanceTypesOfJobs";
  return { stack, tags, isDenied };
}

describe("a team's instance types", () => {
  const { isDenied, stack, tags } = rolesOf(settings);

  it("are tags of the members' roles, each once and without everybody's", () => {
    expect(tags).toEqual({
      Ana: { StudioUser: "ana", JobTeams: "forecasting", JobType1: large },
      bo: {
        ...{ StudioUser: "bo", JobTeams: "forecasting vision" },
        ...{ JobType1: large, JobType2: "ml.g5.48xlarge" },
      },
      carla: { StudioUser: "carla" },
    });
  });

  it("are not denied to members, and to nobody else", () => {
    expect(isDenied("Ana", large)).toBe(false);
    expect(isDenied("Ana", "ml.m5.large", large)).toBe(false);
    expect(isDenied("Ana", "ml.g5.48xlarge")).toBe(true);
    expect(isDenied("Ana", large, "ml.g5.48xlarge")).toBe(true);
    expect(isDenied("bo", "ml.g5.48xlarge")).toBe(false);
    expect(isDenied("carla", large)).toBe(true);
    expect(isDenied("carla", "ml.m5.large")).toBe(false);
  });

  it("are known to marimo-job, by user", () => {
    const { content } = resource(stack, "aws_s3_object", "jobs_settings");
    expect(JSON.parse(String(content)).teamInstanceTypes).toEqual({
      ana: [large],
      bo: [large, "ml.g5.48xlarge"],
    });
  });

  it("are one list for all teams, and none without them", () => {
    const list = (given: Partial<EnvironmentSettings>) =>
      JSON.stringify(statements(synthesize(given), "job_users_jobs_document").OtherInstanceTypesOfJobs);
    const [one] = teams;
    expect(list({ userProfiles, teams: [one as never] })).toBe(list(settings));
    expect(list({ userProfiles })).not.toContain("JobType");
    const plain = { name: "forecasting", members: ["bo"], access: {}, allowedInstanceTypes: ["ml.m5.large"] };
    expect(synthesize({ userProfiles, teams: [plain] }).text).not.toMatch(/JobType|team_tags/);
  });

  it("add a line for each membership", () => {
    const many = Array.from({ length: 1000 }, (_, index) => ({ name: `u${index}` }));
    const size = (members: number) =>
      synthesize({
        userProfiles: many,
        teams: Array.from({ length: 50 }, (_, index) => ({
          ...{ name: `t${index}`, access: {}, allowedInstanceTypes: [large] },
          members: many.slice(index * 20, index * 20 + members).map(({ name }) => name),
        })),
      }).text.length;
    const [few, all] = [size(1), size(20)];
    expect((all - few) / (19 * 50)).toBeLessThan(200);
  });
});

describe("validation", () => {
  const team = (changes: object) => ({ teams: [{ name: "a", members: ["bo"], access: {}, ...changes }] });
  const types = (count: number, of: string) =>
    ["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"]
      .slice(0, count)
      .map((size) => `ml.${of}.${size}`);
  const schedule = {
    ...{ name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" },
    instanceType: "ml.g5.48xlarge",
  };

  it.each<[string, object, string]>([
    ["no list", team({ allowedInstanceTypes: "any" }), "must be a list"],
    ["an empty list", team({ allowedInstanceTypes: [] }), "lists 0"],
    ["a type that is none", team({ allowedInstanceTypes: ["ml.g5.huge"] }), "is not an instance type"],
    [
      "types where everybody has all",
      { ...team({ allowedInstanceTypes: [large] }), jobs: { allowedInstanceTypes: "any" } },
      "has no effect with jobs.allowedInstanceTypes",
    ],
    [
      "too many for a user",
      {
        teams: ["g6", "g6e"].map((of) => ({
          ...{ name: of, members: ["bo"], access: {} },
          allowedInstanceTypes: types(6, of),
        })),
      },
      "may use 12 more instance types",
    ],
    [
      "too many tags of a role",
      { tags: Object.fromEntries(Array.from({ length: 41 }, (_, index) => [`k${index}`, "v"])) },
      "have instance types beside 41 tags",
    ],
    ["a tag that gives a type", { tags: { jobType1: large } }, "is a key of the stack's own tags"],
    [
      "a tag that makes everybody a user",
      { tags: { StudioUser: "ana" } },
      "is a key of the stack's own tags",
    ],
    ["a schedule of another team", { schedules: [{ ...schedule, team: "forecasting" }] }, "is not allowed"],
    ["a schedule of another user", { schedules: [{ ...schedule, runAs: "ana" }] }, "is not allowed"],
    ["a schedule of nobody", { schedules: [schedule] }, "is not allowed"],
  ])("refuses %s", (_, more, problem) => {
    expect(problems(more)).toEqual([expect.stringContaining(problem)]);
  });

  it("accepts a schedule on a type of its team, or of its user's", () => {
    expect(problems({ schedules: [{ ...schedule, team: "vision" }] })).toEqual([]);
    expect(problems({ schedules: [{ ...schedule, runAs: "bo" }] })).toEqual([]);
  });
});
