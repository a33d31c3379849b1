import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import { S3Object } from "@cdktf/provider-aws/lib/s3-object/index.js";
import { SchedulerSchedule } from "@cdktf/provider-aws/lib/scheduler-schedule/index.js";
import { SchedulerScheduleGroup } from "@cdktf/provider-aws/lib/scheduler-schedule-group/index.js";
import { SqsQueue } from "@cdktf/provider-aws/lib/sqs-queue/index.js";
import {
  AssetType,
  type ITerraformDependable,
  TerraformAsset,
  TerraformIterator,
  TerraformStack,
} from "cdktf";
import { Construct } from "constructs";
import { appFiles } from "../../notebooks/app-files.ts";
import { type AthenaWorkgroups, workgroupOfSchedule } from "../../settings/athena.ts";
import {
  awsNames,
  folders as bucketFolders,
  bucketPrefixes,
  checksums,
  scheduleTag,
  userTag,
} from "../../settings/names.ts";
import { longestSchedulePrefix, type ResolvedSchedule } from "../../settings/schedules.ts";
import { passedTo, scheduledUserArn, tagged } from "../identity/conditions.ts";
import { onlyInlinePolicies } from "../identity/inline-policies.ts";
import { serviceTrust } from "../identity/service-trust.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import { checksumsOf, sha256 } from "../storage/checksums.ts";
import { encryptedObject, literal, type Payload } from "../storage/payload.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { pathOfModule } from "../support/path-of-module.ts";
import { checkPrefix } from "../support/prefix.ts";
import { type JobDefaults, processingJobRequest } from "./processing-job.ts";

/** The API says 256 KB (EventBridge Scheduler API, Target, `Input`); that this is 262,144 characters is our reading. */
const longestInput = 262_144;

export interface SchedulesProps {
  /** Name prefix of every resource and job. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  readonly schedules: readonly ResolvedSchedule[];
  /** Folder that the notebooks' paths are relative to. */
  readonly root: string;
  readonly bucket: EnvironmentBucket;
  readonly payload: Payload;
  readonly jobs: Omit<JobDefaults, "roleArn">;
  /**
   * ARNs of the roles of schedules without `runAs`, by team; that of schedules without a team has no key. The others run as
   * the roles that `ScheduleRoles` creates.
   */
  readonly jobRoleArns: ReadonlyMap<string | undefined, string>;
  readonly workgroups: AthenaWorkgroups;
  /** The policies of the jobs' roles. */
  readonly roleReady: readonly ITerraformDependable[];
  /** Value of the tag `Environment`, which each job has. */
  readonly environment: string;
  /** Policies that AWS may attach to the scheduler's role later, and that must outlive it in a destroy. */
  readonly attachedLater: readonly ITerraformDependable[];
}

export interface NamedRole {
  readonly arn: string;
  readonly name: string;
}

/**
 * Notebooks that run on a schedule. EventBridge Scheduler calls CreateProcessingJob directly, as a universal target, so
 * there is no function to maintain (EventBridge Scheduler User Guide, "Using universal targets").
 */
export class Schedules extends Construct {
  /** Queue of the calls that failed: their jobs were never created. */
  readonly deadLetterQueue: { readonly arn: string; readonly name: string };
  /** Role of EventBridge Scheduler. */
  readonly schedulerRole: NamedRole;

  constructor(scope: Construct, id: string, props: SchedulesProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);
    const group = new SchedulerScheduleGroup(this, "group", { name: awsNames(prefix).scheduleGroup });
    const queue = new SqsQueue(this, "dead_letters", {
      name: awsNames(prefix).deadLetterQueue,
      // Its messages are the requests that failed: ARNs, arguments, no data.
      sqsManagedSseEnabled: true,
      // 14 days: the longest that Amazon SQS keeps a message.
      messageRetentionSeconds: 1_209_600,
    });
    this.deadLetterQueue = { arn: queue.arn, name: queue.name };
    const role = this.role(props, group.arn, queue.arn);
    this.schedulerRole = role;

