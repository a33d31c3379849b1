import { EFSClient } from "@aws-sdk/client-efs";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { describe, expect, it } from "vitest";
import { untilGone, whyItStopped } from "../../../src/removal/aws.ts";
import { type GuardClients, type GuardOptions, guard } from "../../../src/removal/guard.ts";
import { keepKey } from "../../../src/removal/keep-key.ts";
import { awsNames, folders } from "../../../src/settings/names.ts";
import { expression, resource, resourceNames, synthesize } from "../../support/synthesize.ts";

const options: GuardOptions = {
  account: "123456789012",
  domainId: "d-1",
  prefix: "marimo-dev",
  ownProfiles: ["ana"],
  retention: "Delete",
  bucket: { name: "work", accessLogsName: "work-logs", forceDestroy: true },
  backupBucket: "work",
  payloadPrefix: "marimo/payload/",
  schedulesPrefix: "marimo/schedules/",
  wheelsPrefix: "marimo/wheels/",
  consent: undefined,
};

interface World {
  spaces: Record<string, unknown>[];
  apps: Record<string, unknown>[];
  profiles: string[];
  /** Jobs by name. */
  jobs: Record<string, { status: string; role: string }>;
  pipelines: Record<string, { execution: string; role: string }>;
  /** By group. */
  schedules?: Record<string, { Name: string; State: string }[]>;
  /** Roles of models. */
  models?: Record<string, string>;
  alive: boolean;
  bytes: number;
  /** Keys of the objects, by bucket. */
  objects: Record<string, string[]>;
  /** Deletions and stops, in order. */
  deleted: string[];
  /** The error that S3 returns for lists. */
  backupFailure?: Error;
  /** The error that AWS returns for every deletion. */
  failure?: Error;
}

const quiet = (): World => ({
  spaces: [],
  apps: [],
  profiles: ["ana"],
  jobs: {},
  pipelines: {},
  alive: true,
  bytes: 12 * 1024,
  objects: {
    work: [
      "marimo/payload/current",
      "marimo/payload/jobs.json",
      "marimo/schedules/daily/1/a.py",
      "marimo/wheels/1/a.whl",
    ],
    "work-logs": [],
  },
  deleted: [],
});

const named = (name: string, message = name) => Object.assign(new Error(message), { name });

const roleArn = (name: string) => `arn:aws:iam::123456789012:role/${name}`;

/** Commands for jobs and pipelines, which stop immediately. Undefined for any other command. */
function answerAsJobs(world: World, command: string, input: Record<string, string>): unknown {
  const name = input.ProcessingJobName ?? input.PipelineName ?? input.PipelineExecutionArn ?? "";
  switch (command) {
    case "ListProcessingJobsCommand":
      return {
        ProcessingJobSummaries: Object.entries(world.jobs)
          .filter(
            ([job, { status }]) => job.includes(input.NameContains ?? "") && status === input.StatusEquals,
          )
          .map(([ProcessingJobName]) => ({ ProcessingJobName })),
      };
    case "DescribeProcessingJobCommand":
      return {
        RoleArn: roleArn(world.jobs[name]?.role ?? ""),
        ProcessingResources: { ClusterConfig: { InstanceType: "ml.m5.large" } },
      };
    case "StopProcessingJobCommand":
      world.deleted.push(`${command} ${name}`);
      delete world.jobs[name];
      return {};
    case "ListPipelinesCommand":
      return {
        PipelineSummaries: Object.entries(world.pipelines)
          .filter(([pipeline]) => pipeline.startsWith(input.PipelineNamePrefix ?? ""))
          .map(([PipelineName, { role }]) => ({ PipelineName, RoleArn: roleArn(role) })),
      };
    case "ListPipelineExecutionsCommand":
      return {
        PipelineExecutionSummaries: [
          { PipelineExecutionArn: name, PipelineExecutionStatus: world.pipelines[name]?.execution },
        ],
      };
    case "StopPipelineExecutionCommand":
      world.deleted.push(`${command} ${name}`);
      world.pipelines[name] = { execution: "Stopped", role: world.pipelines[name]?.role ?? "" };
      return {};
    case "DeletePipelineCommand":
      if (world.pipelines[name]?.execution === "Executing") throw named("ConflictException");
      world.deleted.push(`${command} ${name}`);
      delete world.pipelines[name];
      return {};
    default:
      return undefined;
  }
}

