import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Container, type LifecycleConfig } from "./container.ts";
import { type Gateway, type GatewayProps, startGateway } from "./gateway.ts";

/** How the spaces of one run are started. */
export interface SpaceRuntime {
  /** Python of the virtual environment that replaces SageMaker Distribution. */
  readonly python: string;
  readonly containerScript?: string | undefined;
  /** Folder for the logs of the apps. */
  readonly logs: string;
  /** Environment variables that all spaces have. */
  readonly environment: Readonly<Record<string, string>>;
  /** @default 300, AWS's limit */
  readonly lifecycleTimeoutSeconds?: number | undefined;
}

/** The body of POST /apps. */
export interface AppOrder {
  readonly appArn: string;
  readonly domainId: string;
  readonly spaceName: string;
  readonly userProfileName: string;
  readonly appType: string;
  readonly appName: string;
  readonly executionRole: string;
  readonly region: string;
  /** Variables of the session of the execution role, with `--iam`. @default the rehearsal's own */
  readonly credentials?: Readonly<Record<string, string>> | undefined;
  readonly lifecycleConfigs: readonly LifecycleConfig[];
}

/** File name of a space's log. */
export const spaceLog = (spaceName: string) => `space-${spaceName}.log`;

/** One space: a home folder, a gateway, and at most one app at a time. The folder and the gateway outlive the app. */
export class Space {
  readonly name: string;
  readonly gateway: Gateway;
  private readonly folder: string;
  private readonly gatewayToken: string;
  private container: Container | undefined;

  private constructor(name: string, folder: string, gateway: Gateway, gatewayToken: string) {
    this.name = name;
    this.folder = folder;
    this.gateway = gateway;
    this.gatewayToken = gatewayToken;
  }

  static async open(
    name: string,
    folder: string,
    gatewayProps: Omit<GatewayProps, "upstreamPort" | "token">,
  ): Promise<Space> {
    let space: Space | undefined;
    mkdirSync(join(folder, "home"), { recursive: true });
    const token = randomBytes(32).toString("base64url");
    const gateway = await startGateway({ ...gatewayProps, token, upstreamPort: () => space?.upstreamPort });
    space = new Space(name, folder, gateway, token);
    return space;
  }

  /** Port of the running JupyterLab, behind the gateway. */
  get upstreamPort(): number | undefined {
    return this.container?.port;
  }

  async startApp(order: AppOrder, runtime: SpaceRuntime): Promise<void> {
    await this.stopApp();
    // The prefix of the log's name prevents a collision with other logs of the run.
    const log = join(runtime.logs, spaceLog(this.name));
    const metadata = join(this.folder, "resource-metadata.json");
    // The members that AWS writes to /opt/ml/metadata/resource-metadata.json.
    writeFileSync(
      metadata,
      `${JSON.stringify({
        AppType: order.appType,
        DomainId: order.domainId,
        SpaceName: order.spaceName,
        UserProfileName: order.userProfileName,
        ExecutionRoleArn: order.executionRole,
        ResourceArn: order.appArn,
        ResourceName: order.appName,
      })}\n`,
    );
    this.container = new Container({
      python: runtime.python,
      script: runtime.containerScript,
      home: join(this.folder, "home"),
      prefix: join(this.folder, "prefix"),
      environment: {
        ...runtime.environment,
        ...order.credentials,
        AWS_REGION: order.region,
        AWS_DEFAULT_REGION: order.region,
        SAGEMAKER_APP_TYPE: order.appType,
        SAGEMAKER_RESOURCE_METADATA: metadata,
        SAGEMAKER_APP_LOG: log,
      },
      lifecycleConfigs: order.lifecycleConfigs,
      log,
      lifecycleTimeoutSeconds: runtime.lifecycleTimeoutSeconds ?? 300,
      gatewayToken: this.gatewayToken,
    });
    const { container } = this;
    await container.ready.catch(async (reason) => {
      await container.stop();
      throw reason;
    });
  }

  async stopApp(): Promise<void> {
    await this.container?.stop();
    this.container = undefined;
  }

  /** Stops the app and the gateway. */
  async close(): Promise<void> {
    await this.stopApp();
    await this.gateway.close();
  }

  /** Also deletes the home folder, as DeleteSpace does. */
  async delete(): Promise<void> {
    await this.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
