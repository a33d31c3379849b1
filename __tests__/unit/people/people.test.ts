import { S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { describe, expect, it } from "vitest";
import { openInBrowser } from "../../../src/cli/browser.ts";
import { studioLink } from "../../../src/people/domain.ts";
import { settingsLines } from "../../../src/people/settings-lines.ts";
import { describeWork, workOf } from "../../../src/people/work.ts";
import { deleteMadeAsJobs, isOwnRole } from "../../../src/removal/jobs.ts";
import { deleteMadeInStudio, madeInStudio } from "../../../src/removal/studio.ts";
import type { EnvironmentSettings } from "../../../src/settings/environment.ts";

const emptyLists = [
  ...["ListProcessingJobs", "ListHyperParameterTuningJobs", "ListTrainingJobs", "ListTransformJobs"],
  ...["ListEndpoints", "ListEndpointConfigs", "ListModels", "ListFeatureGroups", "ListModelPackageGroups"],
];

type Answers = Readonly<Record<string, (input: Record<string, string>) => unknown>>;

/** The SDK's paginators require an instance of the client class. */
function clientWith(answers: Answers) {
  const sent: string[] = [];
  const send = async (command: { constructor: { name: string }; input: Record<string, string> }) => {
    const name = command.constructor.name.replace(/Command$/, "");
    if (!/^(List|Describe)/.test(name)) sent.push(`${name} ${Object.values(command.input).join(" ")}`);
    const answer = answers[name];
    if (answer === undefined) throw new Error(`unexpected ${name}`);
    return answer(command.input);
  };
  const client: SageMakerClient = Object.assign(Object.create(SageMakerClient.prototype), { send });
  return { client, sent };
}

const space = (SpaceName: string, OwnerUserProfileName: string) => ({
  SpaceName,
  OwnershipSettingsSummary: { OwnerUserProfileName },
});
const app = (owner: Readonly<Record<string, string>>) => ({
  AppType: "JupyterLab",
  AppName: "default",
  Status: "InService",
  ...owner,
});

describe("what a person made in Studio", () => {
  const world = () => ({
    spaces: [space("hers", "Ana"), space("his", "bo"), { SpaceName: "nobodys" }],
    apps: [app({ SpaceName: "hers" }), app({ SpaceName: "his" }), app({ UserProfileName: "ana" })],
  });
  const answersOf = ({ apps, spaces }: ReturnType<typeof world>): Answers => ({
    ListApps: () => ({ Apps: apps }),
    ListSpaces: () => ({ Spaces: spaces }),
    ListUserProfiles: () => ({ UserProfiles: [{ UserProfileName: "ana" }] }),
    DeleteApp: ({ SpaceName, UserProfileName }) => {
      const at = apps.findIndex((one) =>
        "SpaceName" in one ? one.SpaceName === SpaceName : UserProfileName !== undefined,
      );
      apps.splice(at, 1);
    },
    DeleteSpace: ({ SpaceName }) => {
      spaces.splice(
        spaces.findIndex((one) => one.SpaceName === SpaceName),
        1,
      );
    },
  });
  const ana = { domainId: "d-1", ownProfiles: [], owner: "ana" };

  it("is their apps and spaces, whatever the case of the name, and no profile", async () => {
    const made = await madeInStudio(ana, clientWith(answersOf(world())).client);
    expect(made.spaces.map(({ SpaceName }) => SpaceName)).toEqual(["hers"]);
    expect(made.apps.map(({ SpaceName }) => SpaceName)).toEqual(["hers", undefined]);
    expect(made.profiles).toEqual([]);
    const all = await madeInStudio({ ...ana, owner: undefined }, clientWith(answersOf(world())).client);
    expect([all.spaces, all.apps, all.profiles].map(({ length }) => length)).toEqual([3, 3, 1]);
  });

  it("is deleted without anybody else's", async () => {
    const { client, sent } = clientWith(answersOf(world()));
    await deleteMadeInStudio(ana, { clients: { sagemaker: client }, log: () => {}, wait: async () => {} });
    expect(sent.map((line) => line.split(" ")[0])).toEqual(["DeleteApp", "DeleteApp", "DeleteSpace"]);
    expect(sent.join()).not.toMatch(/his|nobodys/);
  });
});

describe("a person's jobs", () => {
  const role = (name: string) => `arn:aws:iam::123456789012:role/marimo-dev-${name}`;

  it("are known by the roles of the person only", () => {
    const is = (name: string) => isOwnRole(role(name), { prefix: "marimo-dev", user: "ana" });
    expect(["user-ana", "schedules-ana"].filter(is)).toEqual(["user-ana", "schedules-ana"]);
    expect(["user-bo", "user-ana-b", "schedules-team.ana", "jobs", "two-user-ana"].filter(is)).toEqual([]);
  });

  it("are stopped without anybody else's", async () => {
    const running: Record<string, string> = {
      "marimo-dev-ana-a-1": "user-ana",
      "marimo-dev-bo-a-1": "user-bo",
    };
    const { client, sent } = clientWith({
      ListPipelines: () => ({}),
      ListProcessingJobs: ({ StatusEquals }) => ({
        ProcessingJobSummaries:
          StatusEquals === "InProgress"
            ? Object.keys(running).map((ProcessingJobName) => ({ ProcessingJobName }))
            : [],
      }),
      DescribeProcessingJob: ({ ProcessingJobName = "" }) => ({
        RoleArn: role(running[ProcessingJobName] ?? ""),
      }),
      StopProcessingJob: ({ ProcessingJobName = "" }) => {
        delete running[ProcessingJobName];
      },
    });
    const tools = { clients: { sagemaker: client }, log: () => {}, wait: async () => {} };
    await deleteMadeAsJobs({ prefix: "marimo-dev", user: "ana" }, tools);
    expect(sent).toEqual(["StopProcessingJob marimo-dev-ana-a-1"]);
  });
});

describe("a person's work", () => {
  const found = async (hasRole: boolean) => {
    const { client: sagemaker } = clientWith({
      ListApps: () => ({}),
      ListSpaces: () => ({ Spaces: [space("hers", "ana")] }),
      ListPipelines: () => ({
        PipelineSummaries: ["ana", "bo"].map((user) => ({
          PipelineName: `marimo-dev-${user}-grid`,
          RoleArn: `arn:aws:iam::123456789012:role/marimo-dev-user-${user}`,
        })),
      }),
      ...Object.fromEntries(emptyLists.map((name) => [name, () => ({})])),
    });
    const groups: (string | undefined)[] = [];
    const scheduler: SchedulerClient = Object.assign(Object.create(SchedulerClient.prototype), {
      send: async ({ input }: { input: { GroupName?: string } }) => {
        groups.push(input.GroupName);
        return { Schedules: [{ Name: "nightly" }] };
      },
    });
    const person = { domainId: "d-1", profile: "Ana", prefix: "marimo-dev", hasRole, bucket: "b" };
    const s3: S3Client = Object.assign(Object.create(S3Client.prototype), { send: async () => ({}) });
    const clients = { sagemaker, scheduler, s3 };
    const work = await workOf(person, { clients, log: () => {}, wait: async () => {} });
    return { lines: describeWork(work), groups };
  };
  const inStudio = ["space hers, of ana, shared, no volume, NO BACKUP", "1 of 1 spaces have no backup"];

  it("is what is in Studio, the schedules of the person's group, and what the person's role started", async () => {
    expect(await found(true)).toEqual({
      lines: [...inStudio, "schedule marimo-dev-user-ana/nightly", "pipeline marimo-dev-ana-grid"],
      groups: ["marimo-dev-user-ana"],
    });
  });

  it("is only what is in Studio where everybody has one role", async () => {
    expect(await found(false)).toEqual({ lines: inStudio, groups: [] });
  });
});

describe("the settings of a person", () => {
  const schedule = { notebook: "a.py", expression: "rate(1 day)" };
  const settings: EnvironmentSettings = {
    name: "dev",
    userProfiles: [{ name: "Ana", ssoUserName: "ana@example.com" }, { name: "bo" }],
    teams: [
      { name: "all", members: ["ana", "bo"], access: {} },
      { name: "few", members: ["bo"], access: {} },
    ],
    schedules: [
      { ...schedule, name: "hers", runAs: "ana" },
      { ...schedule, name: "his", runAs: "bo" },
      { ...schedule, name: "ours" },
    ],
  };

  it("are the profile, the memberships and the schedules with the person's rights", () => {
    expect(settingsLines("ana", settings)).toEqual([
      '{ name: "Ana", ssoUserName: "ana@example.com" } in userProfiles',
      '"ana" in the members of the team all',
      'runAs: "ana" of the schedule hers, or the whole schedule',
    ]);
    expect(settingsLines("cy", settings)).toEqual([]);
  });

  it("name the default profile, which no line has", () => {
    expect(settingsLines("data-scientist", { name: "dev" })).toEqual([
      '{ name: "data-scientist" } in userProfiles (the default: set userProfiles without it)',
    ]);
  });
});

describe("the link to Studio", () => {
  const linkOf = (AuthMode: string, person: string | undefined, profiles = ["Bo", "ana"]) => {
    const { client } = clientWith({
      DescribeDomain: () => ({ AuthMode, Url: "https://d-1.studio" }),
      ListUserProfiles: () => ({ UserProfiles: profiles.map((UserProfileName) => ({ UserProfileName })) }),
      CreatePresignedDomainUrl: ({ UserProfileName }) => ({
        AuthorizedUrl: `https://link/${UserProfileName}`,
      }),
    });
    return studioLink(client, { domainId: "d-1", environmentName: "dev", person });
  };

  it("signs in a person, or the first by name", async () => {
    expect(await linkOf("IAM", "BO")).toEqual({ url: "https://link/Bo", profile: "Bo" });
    expect(await linkOf("IAM", undefined, ["bo", "ana"])).toEqual({
      url: "https://link/ana",
      profile: "ana",
    });
  });

  it("is the domain's address with IAM Identity Center", async () => {
    expect(await linkOf("SSO", "ana")).toEqual({ url: "https://d-1.studio", profile: undefined });
  });

  it("is refused for a person without a profile, and without any", async () => {
    await expect(linkOf("IAM", "cy")).rejects.toThrow('no user profile "cy". It has Bo, ana.');
    await expect(linkOf("SSO", "cy")).rejects.toThrow('no user profile "cy"');
    await expect(linkOf("IAM", undefined, [])).rejects.toThrow("has no user profile");
  });

  it("opens no browser without a display", async () => {
    if (process.platform === "darwin") return;
    expect(await openInBrowser("https://link", { PATH: "/nowhere" })).toBe(false);
    expect(await openInBrowser("https://link", { PATH: "/nowhere", DISPLAY: ":0" })).toBe(false);
  });
});