function answerOfScheduler(world: World, command: string, input: Record<string, string>): unknown {
  const groups = Object.entries(world.schedules ?? {});
  switch (command) {
    case "ListScheduleGroupsCommand":
      return {
        ScheduleGroups: groups
          .filter(([Name]) => Name.startsWith(input.NamePrefix ?? ""))
          .map(([Name]) => ({ Name })),
      };
    case "ListSchedulesCommand":
      return { Schedules: world.schedules?.[input.GroupName ?? ""] };
    case "DeleteScheduleCommand": {
      const group = input.GroupName ?? "";
      world.deleted.push(`${command} ${group}/${input.Name}`);
      world.schedules = {
        ...world.schedules,
        [group]: (world.schedules?.[group] ?? []).filter(({ Name }) => Name !== input.Name),
      };
      return {};
    }
    default:
      return undefined;
  }
}

function answer(world: World, command: string, input: Record<string, string>): unknown {
  const ofScheduler = answerOfScheduler(world, command, input);
  if (ofScheduler !== undefined) return ofScheduler;
  const asJobs = answerAsJobs(world, command, input);
  if (asJobs !== undefined) return asJobs;
  if (command.startsWith("Delete")) {
    if (world.failure) throw world.failure;
    const name = input.AppName ?? input.SpaceName ?? input.UserProfileName ?? input.ModelName ?? "";
    world.deleted.push(`${command} ${name}`);
    delete world.models?.[name];
    world.apps = world.apps.filter(({ AppName }) => AppName !== input.AppName);
    if (command === "DeleteSpaceCommand") {
      if (world.apps.length > 0) throw named("ResourceInUse");
      world.spaces = world.spaces.filter(({ SpaceName }) => SpaceName !== name);
    }
    world.profiles = world.profiles.filter((profile) => profile !== input.UserProfileName);
    return {};
  }
  switch (command) {
    case "GetCallerIdentityCommand":
      return { Account: "123456789012" };
    case "DescribeDomainCommand":
      if (!world.alive) throw named("ResourceNotFound");
      return {};
    case "ListAppsCommand":
      return { Apps: world.apps };
    case "ListSpacesCommand":
      return { Spaces: world.spaces };
    case "ListUserProfilesCommand":
      return { UserProfiles: world.profiles.map((UserProfileName) => ({ UserProfileName })) };
    case "DescribeFileSystemsCommand":
      return {
        FileSystems: [
          {
            FileSystemId: "fs-1",
            SizeInBytes: { Value: world.bytes },
            KmsKeyId: "key-1",
            Tags: [{ Key: "ManagedByAmazonSageMakerResource", Value: "arn:aws:sagemaker:r:1:domain/d-1" }],
          },
        ],
      };
    case "ListObjectVersionsCommand":
      return {
        Versions: (world.objects[input.Bucket ?? ""] ?? []).map((Key) => ({
          Key,
          IsLatest: true,
          Size: 1024,
        })),
      };
    case "ListObjectsV2Command": {
      if (world.backupFailure) throw world.backupFailure;
      const { Delimiter, Prefix = "" } = input;
      const keys = (world.objects[input.Bucket ?? ""] ?? []).filter((key) => key.startsWith(Prefix));
      const LastModified = new Date("2026-11-27T08:00:00Z");
      if (!Delimiter) return { Contents: keys.map((Key) => ({ Key, LastModified, Size: 1024 })) };
      const folders = new Set(keys.map((key) => `${Prefix}${key.slice(Prefix.length).split("/")[0]}/`));
      return { CommonPrefixes: [...folders].sort().map((folder) => ({ Prefix: folder })) };
    }
    case "ListModelsCommand":
      return { Models: Object.keys(world.models ?? {}).map((ModelName) => ({ ModelName })) };
    case "DescribeModelCommand":
      return { ExecutionRoleArn: roleArn(world.models?.[input.ModelName ?? ""] ?? "") };
    default:
      // SageMaker's services, which services.test.ts has.
      if (command.startsWith("List")) return {};
      throw new Error(`unexpected ${command}`);
  }
}

