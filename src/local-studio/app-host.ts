import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { GatewayFaults } from "./gateway-faults.ts";
import { landingPath, PresignedUrls, type SignIn, sessionCookie } from "./presigned-urls.ts";
import { type JobEvent, type JobOrder, type JobRuntime, ProcessingJob } from "./processing-job.ts";
import { type AppOrder, Space } from "./space.ts";
import { expiredPage, studioPage } from "./studio-page.ts";

export interface AppHostProps {
  /** Holds every space's home and every job's folders. */
  readonly folder: string;
  readonly faults: GatewayFaults;
  /** Asked for at each start of an app or a job: the local AWS's address is known only once it runs. */
  readonly runtime: () => JobRuntime;
}

interface KnownSpace {
  readonly space: Space;
  readonly domainId: string;
  userProfileName: string;
}

/** Refused; the reason becomes the app's FailureReason. */
class Refusal extends Error {}

/** Names go into paths (SageMaker API: letters, digits and inner hyphens, at most 63). */
const nameShape = /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/;

/** Runs, for the local AWS's control plane, what AWS runs in containers. */
export class AppHost {
  private readonly props: AppHostProps;
  private readonly presignedUrls = new PresignedUrls();
  private readonly spaces = new Map<string, Promise<KnownSpace>>();
  private readonly apps = new Map<string, Space>();
  private readonly jobs = new Map<string, { readonly job: ProcessingJob; readonly ended: Promise<void> }>();
  private readonly server = createServer((request, response) => void this.answer(request, response));

