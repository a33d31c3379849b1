import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { BrowserAccess } from "./browser-access.ts";
import type { GatewayFaults } from "./gateway-faults.ts";
import {
  fileLog,
  HttpError,
  type Log,
  readObject,
  reply,
  type Server,
  startServer,
  urlOf,
} from "./http-server.ts";
import { Job } from "./job.ts";
import type { JobRuntime } from "./job-container.ts";
import type { JobEvent, JobOrder } from "./job-order.ts";
import type { AppHostAddress } from "./local-aws.ts";
import {
  appOrder,
  appReference,
  type Check,
  jobOrder,
  jobReference,
  signInOrder,
  spaceReference,
} from "./orders.ts";
import type { SignIn } from "./presigned-urls.ts";
import { type AppOrder, Space } from "./space.ts";
import type { StudioApi } from "./studio-api.ts";
import { answerStudio } from "./studio-page.ts";

export interface AppHostProps {
  /** Contains the home directories of the spaces and the folders of the jobs. */
  readonly folder: string;
  readonly faults: GatewayFaults;
  /** Called at each start of an app or a job, because the address of the local AWS is known only once it runs. */
  readonly runtime: () => Omit<JobRuntime, "logs">;
  /** Folder for the logs of spaces and jobs, and for the log of rejected requests. */
  readonly logs: string;
  /** The API of the Studio page, once the stack is deployed. */
  readonly studio?: (() => StudioApi | undefined) | undefined;
}

/** A request of the control plane. `run` returns the answer, or `undefined` after it has written to `response`. */
interface Order {
  readonly check: Check;
  // biome-ignore lint/suspicious/noExplicitAny: `check` has validated it
  readonly run: (order: any, response: ServerResponse) => object | Promise<object | undefined>;
}

/** Runs the apps and jobs of the local AWS's control plane, which AWS runs in containers. */
export class AppHost {
  private readonly props: AppHostProps;
  private readonly token = randomBytes(32).toString("base64url");
  private readonly access: BrowserAccess;
  private readonly spaces = new Map<string, Promise<Space>>();
  private readonly apps = new Map<string, Space>();
  private readonly jobs = new Map<string, { readonly job: Job; readonly ended: Promise<void> }>();
  private readonly log: Log;
  private server: Server | undefined;

  private readonly orders: Readonly<Record<string, Order>> = {
    "/apps": { check: appOrder, run: (order: AppOrder) => this.startApp(order) },
    "/apps/stop": { check: appReference, run: ({ appArn }: AppOrder) => this.stopApp(appArn) },
    "/spaces/delete": {
      check: spaceReference,
      run: ({ domainId, spaceName }: AppOrder) => this.deleteSpace(domainId, spaceName),
    },
    "/presigned-urls": { check: signInOrder, run: (order: SignIn) => this.presign(order) },
    "/jobs": { check: jobOrder, run: (order: JobOrder, response) => this.runJob(order, response) },
    "/jobs/stop": { check: jobReference, run: ({ arn }: JobOrder) => this.endJob(arn, "stop") },
    "/jobs/kill": { check: jobReference, run: ({ arn }: JobOrder) => this.endJob(arn, "kill") },
  };

  constructor(props: AppHostProps) {
    this.props = props;
    this.log = fileLog(join(props.logs, "app-host.log"));
    this.access = new BrowserAccess(this.log, () => this.url);
  }

  async start(): Promise<AppHostAddress> {
    this.server = await startServer({
      log: this.log,
      request: (incoming, response) => this.answer(incoming, response),
    });
    return { url: this.url, token: this.token };
  }

  get url(): string {
    if (this.server === undefined) throw new Error("The app host has not been started.");
    return this.server.url;
  }

  /** A sign-in link for the terminal. It can be used any number of times while the app host runs. */
  async signInUrl(signIn: Omit<SignIn, "expiresInSeconds" | "sessionExpirationInSeconds">): Promise<string> {
    const unlimited = {
      expiresInSeconds: Number.POSITIVE_INFINITY,
      sessionExpirationInSeconds: sessionSeconds,
    };
    return (await this.presign({ ...signIn, ...unlimited })).url;
  }

  /** Finds a space, with its gateway and the port of its JupyterLab. */
  async find(domainId: string, spaceName: string): Promise<Space | undefined> {
    return this.spaces.get(key(domainId, spaceName));
  }

  /** Stops every app, job and gateway, and deletes the home directories unless they are kept. */
  async close(options: { readonly keepHomes?: boolean } = {}): Promise<void> {
    const jobs = [...this.jobs.values()];
    for (const { job } of jobs) job.close();
    await Promise.all(jobs.map(({ ended }) => ended));
    const spaces = await Promise.all(this.spaces.values());
    await Promise.all(spaces.map((space) => (options.keepHomes ? space.close() : space.delete())));
    this.spaces.clear();
    await this.server?.close();
  }