/** The SDK's paginators require an instance of their client class. */
function clientFor<T extends object>(prototype: T, send: (command: never) => unknown): T {
  return Object.assign(Object.create(prototype) as T, { send });
}

async function run(world: World, changed: Partial<GuardOptions> = {}, given: GuardOptions = options) {
  const lines: string[] = [];
  const send = async (command: { constructor: { name: string }; input: Record<string, string> }) =>
    answer(world, command.constructor.name, command.input);
  const clients = {
    efs: clientFor(EFSClient.prototype, send),
    sagemaker: clientFor(SageMakerClient.prototype, send),
    scheduler: clientFor(SchedulerClient.prototype, send),
    s3: { send },
    sts: { send },
  } as unknown as GuardClients;
  const result = await guard(
    { ...given, ...changed },
    { clients, log: (line) => lines.push(line), wait: async () => {} },
  ).then(
    () => "done",
    (error: Error) => error.message,
  );
  return { result, said: lines.join("\n") };
}

const withSpace = (): World => ({
  ...quiet(),
  spaces: [
    {
      SpaceName: "mine",
      OwnershipSettingsSummary: { OwnerUserProfileName: "ana" },
      SpaceSharingSettingsSummary: { SharingType: "Private" },
      SpaceSettingsSummary: { SpaceStorageSettings: { EbsStorageSettings: { EbsVolumeSizeInGb: 20 } } },
    },
  ],
  apps: [{ AppName: "default", AppType: "JupyterLab", SpaceName: "mine", Status: "InService" }],
  profiles: ["ana", "bo"],
});

