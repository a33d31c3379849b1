import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import type { GatewayFaults } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import type { Transport } from "../../src/settings/marimo.ts";
import { patience } from "./patience.ts";
import { marimoInstalled } from "./space-browser.ts";
import { type Container, lockFile, realPayload, runOnOpen, Space, until } from "./space-fixture.ts";

/** Timeout in milliseconds for events that must not happen. */
export const absenceTimeout = 12_000;
export const networkCut = 5000;
export const slowCells = 10;
/** The first slow cell whose result may be large. */
export const firstPlot = 4;

/**
 * A slider, a cell that shows ten times its value, and a button that runs ten cells, each for some seconds. A `hold`
 * file delays the end of a cell. The cell creates a `done` file when it ends. Each of the last cells also has a plot, which is
 * together with the others as large as `megabytes`.
 */
const notebook = ({ seconds, megabytes = 0 }: SpaceProps) => `import marimo

app = marimo.App()


@app.cell
def _():
    import time
    from pathlib import Path

    import marimo as mo

    def work(cell, seconds):
        time.sleep(seconds)
        while Path(__file__).with_suffix(f".hold-{cell}").exists():
            time.sleep(0.01)
        Path(__file__).with_suffix(f".done-{cell}").touch()
    return mo, work


@app.cell
def _(mo):
    slider = mo.ui.slider(0, 1000)
    slider
    return (slider,)


@app.cell
def _(slider):
    f"ten times the slider: {slider.value * 10}"
    return


@app.cell
def _(mo):
    button = mo.ui.button(value=0, on_click=lambda value: value + 1, label="run the slow cells")
    button
    return (button,)
${Array.from(
  { length: slowCells },
  (_, cell) => `

@app.cell
def _(button, mo, work):
    work(${cell}, ${seconds} if button.value else 0)
    print(f"cell ${cell} printed in run {button.value}")
    _plot = "x" * ${cell < firstPlot ? 0 : Math.round((megabytes * 1e6) / (slowCells - firstPlot))} * bool(button.value)
    mo.Html(f"<p>cell ${cell} shows run {button.value}</p><img src='data:image/png;base64,{_plot}' hidden>")
    return
`,
).join("")}

if __name__ == "__main__":
    app.run()
`;

export interface SpaceProps {
  /** Python of the virtual environment that replaces the image. */
  readonly python: string;
  readonly transport: Transport;
  /** Names of the notebooks `NAME.py`. */
  readonly notebooks: readonly string[];
  /** Duration of each slow cell in seconds. */
  readonly seconds: number;
  /** Size of the results from the cell `firstPlot` on. @default 0 */
  readonly megabytes?: number | undefined;
  /** Whether copies of the notebooks are in a gallery of apps. */
  readonly apps?: boolean | undefined;
}

export interface RunningSpace {
  readonly space: Space;
  readonly container: Container;
}

/** Starts the app of a space with this project. */
export async function startSpace(props: SpaceProps): Promise<RunningSpace> {
  const space = spaceWithNotebooks(props);
  const settings = `${runOnOpen}MARIMO_TRANSPORT=${props.transport}\n${props.apps ? "MARIMO_APPS_FOLDER=apps\n" : ""}`;
  space.upload({ ...realPayload(), "settings.env": settings });
  return await serving(space, space.start(props.python));
}

/**
 * Starts the same app without this project: the same marimo, in the app's own prefix, with a server entry as in the
 * documentation of jupyter-server-proxy ("Starting & Proxying processes"). The user's configuration runs the cells when
 * a notebook is opened, as this project does.
 */
export async function startStock(props: SpaceProps): Promise<RunningSpace> {
  const space = spaceWithNotebooks(props);
  space.write(join(space.home, ".config/marimo/marimo.toml"), "[runtime]\nauto_instantiate = true\n");
  const entry = {
    command: [
      ...["marimo", "edit", join(space.home, "marimo-notebooks"), "--headless", "--no-token", "--no-sandbox"],
      ...["--skip-update-check", "--host", "127.0.0.1", "--port", "{port}", "--base-url", "{base_url}marimo"],
    ],
    environment: { MARIMO_SERVER_TRANSPORT: props.transport },
    absolute_url: true,
    timeout: 60,
  };
  const script = `set -e
uv pip install --python "$CONDA_PREFIX/bin/python" --require-hashes --requirements '${lockFile}'
cat >>"$CONDA_PREFIX/etc/jupyter/jupyter_server_config.py" <<'PYTHON'
import json
c.ServerProxy.servers = {"marimo": json.loads(r'''${JSON.stringify(entry)}''')}
PYTHON
`;
  const lifecycleConfigs = [{ name: "stock", content: Buffer.from(script).toString("base64") }];
  return await serving(space, space.start(props.python, { lifecycleConfigs }));
}

function spaceWithNotebooks(props: SpaceProps): Space {
  const space = new Space();
  for (const folder of props.apps ? ["", "apps/"] : [""])
    for (const name of props.notebooks)
      space.write(join(space.home, `marimo-notebooks/${folder}${name}.py`), notebook(props));
  return space;
}

