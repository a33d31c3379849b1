import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { BrowserContext } from "playwright-core";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { Container, type LifecycleConfig } from "../../src/local-studio/container.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import type { GatewayFaults } from "../../src/local-studio/gateway-faults.ts";
import { notebook, SliderPage } from "./slider-notebook.ts";

/** A way to install marimo in a space: this project's or the article's. */
export interface Side {
  readonly name: string;
  readonly lifecycleConfig: LifecycleConfig;
  /** Faults of the gateway for its timed pages. */
  readonly faults: GatewayFaults;
  /** marimo's path below JupyterLab's URL. */
  readonly path: string;
}

/** Common settings of all apps in a run. */
export interface Image {
  /** Python of the virtual environment that replaces SageMaker Distribution. */
  readonly python: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Contains the spaces' home folders. */
  readonly folder: string;
  readonly logs: string;
}

export interface OpenOptions {
  /** Index of the notebook. @default 0 */
  readonly index?: number | undefined;
  /** @default `timeoutMilliseconds` */
  readonly timeout?: number | undefined;
}

export interface Process {
  readonly command: string;
  readonly bytes: number;
  readonly seconds: number;
}

export const timeoutMilliseconds = 180_000;
export const notebookName = (index: number) => `slider_${index}.py`;

/** Creates a home folder with the notebooks and the setting that runs cells when a notebook is opened. */
export function makeHome(home: string, notebooks = 1): void {
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  // Only the article's side needs this file. Without it, cells are stale until the user runs them.
  mkdirSync(join(home, ".config/marimo"), { recursive: true });
  writeFileSync(join(home, ".config/marimo/marimo.toml"), "[runtime]\nauto_instantiate = true\n");
  mkdirSync(join(home, "marimo-notebooks"));
  for (let index = 0; index < notebooks; index++)
    writeFileSync(join(home, "marimo-notebooks", notebookName(index)), notebook);
}

export function homeOf(image: Image, side: Side): string {
  return join(image.folder, side.name, "home");
}

/** An app of a space, timed from its start. */
export class App {
  private readonly began = performance.now();
  private readonly side: Side;
  private readonly image: Image;
  private readonly container: Container;
  private gateway: Promise<Gateway> | undefined;

  private constructor(image: Image, side: Side, environment: Readonly<Record<string, string>>) {
    this.side = side;
    this.image = image;
    const log = join(image.logs, `${side.name}.log`);
    // Saved outputs of an earlier session would be shown before the kernel is connected.
    rmSync(join(homeOf(image, side), "marimo-notebooks/__marimo__"), { recursive: true, force: true });
    this.container = new Container({
      python: image.python,
      home: homeOf(image, side),
      prefix: join(image.folder, side.name, "prefix"),
      environment: { ...image.environment, ...environment, SAGEMAKER_APP_LOG: log },
      lifecycleConfigs: [side.lifecycleConfig],
      log,
      lifecycleTimeoutSeconds: 300,
    });
  }

  /** Resolves when JupyterLab responds. The prefix, which replaces /opt/conda, is always new. */
  static async start(
    image: Image,
    side: Side,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<App> {
    const app = new App(image, side, environment);
    try {
      await app.container.ready;
    } catch (error) {
      await app.stop();
      throw error;
    }
    return app;
  }

  get blockingMilliseconds(): number {
    return (this.container.lifecycleSeconds.get(this.side.lifecycleConfig.name) ?? Number.NaN) * 1000;
  }

  get millisecondsSinceStart(): number {
    return performance.now() - this.began;
  }

  /** Opens a notebook through the gateway. Resolves when it is live. */
  async open(context: BrowserContext, options: OpenOptions = {}): Promise<SliderPage> {
    const { index = 0, timeout = timeoutMilliseconds } = options;
    // One origin for all pages, as in Studio, because browsers limit the connections to an origin.
    this.gateway ??= startGateway({ faults: this.side.faults, upstreamPort: () => this.container.port });
    const url = `${(await this.gateway).url}/jupyterlab/default/${this.side.path}/?file=${notebookName(index)}`;
    return SliderPage.open(context, url, timeout);
  }

  async processes(): Promise<readonly Process[]> {
    const script = join(projectFolder, "scripts/bench/processes.py");
    const result = await capture(this.image.python, [script, String(this.container.pid)]);
    if (result?.status !== 0) throw new Error(`processes.py: ${result?.stderr ?? "it did not start"}`);
    return JSON.parse(result.stdout) as Process[];
  }

  async stop(): Promise<void> {
    await (await this.gateway)?.close();
    await this.container.stop();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
