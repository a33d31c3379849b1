import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Container, type LifecycleConfig } from "./container.ts";
import { type Gateway, type GatewayProps, startGateway } from "./gateway.ts";
import type { GatewayFaults } from "./gateway-faults.ts";

/** How every space of one run is started. */
export interface SpaceRuntime {
  /** Python of the environment that stands in for SageMaker Distribution. */
  readonly python: string;
  readonly containerScript?: string;
  /** Folder of the apps' logs. */
  readonly logs: string;
  /** Environment variables of every space, beside those that name the space itself. */
  readonly environment: Readonly<Record<string, string>>;
  /** @default 300, AWS's limit */
  readonly lifecycleTimeoutSeconds?: number;
}

/** What POST /apps says of the app to start. */
export interface AppOrder {
  readonly appArn: string;
  readonly domainId: string;
  readonly spaceName: string;
  readonly userProfileName: string;
  readonly appType: string;
  readonly appName: string;
  readonly region: string;
  readonly lifecycleConfigs: readonly LifecycleConfig[];
}

/** One space: a home folder and a gateway that outlive its apps, and at most one app at a time. */
export class Space {
  readonly name: string;
  readonly gateway: Gateway;
  private readonly folder: string;
  private container: Container | undefined;

  private constructor(name: string, folder: string, gateway: Gateway) {
    this.name = name;
    this.folder = folder;
    this.gateway = gateway;
  }

  static async open(
    name: string,
    folder: string,
    faults: GatewayFaults,
    intercept: NonNullable<GatewayProps["intercept"]>,
  ): Promise<Space> {
    let space: Space | undefined;
    mkdirSync(join(folder, "home"), { recursive: true });
    const gateway = await startGateway({ faults, intercept, upstreamPort: () => space?.upstreamPort });
    space = new Space(name, folder, gateway);
    return space;
  }

  /** Port of the running JupyterLab itself, without the gateway. */
  get upstreamPort(): number | undefined {
    return this.container?.port;
  }

  async startApp(order: AppOrder, runtime: SpaceRuntime): Promise<void> {
    await this.stopApp();
    const log = join(runtime.logs, `${this.name}.log`);
    const metadata = join(this.folder, "resource-metadata.json");
    // The members that AWS puts into /opt/ml/metadata/resource-metadata.json.
    writeFileSync(
      metadata,
      `${JSON.stringify({
        AppType: order.appType,
        DomainId: order.domainId,
        SpaceName: order.spaceName,
        UserProfileName: order.userProfileName,
        ResourceArn: order.appArn,
        ResourceName: order.appName,
      })}\n`,
    );
    this.container = new Container({
      python: runtime.python,
      ...(runtime.containerScript ? { script: runtime.containerScript } : {}),
      home: join(this.folder, "home"),
      prefix: join(this.folder, "prefix"),
      environment: {
        ...runtime.environment,
        AWS_REGION: order.region,
        AWS_DEFAULT_REGION: order.region,
        SAGEMAKER_APP_TYPE: order.appType,
        SAGEMAKER_RESOURCE_METADATA: metadata,
        SAGEMAKER_APP_LOG: log,
      },
      lifecycleConfigs: order.lifecycleConfigs,
      log,
      lifecycleTimeoutSeconds: runtime.lifecycleTimeoutSeconds ?? 300,
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

  /** Ends the app and the gateway; the home goes too, as with DeleteSpace. */
  async delete(): Promise<void> {
    await this.stopApp();
    await this.gateway.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
