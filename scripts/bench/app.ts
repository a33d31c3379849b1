import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { BrowserContext } from "playwright-core";
import { Container, type LifecycleConfig } from "../../src/local-studio/container.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import type { GatewayFaults } from "../../src/local-studio/gateway-faults.ts";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { notebook, SliderPage } from "./slider-notebook.ts";

/** What brings marimo into a space: ours, or the article's way. */
export interface Side {
  readonly name: string;
  readonly lifecycleConfig: LifecycleConfig;
  /** The gateway in front of it when its page is timed. */
  readonly faults: GatewayFaults;
  /** Where marimo is below JupyterLab's address. */
  readonly path: string;
}

/** What all apps of a run have in common. */
export interface Image {
  /** Python of the environment that stands in for SageMaker Distribution. */
  readonly python: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Holds the spaces' homes. */
  readonly folder: string;
  readonly logs: string;
}

export interface OpenOptions {
  /** Which of the notebooks. @default 0 */
  readonly index?: number;
  /** What the gateway does. @default the side's */
  readonly faults?: GatewayFaults;
  /** @default `patience` */
  readonly timeout?: number | undefined;
}

export interface Process {
  readonly pid: number;
  readonly command: string;
  readonly bytes: number;
  readonly seconds: number;
}

export const patience = 180_000;
export const notebookName = (index: number) => `slider_${index}.py`;

/** An empty home folder with the notebooks, and the setting that runs a notebook's cells when it is opened. */
export function makeHome(home: string, notebooks = 1): void {
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  // Ours needs no such file; the article leaves a notebook's cells stale until a person runs them.
  mkdirSync(join(home, ".config/marimo"), { recursive: true });
  writeFileSync(join(home, ".config/marimo/marimo.toml"), "[runtime]\nauto_instantiate = true\n");
  mkdirSync(join(home, "marimo-notebooks"));
  for (let index = 0; index < notebooks; index++)
    writeFileSync(join(home, "marimo-notebooks", notebookName(index)), notebook);
}

export function homeOf(image: Image, side: Side): string {
  return join(image.folder, side.name, "home");
}

/** One app of a space, from the moment of its start. */
export class App {
  private readonly began = performance.now();
  private readonly side: Side;
  private readonly image: Image;
  private readonly container: Container;
  private readonly gateways = new Map<GatewayFaults, Promise<Gateway>>();

  private constructor(image: Image, side: Side, environment: Readonly<Record<string, string>>) {
    this.side = side;
    this.image = image;
    const log = join(image.logs, `${side.name}.log`);
    // Outputs that marimo kept of an earlier session would look alive before the kernel is.
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

  /** Resolves once JupyterLab answers. The prefix, the counterpart of /opt/conda, is always new. */
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

  /** Opens a notebook through a gateway of that kind; resolves once it is live. */
  async open(context: BrowserContext, options: OpenOptions = {}): Promise<SliderPage> {
    const { index = 0, faults = this.side.faults, timeout = patience } = options;
    // One address for all pages, as in Studio: browsers limit the connections to one.
    const gateway =
      this.gateways.get(faults) ?? startGateway({ faults, upstreamPort: () => this.container.port });
    this.gateways.set(faults, gateway);
    const url = `${(await gateway).url}/jupyterlab/default/${this.side.path}/?file=${notebookName(index)}`;
    return SliderPage.open(context, url, timeout);
  }

  processes(): Promise<readonly Process[]> {
    return processesBelow(this.image.python, this.container.pid);
  }

  async stop(): Promise<void> {
    for (const gateway of this.gateways.values()) await (await gateway).close();
    await this.container.stop();
  }
}

export async function processesBelow(python: string, pid: number | undefined): Promise<readonly Process[]> {
  const script = join(projectFolder, "scripts/bench/processes.py");
  const result = await capture(python, [script, String(pid)]);
  if (result?.status !== 0) throw new Error(`processes.py: ${result?.stderr ?? "it did not start"}`);
  return JSON.parse(result.stdout) as Process[];
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port is free");
  return address.port;
}