    for (const schedule of props.schedules) {
      const sources = this.sources(schedule, props);
      const name = `${prefix}-${schedule.name}`;
      if (name.length >= longestSchedulePrefix)
        throw new Error(`schedule "${schedule.name}": "${name}-" leaves no room for an execution's id`);
      // The id is the same for each attempt of one invocation: a second job of that name is refused, not run.
      const job = `${name}-<aws.scheduler.execution-id>`;
      const { runAs, team } = schedule;
      const roleArn =
        runAs === undefined ? props.jobRoleArns.get(team) : scheduledUserArn(account, prefix, runAs);
      if (roleArn === undefined) throw new Error(`schedule "${schedule.name}": no role, and no runAs`);
      const dataPrefix = runAs === undefined ? bucketPrefixes.shared : `${bucketPrefixes.people}/${runAs}`;
      const input = JSON.stringify(
        processingJobRequest(
          { ...props.jobs, roleArn },
          {
            name: job,
            instanceType: schedule.instanceType,
            timeLimitMinutes: schedule.timeLimitMinutes,
            payload: props.payload.folder,
            source: sources.folder,
            dataPrefix,
            workgroup: workgroupOfSchedule(prefix, props.workgroups, schedule),
            outputPrefix: `${dataPrefix}/${bucketFolders.jobs}/${job}`,
            notebook: basename(schedule.notebook),
            arguments: schedule.arguments,
            secrets: schedule.secrets,
            tags: { [scheduleTag]: schedule.name, ...(runAs === undefined ? {} : { [userTag]: runAs }) },
          },
        ),
      );
      if (input.length > longestInput)
        throw new Error(
          `schedule "${schedule.name}": its request has ${input.length} characters, at most ${longestInput} are allowed ` +
            "(EventBridge Scheduler API, Target, Input: 256 KB)",
        );
      new SchedulerSchedule(this, `schedule_${schedule.name}`, {
        name: schedule.name,
        groupName: group.name,
        description: `Runs ${schedule.notebook}${runAs === undefined ? "" : ` with the rights of ${runAs}`}`,
        scheduleExpression: schedule.expression,
        scheduleExpressionTimezone: schedule.timeZone,
        state: schedule.enabled ? "ENABLED" : "DISABLED",
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn: `arn:${account.partition}:scheduler:::aws-sdk:sagemaker:createProcessingJob`,
          roleArn: role.arn,
          input,
          // The defaults are 185 attempts in a day: a job would start at any time of it.
          retryPolicy: { maximumRetryAttempts: 2, maximumEventAgeInSeconds: 900 },
          deadLetterConfig: { arn: queue.arn },
        },
        dependsOn: [role.policy, ...props.roleReady, props.payload.pointer, ...sources.objects],
      });
    }
  }

  /** What EventBridge Scheduler may do: make these jobs, tag them, hand them their roles, and report what failed. */
  private role(props: SchedulesProps, groupArn: string, queueArn: string) {
    const { account, attachedLater, environment, jobRoleArns, prefix, schedules } = props;
    const hasUsers = schedules.some(({ runAs }) => runAs !== undefined);
    const trust = new DataAwsIamPolicyDocument(this, "trust", {
      statement: [
        serviceTrust({
          sid: "Scheduler",
          account,
          service: account.servicePrincipal("scheduler"),
          // The group, and not a schedule (EventBridge Scheduler User Guide, "Confused deputy prevention").
          sourceArn: groupArn,
        }),
      ],
    });
    const role = new IamRole(this, "role", {
      name: awsNames(prefix).schedulerRole,
      description: "EventBridge Scheduler, which starts scheduled notebooks",
      assumeRolePolicy: trust.json,
      ...(attachedLater.length === 0 ? {} : { forceDetachPolicies: true, dependsOn: [...attachedLater] }),
    });
    const document = new DataAwsIamPolicyDocument(this, "document", {
      statement: [
        {
          sid: "MakeJobs",
          actions: ["sagemaker:AddTags", "sagemaker:CreateProcessingJob"],
          resources: [account.arn("sagemaker", `processing-job/${prefix}-*`)],
          condition: tagged(environment),
        },
        {
          sid: "RolesOfJobs",
          actions: ["iam:PassRole"],
          resources: [...jobRoleArns.values(), ...(hasUsers ? [scheduledUserArn(account, prefix, "*")] : [])],
          condition: passedTo(account, "sagemaker"),
        },
        { sid: "DeadLetters", actions: ["sqs:SendMessage"], resources: [queueArn] },
      ],
    });
    const policy = new IamRolePolicy(this, "policy", {
      name: "jobs",
      role: role.name,
      policy: document.json,
    });
    onlyInlinePolicies(role, [policy]);
    return { arn: role.arn, name: role.name, policy };
  }

  /** Uploads a schedule's notebook and what goes along; a change makes new objects, before the schedule moves to them. */
  private sources(schedule: ResolvedSchedule, { bucket, jobs, root }: SchedulesProps) {
    const folder = dirname(schedule.notebook);
    const sent = [basename(schedule.notebook), ...schedule.files];
    const named = sent
      .filter((file) => file.endsWith(".py"))
      .flatMap((file) => appFiles(join(root, folder), file));
    const files = Object.fromEntries([
      ...[...named, ...sent].map((file) => [file, join(root, folder, file)]),
      ...(schedule.lock === undefined ? [] : [["requirements.lock", join(root, folder, schedule.lock)]]),
    ]) as Record<string, string>;
    if (checksums in files) throw new Error(`schedule "${schedule.name}": no file may be named ${checksums}`);
    const hashed = Object.keys(files)
      .sort()
      .map((path) => ({ path, sha256: sha256(readFileSync(files[path] ?? "")) }));
    const list = checksumsOf(hashed);
    const prefix = `${bucketPrefixes.schedules}/${schedule.name}/${list.hash}`;
    const common = {
      bucket: bucket.name,
      ...encryptedObject(jobs.encryptionKeyArn),
      lifecycle: { createBeforeDestroy: true },
      dependsOn: [...bucket.ready],
    };
    const sources = TerraformIterator.fromMap(
      Object.fromEntries(
        hashed.map(({ path, sha256 }) => [
          path,
          {
            source: new TerraformAsset(this, `source ${schedule.name} ${path}`, {
              path: files[path] ?? "",
              assetHash: sha256,
              type: AssetType.FILE,
            }).path,
            sha256,
          },
        ]),
      ),
    );
    const objects = new S3Object(this, `sources_${schedule.name}`, {
      ...common,
      forEach: sources,
      key: `${prefix}/${sources.key}`,
      source: pathOfModule(TerraformStack.of(this), sources.getString("source")),
      sourceHash: sources.getString("sha256"),
    });
    const manifest = new S3Object(this, `checksums_${schedule.name}`, {
      ...common,
      key: `${prefix}/${checksums}`,
      content: literal(list.text),
      contentType: "text/plain",
    });
    return { folder: { prefix, sha256: list.sha256 }, objects: [objects, manifest] };
  }
}
