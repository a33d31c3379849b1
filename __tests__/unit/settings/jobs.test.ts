import { describe, expect, it } from "vitest";
import { processingInstanceTypes } from "../../../src/settings/processing.ts";
import { validateEnvironments } from "../../../src/settings/validate.ts";

/** What messages say, where more than one row expects it. */
const says = {
  noTimeZone: "is not a known time zone",
  singular: "1 is singular, more are plural",
  outside: "must stay inside the folder",
  unknownKey: "is the value of an unknown key",
  outOfRange: "is out of range",
  noInstanceType: "is not an instance type for processing jobs",
};

const warehouse = "arn:aws:secretsmanager:us-east-1:123456789012:secret:marimo/warehouse-AbCdEf";
const notebook = "sample-notebooks/01_explore_data.py";
const problems = (settings: object) => validateEnvironments([{ name: "dev", ...settings }]);
const someTypes = (count: number) => processingInstanceTypes.slice(0, count);
const newer = ["c7i-flex", "m7i-flex", "r6i", "c8i", "m8i", "r8i", "g7"].map(
  (family) => `ml.${family}.2xlarge`,
);
const schedule = (changes: object) =>
  problems({ schedules: [{ name: "daily", notebook, expression: "rate(1 day)", ...changes }] });

describe("settings of jobs", () => {
  it.each([
    ["nothing", {}],
    ["each of its limits", { maximumInstances: 100, maximumMinutes: 12_960, volumeGb: 16_384 }],
    ["no schedules of users", { maximumSchedulesPerUser: 0 }],
    ["the limits of schedules", { maximumSchedulesPerUser: 100, shortestScheduleMinutes: 1440 }],
    ["domains to notify", { notifications: { emailDomains: ["example.com", "a-b.Example.co.uk"] } }],
    ["types with the default one", { allowedInstanceTypes: ["ml.m5.large", "ml.g5.xlarge"] }],
    ["any type", { allowedInstanceTypes: "any" }],
    ["40 types", { defaultInstanceType: "ml.t3.medium", allowedInstanceTypes: someTypes(40) }],
    ["a type of each newer family", { allowedInstanceTypes: ["ml.m5.large", ...newer] }],
    ["an image", { imageUri: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b@sha256:0123" }],
    [
      "secrets",
      { secrets: ["arn:aws:secretsmanager:us-east-1:123456789012:secret:marimo/warehouse-AbCdEf"] },
    ],
    ["an image for GPUs", { gpuImageUri: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/gpu:1" }],
  ])("may be %s", (_, jobs) => {
    expect(problems({ jobs })).toEqual([]);
  });

  it.each([
    ["a list", [], "is not an object with settings"],
    ["another key", { instanceType: "ml.m5.large" }, says.unknownKey],
    [
      "a type of spaces alone",
      { defaultInstanceType: "ml.p4d.24xlarge" },
      `.defaultInstanceType: "ml.p4d.24xlarge" ${says.noInstanceType}`,
    ],
    [
      "types without the default one",
      { allowedInstanceTypes: ["ml.m5.xlarge"] },
      'lacks "ml.m5.large", which is defaultInstanceType',
    ],
    ["41 types", { defaultInstanceType: "ml.t3.medium", allowedInstanceTypes: someTypes(41) }, "lists 41."],
    ["too long", { maximumMinutes: 12_961 }, `.maximumMinutes: 12961 ${says.outOfRange}`],
    [
      "too long, with the quota",
      { maximumMinutes: 12_961 },
      "an account's quota is commonly 5 days, 7200 minutes",
    ],
    [
      "another family",
      { defaultInstanceType: "ml.c9i-flex.large" },
      "one of the 207 types of processing jobs",
    ],
    ["too many instances", { maximumInstances: 101 }, `.maximumInstances: 101 ${says.outOfRange}`],
    ["no minutes", { maximumMinutes: 0 }, says.outOfRange],
    [
      "too many schedules",
      { maximumSchedulesPerUser: 101 },
      `.maximumSchedulesPerUser: 101 ${says.outOfRange}`,
    ],
    ["a start each moment", { shortestScheduleMinutes: 0 }, `.shortestScheduleMinutes: 0 ${says.outOfRange}`],
    ["notifications without a domain", { notifications: {} }, "1 to 10 domains"],
    [
      "notifications of everybody",
      { notifications: { emailDomains: ["example.com", "*"] } },
      '.notifications.emailDomains[1]: "*" is not a domain',
    ],
    ["notifications that are on", { notifications: true }, "is not an object with settings of notifications"],
    ["too large a volume", { volumeGb: 16_385 }, `.volumeGb: 16385 ${says.outOfRange}`],
    ["a secret by its name", { secrets: ["marimo/warehouse"] }, "is not the ARN of a secret"],
    [
      "a secret in another region",
      { secrets: [warehouse.replace("us-east", "eu-west")] },
      "is in region eu-west-1",
    ],
    [
      "a secret whose ARN a job's request has no room for",
      { secrets: [`arn:aws:secretsmanager:us-east-1:123456789012:secret:${"a".repeat(197)}-AbCdEf`] },
      "has 257 characters",
    ],
    ["no secrets in a list", { secrets: [] }, "1 to 20 ARNs of secrets"],
    ["an image elsewhere", { imageUri: "docker.io/library/python:3" }, "is not an image in Amazon ECR"],
    ["an address that is none", { alertAddresses: ["team"] }, '.alertAddresses[0]: "team" is not an e-mail'],
  ])("may not be %s", (_, jobs, expected) => {
    expect(problems({ jobs }).join("\n")).toContain(expected);
  });
});

describe("a schedule", () => {
  it.each([
    ["a rate", {}],
    ["a cron expression", { expression: "cron(0 7 ? * MON-FRI *)", timeZone: "Europe/Berlin" }],
    ["the last day of a month", { expression: "cron(15 10 L * ? 2026-2030)" }],
    ["a name as long as it may be", { name: "a".repeat(15) }],
    ["files beside it", { files: ["prices.csv"], lock: "prices.csv" }],
    ["99 arguments of 256 characters", { arguments: Array.from({ length: 99 }, () => "x".repeat(256)) }],
    ["a type and a limit", { instanceType: "ml.m5.4xlarge", timeLimitMinutes: 1440, enabled: false }],
  ])("may have %s", (_, changes) => {
    expect(schedule(changes)).toEqual([]);
  });

  it.each([
    ["no name", { name: undefined }, "schedules[0].name"],
    ["a name in capitals", { name: "Daily" }, "is not a valid schedule name"],
    ["a name that is too long", { name: "a".repeat(16) }, "has 16 characters"],
    ["no notebook there", { notebook: "sample-notebooks/none.py" }, "is not a file in"],
    ["a notebook elsewhere", { notebook: "../secret.py" }, says.outside],
    ["a notebook that is none", { notebook: "main.ts" }, "is not a marimo notebook"],
    ["a file that is not there", { files: ["none.csv"] }, '.files[0]: "none.csv" is not a file'],
    ["a file elsewhere", { files: ["../package.json"] }, says.outside],
    ["a type that is rare", { instanceType: "ml.p3.16xlarge" }, "is not allowed"],
    ["one days", { expression: "rate(1 days)" }, says.singular],
    ["two day", { expression: "rate(2 day)" }, says.singular],
    ["five fields", { expression: "cron(0 7 * * *)" }, "has 5 fields"],
    ["minute 60", { expression: "cron(60 7 ? * 1 *)" }, 'has "60" for its minutes'],
    ["a day that is none", { expression: "cron(0 7 ? * MOO *)" }, 'has "MOO" for its day-of-week'],
    ["an empty item", { expression: "cron(, 7 ? * MON *)" }, 'has "," for its minutes'],
    ["a step of nothing", { expression: "cron(*/0 7 ? * MON *)" }, 'has "*/0" for its minutes'],
    ["a month that is none", { expression: "cron(0 7 1 L ? *)" }, 'has "L" for its month'],
    ["two days", { expression: "cron(0 7 1 * MON *)" }, "needs ? for one of"],
    ["one time alone", { expression: "at(2026-01-01T00:00:00)" }, "is neither a rate nor a cron expression"],
    ["an offset", { timeZone: "+02:00" }, says.noTimeZone],
    ["no time zone", { timeZone: "Mars/Olympus" }, says.noTimeZone],
    ["too many arguments", { arguments: Array(100).fill("x") }, "lists 100"],
    ["an argument that is too long", { arguments: ["x".repeat(257)] }, "is too long"],
    ["an argument of the scheduler's", { arguments: ["<aws.scheduler.attempt-number>"] }, "would replace"],
    ["an argument of two lines", { arguments: ["a\nb"] }, "has more than one line"],
    ["a secret that jobs cannot read", { secrets: { WAREHOUSE: warehouse } }, "is not in jobs.secrets"],
    ["a secret without a variable", { secrets: [warehouse] }, "must be an object"],
    ["no secret", { secrets: {} }, "has 0"],
    ["too long a limit", { timeLimitMinutes: 1441 }, "1 to 1440"],
    ["a type that no job has", { instanceType: "ml.t3.micro" }, says.noInstanceType],
    ["a word for a boolean", { enabled: "yes" }, "must be true or false"],
    ["another key", { cron: "x" }, says.unknownKey],
  ])("may not have %s", (_, changes, expected) => {
    expect(schedule(changes).join("\n")).toContain(expected);
  });

  it("has secrets that jobs can read, each in an environment variable", () => {
    const daily = { name: "daily", notebook, expression: "rate(1 day)" };
    const withSecrets = (secrets: object) =>
      problems({ jobs: { secrets: [warehouse] }, schedules: [{ ...daily, secrets }] });
    expect(withSecrets({ WAREHOUSE: warehouse, _w2: warehouse })).toEqual([]);
    for (const name of ["2W", "A-B", "A B", "a".repeat(202)])
      expect(withSecrets({ [name]: warehouse }).join()).toContain(
        "is not the name of an environment variable",
      );
    const many = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`W${index}`, warehouse]));
    expect(withSecrets(many).join()).toContain("has 21");
    expect(withSecrets({ WAREHOUSE: `${warehouse}x` }).join()).toContain(".secrets.WAREHOUSE");
  });

  it("has a type that the jobs may have, and a name of its own", () => {
    const daily = { name: "daily", notebook, expression: "rate(1 day)" };
    const jobs = { allowedInstanceTypes: ["ml.m5.large"] };
    expect(problems({ jobs, schedules: [{ ...daily, instanceType: "ml.m5.xlarge" }] }).join()).toContain(
      '"ml.m5.xlarge" is not allowed. Allowed: "ml.m5.large"',
    );
    expect(problems({ schedules: [daily, daily] }).join()).toContain("is a duplicate of schedules[0]");
  });

  it("needs an image where none is known, and a network of the environment's", () => {
    const schedules = [{ name: "daily", notebook, expression: "rate(1 day)" }];
    expect(problems({ region: "il-central-1", schedules }).join()).toContain("a jobs.imageUri there");
    const imageUri = "123456789012.dkr.ecr.il-central-1.amazonaws.com/ours:1";
    expect(problems({ region: "il-central-1", jobs: { imageUri }, schedules })).toEqual([]);
    expect(problems({ existing: { domainId: "d-abc123" }, schedules }).join()).toContain(
      "no schedules beside existing.domainId",
    );
    const alertAddresses = ["team@example.com"];
    expect(problems({ jobs: { alertAddresses } }).join()).toContain("has no effect without `schedules`");
    expect(problems({ jobs: { alertAddresses }, schedules })).toEqual([]);
  });

  it("runs with the rights of a user of the settings, who must have a role", () => {
    const userProfiles = [{ name: "Ana" }, { name: "bo" }];
    const as = (runAs: unknown, more: object = {}) =>
      problems({
        userProfiles,
        schedules: [{ name: "daily", notebook, expression: "rate(1 day)", runAs }],
        ...more,
      }).join();
    expect(as("ana")).toBe("");
    expect(as("Bo")).toBe("");
    expect(as("cy")).toMatch(/schedules\[0\]\.runAs.*"cy" is not the name of a user.*one of "ana", "bo"/);
    expect(as("ana", { userProfiles: [] })).toContain("there are no users");
    expect(as(["ana"])).toContain("must be a string");
    const existing = { executionRoleArn: "arn:aws:iam::123456789012:role/studio" };
    expect(as("ana", { existing })).toContain("no runAs beside existing.executionRoleArn");
  });
});