describe("the guard before a destroy", () => {
  it("allows the destroy of an environment without users' work", async () => {
    const { result, said } = await run(quiet());
    expect(result).toBe("done");
    expect(said).toContain("no users' work in d-1");
  });

  it("lists spaces, volumes, apps and profiles without consent, and deletes nothing", async () => {
    const world = withSpace();
    const { result, said } = await run(world);
    expect(said).toContain("space mine, of ana, private, volume of 20 GB, JupyterLab InService");
    expect(said).toContain("user profile bo, not created by Terraform");
    expect(result).toContain("nothing was destroyed");
    expect(result).toContain("set SAGEMAKER_MARIMO_DELETE_WORK_IN=d-1");
    expect(world.deleted).toEqual([]);
  });

  it("looks for backups where marimo-backup writes them", () => {
    expect(folders.backup).toBe("backup");
  });

  it("says of each space whether it has a backup, how to make one, and what keeps it", async () => {
    const world = withSpace();
    world.spaces.push({ SpaceName: "team", SpaceSharingSettingsSummary: { SharingType: "Shared" } });
    world.objects.work?.push(
      // Of another user's space with this name, and without a manifest: neither counts.
      "people/bo/backup/mine/20261101T080000Z/manifest.json",
      "people/ana/backup/mine/20261103T080000Z/files/a.py",
    );
    const without = await run(world);
    expect(without.said).toMatch(/space mine, .*JupyterLab InService, NO BACKUP$/m);
    expect(without.said).toContain("2 of 2 spaces have no backup");
    expect(without.said).toContain("marimo-backup now");
    expect(without.said).toContain(
      'Backups are deleted with the bucket. To keep them: aws s3 sync s3://work FOLDER --exclude "*" --include "*/backup/*"',
    );

    world.objects.work?.push(
      ...["manifest.json", "files/a.py"].map((name) => `people/ana/backup/mine/20261101T080000Z/${name}`),
      ...["manifest.json", "files/a.py", "files/b/c.py"].map(
        (name) => `people/ana/backup/mine/20261102T080000Z/${name}`,
      ),
      "shared/backup/team/20261101T080000Z/manifest.json",
    );
    const { said } = await run(world);
    expect(said).toMatch(
      /space mine, .*, backup of 2026-11-27T08:00:00Z: 2 files, 2.0 KiB, s3:\/\/work\/people\/ana\/backup\/mine\/20261102T080000Z\/$/m,
    );
    expect(said).toMatch(
      /space team, .*, backup of .*: 0 files, 0 bytes, s3:\/\/work\/shared\/backup\/team\//,
    );
    expect(said).not.toContain("have no backup");
  });

  it("goes on where it may not list backups, and stops at any other error", async () => {
    const denied = { ...withSpace(), backupFailure: named("AccessDenied", "not yours") };
    const { result, said } = await run(denied, { consent: "d-1" });
    expect(said).toContain("backups cannot be listed: not yours");
    expect(result).toBe("done");
    const expired = { ...withSpace(), backupFailure: named("ExpiredToken") };
    expect((await run(expired, { consent: "d-1" })).result).toBe("ExpiredToken");
    expect(expired.deleted).toEqual([]);
  });

  it("says that backups stay in an existing bucket, and nothing of backups without spaces", async () => {
    const { bucket: _, ...existing } = options;
    expect((await run(withSpace(), {}, existing)).said).toContain("Backups stay in work");
    expect((await run(quiet())).said).not.toMatch(/backup/i);
  });

  it("deletes apps, then spaces, then profiles with consent, but not Terraform's profiles", async () => {
    const world = withSpace();
    expect((await run(world, { consent: "d-1" })).result).toBe("done");
    expect(world.deleted).toEqual([
      "DeleteAppCommand default",
      "DeleteSpaceCommand mine",
      "DeleteUserProfileCommand bo",
    ]);
    expect(world.profiles).toEqual(["ana"]);
  });

  it("lists users' schedules, and deletes them before the jobs that they start, but no schedule of the settings", async () => {
    const prefix = options.prefix;
    const schedules = {
      [prefix]: [{ Name: "daily", State: "ENABLED" }],
      [`${prefix}-user-ana`]: [
        { Name: "report", State: "ENABLED" },
        { Name: "old", State: "DISABLED" },
      ],
      "marimo-prod-user-ana": [{ Name: "other", State: "ENABLED" }],
    };
    const pipelines = {
      [`${prefix}-ana-schedule-report`]: { execution: "Executing", role: `${prefix}-user-ana` },
    };
    const world: World = { ...quiet(), schedules, pipelines };
    const refused = await run(world);
    expect(refused.result).toContain("nothing was destroyed");
    expect(refused.said).toMatch(new RegExp(`schedule ${prefix}-user-ana/report$`, "m"));
    expect(refused.said).toMatch(new RegExp(`schedule ${prefix}-user-ana/old, paused$`, "m"));
    expect(refused.said).not.toMatch(/daily|marimo-prod/);
    expect(world.deleted).toEqual([]);
    expect((await run(world, { consent: "d-1" })).result).toBe("done");
    expect(world.deleted).toEqual([
      `DeleteScheduleCommand ${prefix}-user-ana/report`,
      `DeleteScheduleCommand ${prefix}-user-ana/old`,
      `StopPipelineExecutionCommand ${prefix}-ana-schedule-report`,
      `DeletePipelineCommand ${prefix}-ana-schedule-report`,
    ]);
  });

  it("ignores consent for another domain", async () => {
    const world = withSpace();
    expect((await run(world, { consent: "d-2" })).result).toContain('not "d-2"');
    expect(world.deleted).toEqual([]);
  });

  it("requires consent for files in the home file system, but not for empty folders", async () => {
    expect((await run({ ...quiet(), bytes: 12 * 1024 + 1 })).result).toContain("nothing was destroyed");
    expect((await run({ ...quiet(), bytes: 12 * 1024 })).result).toBe("done");
  });

  it("requires no consent for files that are kept, and logs where they are", async () => {
    const { result, said } = await run({ ...quiet(), bytes: 5 * 1024 ** 3 }, { retention: "Retain" });
    expect(result).toBe("done");
    expect(said).toContain(
      "kept: home file system fs-1, 5.0 GiB as last reported by EFS. Notebooks in spaces are not on it",
    );
  });

  it("requires consent for users' objects", async () => {
    const world = quiet();
    world.objects.work?.push("results/model.bin");
    const { result, said } = await run(world);
    expect(said).toContain("bucket work, 1 objects, 1 versions, 1.0 KiB");
    expect(result).toContain("nothing was destroyed");
  });

  const { jobRole, pipelineRole, user } = awsNames(options.prefix);
  const withJobs = (): World => ({
    ...quiet(),
    jobs: {
      "marimo-dev-train-1": { status: "InProgress", role: jobRole },
      "marimo-dev-train-2": { status: "Stopping", role: user("ana") },
      "marimo-dev-train-3": { status: "Completed", role: jobRole },
      // A job of the environment "dev-two", and one with a similar name.
      "marimo-dev-two-train": { status: "InProgress", role: "marimo-dev-two-jobs" },
      "not-marimo-dev-train": { status: "InProgress", role: jobRole },
    },
    pipelines: {
      "marimo-dev-grid-1": { execution: "Executing", role: pipelineRole },
      "marimo-dev-grid-2": { execution: "Succeeded", role: user("ana") },
      "marimo-dev-two-grid": { execution: "Executing", role: "marimo-dev-two-pipelines" },
    },
  });

  it("lists running jobs and pipelines of this environment without consent, and stops none of them", async () => {
    const world = withJobs();
    const { result, said } = await run(world);
    expect(said.split("\n  ").slice(1)).toEqual([
      "job marimo-dev-train-1, InProgress, on ml.m5.large",
      "job marimo-dev-train-2, Stopping, on ml.m5.large",
      "pipeline marimo-dev-grid-1",
      "pipeline marimo-dev-grid-2",
    ]);
    expect(result).toContain("nothing was destroyed");
    expect(world.deleted).toEqual([]);
  });

  it("lists jobs of an existing role that everybody has, and not without its name", async () => {
    const world: World = {
      ...quiet(),
      jobs: { "marimo-dev-train-1": { status: "InProgress", role: "studio" } },
    };
    expect((await run(world, { existingRole: "studio" })).said).toContain(
      "job marimo-dev-train-1, InProgress",
    );
    expect((await run(world)).result).toBe("done");
  });

  it("stops and deletes sweeps, then jobs, with consent, even if the domain no longer exists", async () => {
    for (const alive of [true, false]) {
      const world: World = { ...withJobs(), alive };
      delete world.jobs["marimo-dev-train-2"];
      expect((await run(world, { consent: "d-1" })).result).toBe("done");
      expect(world.deleted).toEqual([
        "StopPipelineExecutionCommand marimo-dev-grid-1",
        "DeletePipelineCommand marimo-dev-grid-1",
        "DeletePipelineCommand marimo-dev-grid-2",
        "StopProcessingJobCommand marimo-dev-train-1",
      ]);
      expect(Object.keys(world.pipelines)).toEqual(["marimo-dev-two-grid"]);
    }
  });

  it("waits for jobs that are stopping, and names one that does not stop", async () => {
    const world = withJobs();
    const { result } = await run(world, { consent: "d-1" });
    expect(result).toContain("AWS has not deleted jobs marimo-dev-train-2 within 10 minutes");
    expect(world.deleted).not.toContain("StopProcessingJobCommand marimo-dev-train-2");
  });

  it("lists models and the like of this environment, and deletes them with consent only", async () => {
    const world = (): World => ({
      ...quiet(),
      models: { "marimo-dev-ana-m": user("ana"), "marimo-dev-two-ana-m": "marimo-dev-two-user-ana" },
    });
    const refused = world();
    const { result, said } = await run(refused);
    expect(said.split("\n  ").slice(1)).toEqual(["model marimo-dev-ana-m"]);
    expect(result).toContain("nothing was destroyed");
    expect(refused.deleted).toEqual([]);
    const consented = world();
    expect((await run(consented, { consent: "d-1" })).result).toBe("done");
    expect(consented.deleted).toEqual(["DeleteModelCommand marimo-dev-ana-m"]);
  });

  it("stops, even with consent, if S3 cannot delete a bucket", async () => {
    const logged = { ...quiet(), objects: { work: [], "work-logs": ["artifacts/1"] } };
    const refused = await run(logged, {
      bucket: { name: "work", accessLogsName: "work-logs", forceDestroy: false },
      consent: "d-1",
    });
    expect(refused.result).toContain("S3 cannot delete buckets with objects: work-logs");
    expect((await run(logged, { consent: "d-1" })).result).toBe("done");
    const bucket = { name: "work", accessLogsName: "work-logs", forceDestroy: false };
    const own = { ...logged, objects: { work: ["marimo/schedules/daily/1/a.py"], "work-logs": [] } };
    expect((await run(own, { bucket })).result).toBe("done");
    own.objects.work.push("shared/jobs/daily/page.html");
    expect((await run(own, { bucket, consent: "d-1" })).result).toContain(
      "S3 cannot delete buckets with objects: work (",
    );
  });

  it("deletes the trail's log files with consent only, or in an environment for trials with a word", async () => {
    const trail = { bucket: "work-trail", forceDestroy: true };
    const world = { ...quiet(), objects: { ...quiet().objects, "work-trail": ["AWSLogs/1.json.gz"] } };
    const trial = await run(world, { trail });
    expect(trial.result).toBe("done");
    expect(trial.said).toContain("deleted with the environment: audit trail in work-trail, 1 objects");
    expect(trial.said).toContain("aws s3 sync s3://work-trail FOLDER");
    const kept = await run(world, { trail, retention: "Retain" });
    expect(kept.result).toContain("nothing was destroyed");
    expect(kept.said).toContain("audit trail in work-trail, 1 objects");
    expect((await run(world, { trail, retention: "Retain", consent: "d-1" })).result).toBe("done");
    expect((await run(quiet(), { trail, retention: "Retain" })).result).toBe("done");
    expect((await run(world, { trail: { ...trail, forceDestroy: false }, consent: "d-1" })).result).toContain(
      "S3 cannot delete buckets with objects: work-trail (",
    );
  });

  it("requires no consent for objects in an existing bucket, which is kept", async () => {
    const full = { ...quiet(), objects: { work: ["results/model.bin"], "work-logs": ["artifacts/1"] } };
    const { bucket: _, ...withoutBucket } = options;
    expect((await run(full)).result).toContain("nothing was destroyed");
    const { result, said } = await run(full, {}, withoutBucket);
    expect(result).toBe("done");
    expect(said).not.toContain("bucket");
  });

  it("requires no consent if the domain no longer exists", async () => {
    expect((await run({ ...withSpace(), alive: false })).result).toBe("done");
  });

  it("stops if the credentials have expired, and says to destroy again", async () => {
    const failure = named("ExpiredTokenException", "The security token included in the request is expired");
    const { result } = await run({ ...withSpace(), failure }, { consent: "d-1" });
    expect(result).toBe(failure.message);
    expect(whyItStopped(failure)).toContain("sign in again, then destroy again");
    expect(whyItStopped(named("AccessDenied", "no"))).toBe("no");
  });
});

