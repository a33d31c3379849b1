import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { copyProject } from "../../scripts/bench/project-copy.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { AppHost } from "../../src/local-studio/app-host.ts";
import type { GatewayFaults } from "../../src/local-studio/gateway-faults.ts";
import { networkSettings } from "../../src/local-studio/rehearsal.ts";
import { StackFixture } from "./stack-fixture.ts";

export interface StackWithAppsProps {
  /** One of its environments is `dev`. It is removed at the end. */
  readonly project: ReturnType<typeof copyProject>;
  /** Holds spaces and jobs to the deployed policies. @default false */
  readonly iam?: boolean;
  /** @default "image" */
  readonly image?: "image" | "image-full";
  /** Of the gateways of spaces. @default none */
  readonly faults?: GatewayFaults;
}

/** The stack `dev`, not yet applied, and the spaces and jobs that AWS would run for it. */
export class StackWithApps {
  readonly fixture: StackFixture;
  /** Removed at the end. */
  readonly folder: string;
  private readonly appHost: AppHost;

  private constructor(fixture: StackFixture, folder: string, appHost: AppHost) {
    this.fixture = fixture;
    this.folder = folder;
    this.appHost = appHost;
  }

  static async start(props: StackWithAppsProps): Promise<StackWithApps> {
    const { project, iam = false, image = "image", faults = {} } = props;
    const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-stack-with-apps-"));
    const { python } = await pythonEnvironment(image);
    let fixture: StackFixture | undefined;
    const appHost = new AppHost({
      ...{ folder: join(folder, "host"), logs: folder, faults },
      runtime: () => ({
        python,
        environment: { ...networkSettings(process.env), ...fixture?.localAws.environment },
      }),
    });
    fixture = await StackFixture.startIn(project, "dev", await appHost.start(), { iam });
    return new StackWithApps(fixture, folder, appHost);
  }

  async stop(): Promise<void> {
    await this.appHost.close();
    await this.fixture.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
