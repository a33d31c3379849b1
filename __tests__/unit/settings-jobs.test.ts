import { describe, expect, it } from "vitest";
import { processingInstanceTypes } from "../../src/settings/processing.ts";
import { validateEnvironments } from "../../src/settings/validate.ts";

const notebook = "sample-notebooks/01_explore_data.py";
const problems = (settings: object) => validateEnvironments([{ name: "dev", ...settings }]);
const someTypes = (count: number) => processingInstanceTypes.slice(0, count);
const schedule = (changes: object) =>
  problems({ schedules: [{ name: "daily", notebook, expression: "rate(1 day)", ...changes }] });

describe("settings of jobs", () => {
  it.each([
    ["nothing", {}],
    ["each of its limits", { maximumMinutes: 12_960, volumeGb: 16_384 }],
    ["types with the default one", { allowedInstanceTypes: ["ml.m5.large", "ml.g5.xlarge"] }],
    ["64 types", { defaultInstanceType: "ml.t3.medium", allowedInstanceTypes: someTypes(64) }],
    ["an image", { imageUri: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b@sha256:0123" }],
  ])("may be %s", (_, jobs) => {
    expect(problems({ jobs })).toEqual([]);
  });

  it.each([
    ["a list", [], "is no set of settings"],
    ["another key", { instanceType: "ml.m5.large" }, "is given for an unknown key"],
    [
      "a type of spaces alone",
      { defaultInstanceType: "ml.p4d.24xlarge" },
      '.defaultInstanceType: "ml.p4d.24xlarge" is no instance type of a processing job',
    ],
    [
      "types without the default one",
      { allowedInstanceTypes: ["ml.m5.xlarge"] },
      'lacks "ml.m5.large", which is defaultInstanceType',
    ],
    ["65 types", { defaultInstanceType: "ml.t3.medium", allowedInstanceTypes: someTypes(65) }, "lists 65."],
    ["too long", { maximumMinutes: 12_961 }, ".maximumMinutes: 12961 is out of range"],
    ["no minutes", { maximumMinutes: 0 }, "is out of range"],
    ["too large a volume", { volumeGb: 16_385 }, ".volumeGb: 16385 is out of range"],
    ["an image elsewhere", { imageUri: "docker.io/library/python:3" }, "is no image in Amazon ECR"],
    ["an address that is none", { alertAddresses: ["team"] }, '.alertAddresses[0]: "team" is no e-mail'],
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
    ["a type and a limit", { instanceType: "ml.m5.24xlarge", timeLimitMinutes: 1440, enabled: false }],
  ])("may have %s", (_, changes) => {
    expect(schedule(changes)).toEqual([]);
  });

  it.each([
    ["no name", { name: undefined }, "schedules[0].name"],
    ["a name in capitals", { name: "Daily" }, "is no name of a schedule"],
    ["a name that is too long", { name: "a".repeat(16) }, "has 16 characters"],
    ["no notebook there", { notebook: "sample-notebooks/none.py" }, "is no file in"],
    ["a notebook elsewhere", { notebook: "../secret.py" }, "leads elsewhere"],
    ["a notebook that is none", { notebook: "main.ts" }, "is no marimo notebook"],
    ["a file that is not there", { files: ["none.csv"] }, '.files[0]: "none.csv" is no file'],
    ["a file elsewhere", { files: ["../package.json"] }, "leads elsewhere"],
    ["one days", { expression: "rate(1 days)" }, "1 is singular, more are plural"],
    ["two day", { expression: "rate(2 day)" }, "1 is singular, more are plural"],
    ["five fields", { expression: "cron(0 7 * * *)" }, "has 5 fields"],
    ["minute 60", { expression: "cron(60 7 ? * 1 *)" }, 'has "60" for its minutes'],
    ["a day that is none", { expression: "cron(0 7 ? * MOO *)" }, 'has "MOO" for its day-of-week'],
    ["an empty item", { expression: "cron(, 7 ? * MON *)" }, 'has "," for its minutes'],
    ["a step of nothing", { expression: "cron(*/0 7 ? * MON *)" }, 'has "*/0" for its minutes'],
    ["a month that is none", { expression: "cron(0 7 1 L ? *)" }, 'has "L" for its month'],
    ["two days", { expression: "cron(0 7 1 * MON *)" }, "needs ? for one of"],
    ["one time alone", { expression: "at(2026-01-01T00:00:00)" }, "is neither a rate nor a cron expression"],
    ["an offset", { timeZone: "+02:00" }, "is no time zone"],
    ["no time zone", { timeZone: "Mars/Olympus" }, "is no time zone"],
    ["too many arguments", { arguments: Array(100).fill("x") }, "lists 100"],
    ["an argument that is too long", { arguments: ["x".repeat(257)] }, "is too long"],
    ["an argument of the scheduler's", { arguments: ["<aws.scheduler.attempt-number>"] }, "would replace"],
    ["an argument of two lines", { arguments: ["a\nb"] }, "has more than one line"],
    ["too long a limit", { timeLimitMinutes: 1441 }, "1 to 1440"],
    ["a type that no job has", { instanceType: "ml.t3.micro" }, "is no instance type of a processing job"],
    ["a word for a boolean", { enabled: "yes" }, "is no boolean"],
    ["another key", { cron: "x" }, "is given for an unknown key"],
  ])("may not have %s", (_, changes, expected) => {
    expect(schedule(changes).join("\n")).toContain(expected);
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
    expect(problems({ jobs: { alertAddresses } }).join()).toContain("would never be told anything");
    expect(problems({ jobs: { alertAddresses }, schedules })).toEqual([]);
  });
});