describe("waiting for AWS to delete", () => {
  it("ends after ten minutes with the names of the remaining resources", async () => {
    let waited = 0;
    const wait = async (milliseconds: number) => {
      waited += milliseconds;
    };
    const error = await untilGone("spaces", async () => ["mine"], { log: () => {}, wait }).catch(String);
    expect(error).toContain("AWS has not deleted spaces mine within 10 minutes");
    expect(waited).toBeGreaterThan(590_000);
    expect(waited).toBeLessThan(630_000);
  });
});

describe("the key of a kept home file system", () => {
  async function keep(key: { readonly state: string; readonly environment: string }) {
    const sent: string[] = [];
    const send = async (command: { constructor: { name: string }; input: Record<string, string> }) => {
      const { name } = command.constructor;
      sent.push(name);
      if (name === "ListResourceTagsCommand") {
        return {
          Tags: [
            { TagKey: "Project", TagValue: "sagemaker-marimo" },
            { TagKey: "Environment", TagValue: key.environment },
          ],
        };
      }
      if (name === "DescribeKeyCommand") return { KeyMetadata: { KeyState: key.state } };
      if (/^(CancelKeyDeletion|EnableKey)Command$/.test(name)) return {};
      return answer(quiet(), name, command.input);
    };
    const clients = { efs: clientFor(EFSClient.prototype, send), kms: { send }, sts: { send } };
    await keepKey(
      { account: options.account, environment: "prod" },
      { clients: clients as unknown as Parameters<typeof keepKey>[1]["clients"], log: () => {} },
    );
    return sent.filter((name) => /^(Cancel|Enable)/.test(name));
  }

  it("has its deletion cancelled and is enabled", async () => {
    expect(await keep({ state: "PendingDeletion", environment: "prod" })).toEqual([
      "CancelKeyDeletionCommand",
      "EnableKeyCommand",
    ]);
  });

  it("is enabled if an earlier run was interrupted after the cancellation, and is otherwise not changed", async () => {
    expect(await keep({ state: "Disabled", environment: "prod" })).toEqual(["EnableKeyCommand"]);
    expect(await keep({ state: "Enabled", environment: "prod" })).toEqual([]);
  });

  it("is not changed if it belongs to another environment", async () => {
    expect(await keep({ state: "PendingDeletion", environment: "test" })).toEqual([]);
  });
});