async function serving(space: Space, starting: Promise<Container>): Promise<RunningSpace> {
  try {
    const container = await starting;
    const last = container.events.at(-1);
    if (last?.event !== "ready") throw new Error(`The space's app did not start: ${JSON.stringify(last)}`);
    await marimoInstalled(container);
    return { space, container };
  } catch (error) {
    await space.dispose();
    throw error;
  }
}

let queue: Promise<unknown> = Promise.resolve();

/** Opens pages one after another, because opening a page uses all CPU cores. */
function inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
  const next = queue.then(work, work);
  queue = next;
  return next;
}

export interface SeatProps extends RunningSpace {
  readonly context: BrowserContext;
  readonly faults: GatewayFaults;
  readonly name: string;
  /** Whether the page is an app: the notebook without its code, and with a session of its own. */
  readonly isApp?: boolean | undefined;
}

/** One user with one notebook, behind a separate gateway that can be disconnected. */
export class Seat {
  private readonly props: SeatProps;
  private gateway: Gateway | undefined;
  private port = 0;
  private tab: Page | undefined;
  private run = 0;

  constructor(props: SeatProps) {
    this.props = props;
  }

  /** Returns the open page, or opens a page. */
  async marimo(kernelTimeout = patience): Promise<MarimoPage> {
    if (this.tab) return new MarimoPage(this.tab);
    return await inTurn(() => this.newTab(kernelTimeout));
  }

  /** Replaces the open page. */
  async newTab(kernelTimeout = patience): Promise<MarimoPage> {
    await this.closeTab();
    if (!this.gateway) await this.connect();
    const tab = await this.props.context.newPage();
    this.tab = tab;
    const marimo = new MarimoPage(tab);
    await marimo.open(
      `${this.gateway?.url}/jupyterlab/default/marimo${this.props.isApp ? "-apps" : ""}/?file=${this.props.name}.py`,
      patience,
    );
    await marimo.waitForKernel(kernelTimeout);
    await marimo.waitForOutputs(patience);
    return marimo;
  }

  /** Starts or replaces the gateway. Its URL does not change. */
  async connect(faults = this.props.faults): Promise<void> {
    await this.disconnect();
    const upstreamPort = () => Number(new URL(this.props.container.url).port);
    this.gateway = await startGateway({ faults, upstreamPort, port: this.port });
    this.port = this.gateway.port;
  }

  /** Closes all connections, and rejects new ones. */
  async disconnect(): Promise<void> {
    await this.gateway?.close();
    this.gateway = undefined;
  }

  /** Whether marimo's page shows that it is connected. */
  async isConnected(): Promise<boolean> {
    return (await this.tab?.locator("#App").getAttribute("data-connection-state")) === "OPEN";
  }

  /** Number of marimo's files that the page requested from the space. A browser records up to 250 requests. */
  async filesAskedFor(): Promise<number> {
    const script = `performance.getEntriesByType("resource")
      .filter(({ name, transferSize }) => name.includes("/marimo/assets/") && transferSize > 0).length`;
    return (await this.tab?.evaluate<number>(script)) ?? 0;
  }

  /** Starts the ten cells. Those from `held` on do not end before `release`. */
  async startSlowCells(held = slowCells): Promise<void> {
    this.run++;
    for (let cell = 0; cell < slowCells; cell++) rmSync(this.file(`done-${cell}`), { force: true });
    for (let cell = held; cell < slowCells; cell++) this.hold(cell);
    await this.tab?.getByRole("button", { name: "run the slow cells" }).click();
  }

  /** How often the page contains the result and the printed text of each slow cell in this run. */
  async shown(): Promise<{ results: number[]; prints: number[] }> {
    const count = (text: string) => this.tab?.getByText(text).count() ?? 0;
    const results: number[] = [];
    const prints: number[] = [];
    for (let cell = 0; cell < slowCells; cell++) {
      results.push(await count(`cell ${cell} shows run ${this.run}`));
      prints.push(await count(`cell ${cell} printed in run ${this.run}`));
    }
    return { results, prints };
  }

  /** Prevents a cell from ending before `release`. */
  hold(cell: number): void {
    rmSync(this.file(`done-${cell}`), { force: true });
    this.props.space.write(this.file(`hold-${cell}`), "");
  }

  /** Lets a cell end, by default all cells. */
  release(cell?: number): void {
    for (let each = 0; each < slowCells; each++)
      if (cell === undefined || cell === each) rmSync(this.file(`hold-${each}`), { force: true });
  }

  isDone(cell: number): boolean {
    return existsSync(this.file(`done-${cell}`));
  }

  done(cell: number): Promise<boolean> {
    return until(`the end of cell ${cell}`, () => this.isDone(cell) || undefined);
  }

  async closeTab(): Promise<void> {
    const { tab } = this;
    this.tab = undefined;
    await tab?.close();
  }

  async leave(): Promise<void> {
    await this.closeTab();
    await this.disconnect();
  }

  private file(suffix: string): string {
    const folder = this.props.isApp ? "marimo-notebooks/apps" : "marimo-notebooks";
    return join(this.props.space.home, folder, `${this.props.name}.${suffix}`);
  }
}

/** The value of `shown` when every result and print appears once, except for the lost cells. */
export function allShown(isLost: (cell: number) => boolean = () => false) {
  const each = Array.from({ length: slowCells }, (_, cell) => (isLost(cell) ? 0 : 1));
  return { results: each, prints: each };
}