  private async answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(incoming);
    if (url.pathname.startsWith("/studio/")) return this.showStudio(incoming, response, url);
    const order = this.orders[url.pathname];
    const allow = url.pathname === "/auth" ? "GET" : "POST";
    if (order === undefined && allow === "POST")
      throw new HttpError(404, `The app host has no route ${url.pathname}.`);
    if (incoming.method !== allow) {
      throw new HttpError(405, `The method must be ${allow}, not ${incoming.method}.`, { allow });
    }
    if (order === undefined) return this.access.signIn(incoming, response);
    if (!this.isControlPlane(incoming)) {
      throw new HttpError(401, "Only the control plane of the local AWS can send this request.");
    }
    const body = await readObject(incoming);
    const problems = order.check(body, "");
    if (problems.length > 0) throw new HttpError(400, `${problems.join("; ")}.`);
    const answer = await order.run(body, response);
    if (answer !== undefined) reply(response, 200, answer);
  }

  private runtime(): JobRuntime {
    return { ...this.props.runtime(), logs: this.props.logs };
  }

  private isControlPlane(incoming: IncomingMessage): boolean {
    const digest = (text: string) => createHash("sha256").update(text).digest();
    return timingSafeEqual(digest(incoming.headers.authorization ?? ""), digest(`Bearer ${this.token}`));
  }

  private async startApp(order: AppOrder): Promise<{ url: string }> {
    if (order.appType !== "JupyterLab") {
      throw new HttpError(422, `A rehearsal can run only apps of type JupyterLab, not ${order.appType}.`);
    }
    const space = await this.space(order.domainId, order.spaceName);
    this.apps.set(order.appArn, space);
    try {
      await space.startApp(order, this.runtime());
    } catch (error) {
      throw new HttpError(422, error instanceof Error ? error.message : String(error));
    }
    return { url: space.gateway.url };
  }

  private async stopApp(appArn: string): Promise<object> {
    await this.apps.get(appArn)?.stopApp();
    this.apps.delete(appArn);
    return {};
  }

  private async deleteSpace(domainId: string, spaceName: string): Promise<object> {
    const space = await this.spaces.get(key(domainId, spaceName));
    this.spaces.delete(key(domainId, spaceName));
    await space?.delete();
    return {};
  }

  /** Answers with one line of JSON per event until the job has ended. */
  private async runJob(order: JobOrder, response: ServerResponse): Promise<undefined> {
    if (this.jobs.has(order.arn)) throw new HttpError(409, `The job ${order.arn} is already running.`);
    const report = (event: JobEvent) => void response.write(`${JSON.stringify(event)}\n`);
    const folder = join(this.props.folder, "jobs", order.name);
    const job = new Job(order, this.runtime(), folder, report);
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    const outcome = job.run().catch((error: unknown) => ({
      failureReason: `InternalServerError: ${error instanceof Error ? error.message : error}`,
    }));
    this.jobs.set(order.arn, { job, ended: outcome.then(() => {}) });
    report({ accepted: true });
    report({ outcome: await outcome });
    this.jobs.delete(order.arn);
    response.end();
    return undefined;
  }

  private endJob(arn: string, how: "stop" | "kill"): object {
    this.jobs.get(arn)?.job[how]();
    return {};
  }

  private async presign(signIn: SignIn): Promise<{ url: string }> {
    const path = this.access.issue(signIn);
    if (!signIn.spaceName) return { url: `${this.url}${path}` };
    const space = await this.space(signIn.domainId, signIn.spaceName);
    return { url: `${space.gateway.url}${path}` };
  }

  private space(domainId: string, spaceName: string): Promise<Space> {
    const at = key(domainId, spaceName);
    const space =
      this.spaces.get(at) ??
      Space.open(spaceName, join(this.props.folder, domainId, spaceName), {
        faults: this.props.faults,
        log: (line) => this.log(`${spaceName}: ${line}`),
        ...this.access.ofSpace({ domainId, spaceName }),
      });
    this.spaces.set(at, space);
    space.catch(() => this.spaces.delete(at));
    return space;
  }

  private async showStudio(incoming: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const session = this.access.sessionOf(incoming);
    if (session === undefined) return this.access.askToSignIn(incoming, response);
    await answerStudio({ incoming, response, url, session, api: this.props.studio?.() });
  }
}

/** 12 hours (SageMaker API, "CreatePresignedDomainUrl": the maximum and the default). */
const sessionSeconds = 43_200;

/** SageMaker names are not case-sensitive. */
function key(domainId: string, spaceName: string): string {
  return `${domainId}/${spaceName.toLowerCase()}`;
}