describe("the steps in Terraform's graph", () => {
  it("start with the guard, which depends on every other resource", () => {
    for (const settings of [
      {},
      { egress: "endpoints-only" },
      { homeFileSystemRetention: "Delete" },
    ] as const) {
      const stack = synthesize(settings);
      const all = Object.keys(stack.resource).flatMap((type) =>
        resourceNames(stack, type).map((name) => `${type}.${name}`),
      );
      const guarded = resource(stack, "terraform_data", "removal_guard_step").depends_on as string[];
      expect([...guarded, "terraform_data.removal_guard_step"].sort()).toEqual(all.sort());
    }
  });

  it("end with the key if the home file system is kept", () => {
    const kept = synthesize({ homeFileSystemRetention: "Retain" });
    expect(resource(kept, "aws_kms_key", "encryption_key").depends_on).toEqual([
      "terraform_data.home_file_system_key_step",
    ]);
    expect(resource(kept, "terraform_data", "home_file_system_key_step")).not.toHaveProperty("depends_on");
    const deleted = synthesize({ homeFileSystemRetention: "Delete" });
    expect(resourceNames(deleted, "terraform_data")).not.toContain("home_file_system_key_step");
    expect(resource(deleted, "aws_kms_key", "encryption_key")).not.toHaveProperty("depends_on");
  });

  it("run only at destroy time, with values from the state, and never because of a change", () => {
    const stack = synthesize();
    const steps = resourceNames(stack, "terraform_data").filter((name) => name.endsWith("_step"));
    expect(steps.length).toBeGreaterThan(1);
    for (const name of steps) {
      const step = resource(stack, "terraform_data", name);
      expect(step).not.toHaveProperty("triggers_replace");
      expect(step).not.toHaveProperty("lifecycle");
      expect(step.provisioner).toEqual([
        { "local-exec": expect.objectContaining({ when: "destroy", environment: expect.any(Object) }) },
      ]);
    }
    expect(resource(stack, "terraform_data", "removal_guard_step").input).toMatchObject({
      domain_id: expression("aws_sagemaker_domain.studio_domain.id"),
      own_profiles: expression("jsonencode(keys(local.user_profiles))"),
    });
  });
});
