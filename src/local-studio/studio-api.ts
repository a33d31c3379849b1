import { open } from "node:fs/promises";
import { join } from "node:path";
import {
  CloudWatchLogsClient,
  DescribeLogStreamsCommand,
  GetLogEventsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import { GetObjectCommand, HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  DescribeProcessingJobCommand,
  ListProcessingJobsCommand,
  type ProcessingJobSummary,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { Problem } from "../cli/problem.ts";
import { jobLogGroup } from "../settings/names.ts";
import { DeployedResources } from "./deployed-resources.ts";
import type { LocalAws } from "./local-aws.ts";
import { spaceLog } from "./space.ts";
import { StudioClient, type StudioUser } from "./studio-client.ts";
import { type StudioCosts, studioCosts } from "./studio-costs.ts";
import { listSpaces, listUserProfiles } from "./studio-spaces.ts";

export interface StudioApiProps {
  /** Endpoint, credentials and Region of the AWS account of Studio. */
  readonly client: ReturnType<LocalAws["clientSettings"]>;
  /** Folder for the logs of the run. */
  readonly logs: string;
  readonly stateFile: string;
}

/** A request of the page that cannot be fulfilled. The page shows the reason and the remedy. */
export class NotPossible extends Problem {
  readonly status: number;

  constructor(status: number, message: string, remedy: string) {
    super({ message, remedy });
    this.status = status;
  }
}

export const spaceActions = ["create", "start", "stop", "delete"] as const;
export type SpaceAction = (typeof spaceActions)[number];

/** Paths in a space that have a button on the page. */
export const spaceApps = { JupyterLab: "lab", marimo: "marimo/" } as const;

const jobsShown = 20;
const logLines = 200;
/** Maximum number of bytes that are read from the end of a log file. */
const logBytes = 1 << 20;
/** Hides the requests that the overview sends every few seconds from the log of the local AWS. */
const ownRequests = /^sagemaker:List(Spaces|Apps|UserProfiles|ProcessingJobs) 200 .*\n/gm;
const files = {
  deploy: "Deployment (cdktf deploy)",
  "local-aws": "Local AWS",
  "app-host": "Rejected requests",
} as const;

/** The actions of the Studio page. They use the AWS API as the signed-in user. */
export class StudioApi {
  private readonly props: StudioApiProps;
  private readonly sagemaker: SageMakerClient;
  private readonly s3: S3Client;
  private readonly cloudWatch: CloudWatchLogsClient;
  private readonly deployed: DeployedResources;
  /** Whether an ended job wrote a page, by job name. */
  private readonly pages = new Map<string, boolean>();

  constructor(props: StudioApiProps) {
    this.props = props;
    this.sagemaker = new SageMakerClient(props.client);
    this.s3 = new S3Client(props.client);
    this.cloudWatch = new CloudWatchLogsClient(props.client);
    this.deployed = new DeployedResources(props.stateFile);
  }

  /** Everything on the page except the text of the log. */
  async overview(user: StudioUser) {
    const [profiles, spaces, jobs] = await Promise.all([
      listUserProfiles(this.sagemaker, user.domainId),
      listSpaces(this.sagemaker, user),
      this.jobs(),
    ]);
    const logs = [
      ...spaces.map(({ name }) => ({ id: `space/${name}`, label: `Space ${name}` })),
      ...jobs.map(({ name }) => ({ id: `job/${name}`, label: `Job ${name}` })),
      ...Object.entries(files).map(([id, label]) => ({ id, label })),
    ];
    const { domainId, userProfileName } = user;
    return { domainId, userProfileName, profiles, spaces, jobs, logs, deployed: this.deployed.read() };
  }

  /** The running month's costs, by person and kind. */
  costs({ domainId }: StudioUser): Promise<StudioCosts> {
    return studioCosts(this.props.client, { domainId, monthly: this.deployed.read().monthly });
  }

  /** Returns when AWS has accepted a start, or when a stop or a deletion is complete. */
  async act(user: StudioUser, action: SpaceAction, spaceName: string): Promise<void> {
    const studio = new StudioClient(this.sagemaker, user, 200);
    if (action === "create") {
      await studio.createSpace(spaceName);
      return studio.startApp(spaceName);
    }
    const space = await this.ownSpace(user, spaceName);
    if (action === "delete") return studio.delete(spaceName);
    // The name of a failed app cannot be reused before the app is deleted.
    if (action === "stop" || space.state === "failed") await studio.deleteApps(spaceName);
    if (action === "start") await studio.startApp(spaceName);
  }

  /** Creates a sign-in link to an app in a space. */
  async open(user: StudioUser, spaceName: string, app: keyof typeof spaceApps): Promise<string> {
    const studio = new StudioClient(this.sagemaker, user, 200);
    return studio.presignedUrl(spaceName, `app:JupyterLab:${spaceApps[app]}`);
  }

  /** Creates a sign-in link for another user profile. Anyone with the access key of the rehearsal can create one. */
  async signIn({ domainId }: StudioUser, userProfileName: string): Promise<string> {
    return new StudioClient(this.sagemaker, { domainId, userProfileName }, 200).presignedUrl(undefined);
  }

  /** The HTML page that a job wrote to the bucket. It is output of the job's code and therefore untrusted. */
  async jobPage(name: string): Promise<string> {
    const { Body } = await this.s3.send(new GetObjectCommand(await this.pageOf(name)));
    return (await Body?.transformToString()) ?? "";
  }

  /** The last lines of a log, by its id in the overview. */
  async log(user: StudioUser, id: string): Promise<string> {
    const [kind, name = ""] = id.split("/", 2);
    if (kind === "job") return this.jobLog(name);
    if (kind === "space") {
      const own = await listSpaces(this.sagemaker, user);
      // A space that has been deleted has no log.
      return own.some((space) => space.name === name) ? this.tail(spaceLog(name)) : "";
    }
    if (Object.hasOwn(files, id)) return this.tail(`${id}.log`);
    throw new NotPossible(404, `"${id}" is not a log.`, "choose a log from the list");
  }

  private async ownSpace(user: StudioUser, spaceName: string) {
    const space = (await listSpaces(this.sagemaker, user)).find(({ name }) => name === spaceName);
    if (space) return space;
    throw new NotPossible(
      404,
      `The user profile ${user.userProfileName} has no space "${spaceName}".`,
      "choose a space from the list; this one was deleted or belongs to another user profile",
    );
  }

  private async jobs() {
    const { ProcessingJobSummaries = [] } = await this.sagemaker.send(
      new ListProcessingJobsCommand({
        SortBy: "CreationTime",
        SortOrder: "Descending",
        MaxResults: jobsShown,
      }),
    );
    return Promise.all(
      ProcessingJobSummaries.map(async (job) => ({
        name: job.ProcessingJobName ?? "",
        status: job.ProcessingJobStatus,
        started: job.CreationTime,
        ended: job.ProcessingEndTime,
        reason: [job.FailureReason, job.ExitMessage].filter(Boolean).join("\n"),
        hasPage: await this.hasPage(job),
      })),
    );
  }

  private async hasPage({ ProcessingJobName: name = "", ProcessingEndTime }: ProcessingJobSummary) {
    const known = this.pages.get(name);
    if (known !== undefined || !ProcessingEndTime) return known ?? false;
    const found = await this.pageOf(name)
      .then((page) => this.s3.send(new HeadObjectCommand(page)))
      .then(() => true)
      .catch((error: Error) => {
        if (error instanceof NotPossible || error.name === "NotFound") return false;
        throw error;
      });
    this.pages.set(name, found);
    return found;
  }

  /** Location of a job's page. `sagemaker_marimo/jobs/results.py` reads the same object. */
  private async pageOf(ProcessingJobName: string): Promise<{ Bucket: string; Key: string }> {
    const job = await this.sagemaker.send(new DescribeProcessingJobCommand({ ProcessingJobName }));
    const outputs = job.ProcessingOutputConfig?.Outputs ?? [];
    const uri = outputs.find(({ OutputName }) => OutputName === "result")?.S3Output?.S3Uri;
    const [, Bucket, prefix] = /^s3:\/\/([^/]+)\/(.*?)\/*$/.exec(uri ?? "") ?? [];
    if (Bucket && prefix) return { Bucket, Key: `${prefix}/page.html` };
    throw new NotPossible(404, `Job "${ProcessingJobName}" has no output "result".`, "read its log");
  }

  private async jobLog(name: string): Promise<string> {
    const logGroupName = jobLogGroup;
    try {
      const { logStreams } = await this.cloudWatch.send(
        new DescribeLogStreamsCommand({ logGroupName, logStreamNamePrefix: `${name}/algo-1-` }),
      );
      const logStreamName = logStreams?.[0]?.logStreamName;
      if (logStreamName === undefined) return "";
      const { events = [] } = await this.cloudWatch.send(
        new GetLogEventsCommand({ logGroupName, logStreamName, limit: logLines }),
      );
      return events.map(({ message = "" }) => message).join("\n");
    } catch (error) {
      // AWS creates the log group with the first line of the first job.
      if (error instanceof Error && error.name === "ResourceNotFoundException") return "";
      throw error;
    }
  }

  /** The last lines of a log file, or an empty text if the file does not exist yet. */
  private async tail(name: string): Promise<string> {
    let file: Awaited<ReturnType<typeof open>>;
    try {
      file = await open(join(this.props.logs, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
      throw error;
    }
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read({
        buffer: Buffer.alloc(Math.min(size, logBytes)),
        position: Math.max(0, size - logBytes),
      });
      const text = buffer.toString("utf8", 0, bytesRead).replace(ownRequests, "");
      const lines = text.trimEnd().split("\n");
      return lines.slice(-logLines).join("\n");
    } finally {
      await file.close();
    }
  }
}