  constructor(props: AppHostProps) {
    this.props = props;
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(0, "127.0.0.1", resolve);
    });
    return this.url;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The space as the gateway and JupyterLab itself serve it, while its app runs. */
  async find(domainId: string, spaceName: string): Promise<Space | undefined> {
    return (await this.spaces.get(key(domainId, spaceName)))?.space;
  }

  /** Stops every app, job and gateway. */
  async close(): Promise<void> {
    const jobs = [...this.jobs.values()];
    for (const { job } of jobs) job.close();
    await Promise.all(jobs.map(({ ended }) => ended));
    const known = await Promise.all(this.spaces.values());
    await Promise.all(known.map(({ space }) => space.delete()));
    this.spaces.clear();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = `${request.method} ${request.url?.split("?")[0]}`;
    try {
      if (route === "GET /auth") return void this.signIn(request, response);
      if (route.startsWith("GET /studio/")) return void (await this.showStudio(request, response));
      const body = (await json(request)) as Record<string, unknown>;
      if (route === "POST /apps")
        return reply(response, 200, await this.startApp(body as unknown as AppOrder));
      if (route === "POST /apps/stop") return reply(response, 200, await this.stopApp(String(body.appArn)));
      if (route === "POST /spaces/delete") {
        return reply(response, 200, await this.deleteSpace(String(body.domainId), String(body.spaceName)));
      }
      if (route === "POST /presigned-urls") {
        return reply(response, 200, await this.presign(body as unknown as SignIn));
      }
      if (route === "POST /jobs") return await this.runJob(body as unknown as JobOrder, response);
      if (route === "POST /jobs/stop" || route === "POST /jobs/kill") {
        const known = this.jobs.get(String(body.arn));
        if (route === "POST /jobs/stop") known?.job.stop();
        else known?.job.kill();
        return reply(response, 200, {});
      }
      reply(response, 404, { reason: `The app host has no ${route}` });
    } catch (error) {
      // 422: what happened to the app; 500: what happened to the app host.
      const status = error instanceof Refusal ? 422 : 500;
      reply(response, status, { reason: error instanceof Error ? error.message : String(error) });
    }
  }

  private async startApp(order: AppOrder): Promise<{ url: string }> {
    if (order.appType !== "JupyterLab") {
      throw new Refusal(`This rehearsal starts apps of type JupyterLab, not ${order.appType}.`);
    }
    const known = await this.space(order.domainId, order.spaceName, order.userProfileName);
    this.apps.set(order.appArn, known.space);
    try {
      await known.space.startApp(order, this.props.runtime());
    } catch (error) {
      throw new Refusal(error instanceof Error ? error.message : String(error));
    }
    return { url: known.space.gateway.url };
  }

  private async stopApp(appArn: string): Promise<object> {
    await this.apps.get(appArn)?.stopApp();
    this.apps.delete(appArn);
    return {};
  }

  private async deleteSpace(domainId: string, spaceName: string): Promise<object> {
    const known = await this.spaces.get(key(domainId, spaceName));
    this.spaces.delete(key(domainId, spaceName));
    await known?.space.delete();
    return {};
  }

  /** Answers with a line of JSON for each event, until the job is over. */
  private async runJob(order: JobOrder, response: ServerResponse): Promise<void> {
    checkName(order.name);
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    const report = (event: JobEvent) => void response.write(`${JSON.stringify(event)}\n`);
    const job = new ProcessingJob(
      order,
      this.props.runtime(),
      join(this.props.folder, "jobs", order.name),
      report,
    );
    const outcome = job.run().catch((error: unknown) => ({
      failureReason: `InternalServerError: ${error instanceof Error ? error.message : error}`,
    }));
    this.jobs.set(order.arn, { job, ended: outcome.then(() => {}) });
    report({ accepted: true });
    report({ outcome: await outcome });
    this.jobs.delete(order.arn);
    response.end();
  }

  private async presign(signIn: SignIn): Promise<{ url: string }> {
    const path = this.presignedUrls.issue(signIn);
    if (!signIn.spaceName) return { url: `${this.url}${path}` };
    const { space } = await this.space(signIn.domainId, signIn.spaceName, signIn.userProfileName);
    return { url: `${space.gateway.url}${path}` };
  }

  private space(domainId: string, spaceName: string, userProfileName: string): Promise<KnownSpace> {
    for (const name of [domainId, spaceName]) checkName(name);
    const at = key(domainId, spaceName);
    const known =
      this.spaces.get(at) ??
      Space.open(spaceName, join(this.props.folder, domainId, spaceName), this.props.faults, (...exchange) =>
        this.signInAtSpace(...exchange),
      ).then((space) => ({ space, domainId, userProfileName }));
    this.spaces.set(at, known);
    return known;
  }

  /** The presigned URL of a space is an address of its gateway. */
  private signInAtSpace(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.url?.split("?")[0] !== "/auth") return false;
    this.signIn(request, response);
    return true;
  }

  private signIn(request: IncomingMessage, response: ServerResponse): void {
    const signIn = this.presignedUrls.redeem(request.url ?? "");
    if (signIn === undefined) {
      html(response, 403, expiredPage);
      return;
    }
    const location = signIn.spaceName
      ? landingPath(signIn.landingUri)
      : `/studio/${signIn.domainId}/${signIn.userProfileName}`;
    response.writeHead(302, { location, "set-cookie": sessionCookie(signIn), "cache-control": "no-store" });
    response.end();
  }

  private async showStudio(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [domainId = "", userProfileName = ""] = (request.url ?? "").split("/").slice(2);
    const known = await Promise.all(this.spaces.values());
    const own = known.filter((one) => one.domainId === domainId && one.userProfileName === userProfileName);
    const listed = own.map(({ space }) => ({
      name: space.name,
      url: space.gateway.url,
      running: space.upstreamPort !== undefined,
    }));
    html(response, 200, studioPage(domainId, userProfileName, listed));
  }
}

function checkName(name: string): void {
  if (!nameShape.test(name)) throw new Refusal(`"${name}" is not a name of SageMaker's.`);
}

/** SageMaker's names collide when they differ in case alone. */
function key(domainId: string, spaceName: string): string {
  return `${domainId}/${spaceName.toLowerCase()}`;
}

async function json(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const piece of request) text += String(piece);
  return JSON.parse(text || "{}");
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function html(response: ServerResponse, status: number, page: string): void {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" });
  response.end(page);
}
