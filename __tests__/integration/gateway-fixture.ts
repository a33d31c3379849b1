import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import type { GatewayFaults } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import type { Transport } from "../../src/settings/types.ts";
import { type Container, lockFile, realPayload, Space, until } from "./space-fixture.ts";

/** Milliseconds, for anything that will happen. */
export const patience = 90_000;
/** Milliseconds, for what must not happen. */
export const impatience = 12_000;
export const networkCut = 5000;
export const slowCells = 10;

/**
 * A slider with a cell that shows ten times its value, and a button that runs ten cells, each for some seconds. A file
 * holds up a cell, one that it leaves tells that it has ended.
 */
const notebook = (seconds: number) => `import marimo

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
def _(button, work):
    work(${cell}, ${seconds} if button.value else 0)
    print(f"cell ${cell} printed in run {button.value}")
    f"cell ${cell} shows run {button.value}"
    return
`,
).join("")}

if __name__ == "__main__":
    app.run()
`;

export interface SpaceProps {
  /** Of the image's stand-in. */
  readonly python: string;
  readonly transport: Transport;
  /** One for each name, `NAME.py`. */
  readonly notebooks: readonly string[];
  /** Each of the slow cells takes that long. */
  readonly seconds: number;
}

export interface RunningSpace {
  readonly space: Space;
  readonly container: Container;
}

/** A space's app with this project in it. */
export async function startSpace(props: SpaceProps): Promise<RunningSpace> {
  const space = spaceWithNotebooks(props);
  space.upload({ ...realPayload(), "settings.env": `MARIMO_TRANSPORT=${props.transport}\n` });
  return await serving(space, space.start(props.python));
}

/**
 * The same app with nothing of this project in it: the same marimo, in the app's own prefix, and an entry as
 * jupyter-server-proxy's documentation gives it ("Starting & Proxying processes"). Cells run when a notebook is opened,
 * by the person's own configuration, as ours do.
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

function spaceWithNotebooks({ notebooks, seconds }: SpaceProps): Space {
  const space = new Space();
  for (const name of notebooks)
    space.write(join(space.home, `marimo-notebooks/${name}.py`), notebook(seconds));
  return space;
}

async function serving(space: Space, starting: Promise<Container>): Promise<RunningSpace> {
  try {
    const container = await starting;
    const last = container.events.at(-1);
    if (last?.event !== "ready") throw new Error(`the space's app did not start: ${JSON.stringify(last)}`);
    await until(
      "marimo's page",
      async () => {
        const page = await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } });
        return page.ok && page.headers.get("X-Marimo-Installation") === null ? true : undefined;
      },
      180,
    );
    return { space, container };
  } catch (error) {
    await space.dispose();
    throw error;
  }
}

let turn: Promise<unknown> = Promise.resolve();

/** Opening a page takes all cores: tests that wait side by side open theirs one after another. */
function inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
  const mine = turn.then(work, work);
  turn = mine;
  return mine;
}

export interface SeatProps extends RunningSpace {
  readonly context: BrowserContext;
  readonly faults: GatewayFaults;
  readonly name: string;
}

/** A person at one notebook, behind a gateway of their own whose network can be cut. */
export class Seat {
  private readonly props: SeatProps;
  private gateway: Gateway | undefined;
  private port = 0;
  private tab: Page | undefined;
  private run = 0;

  constructor(props: SeatProps) {
    this.props = props;
  }

  /** The page that is open, or one that this opens. */
  async marimo(kernelTimeout = patience): Promise<MarimoPage> {
    if (this.tab) return new MarimoPage(this.tab);
    return await inTurn(() => this.newTab(kernelTimeout));
  }

  /** In place of the page that is open. */
  async newTab(kernelTimeout = patience): Promise<MarimoPage> {
    await this.closeTab();
    if (!this.gateway) await this.connect();
    const tab = await this.props.context.newPage();
    this.tab = tab;
    const marimo = new MarimoPage(tab);
    await marimo.open(`${this.gateway?.url}/jupyterlab/default/marimo/?file=${this.props.name}.py`, patience);
    await marimo.waitForKernel(kernelTimeout);
    await marimo.waitForOutputs(patience);
    return marimo;
  }

  /** Puts a gateway there, also in place of another: pages find it at the same address. */
  async connect(faults = this.props.faults): Promise<void> {
    await this.disconnect();
    const upstreamPort = () => Number(new URL(this.props.container.url).port);
    this.gateway = await startGateway({ faults, upstreamPort, port: this.port });
    this.port = this.gateway.port;
  }

  /** Cuts the network: connections end, new ones are refused. */
  async disconnect(): Promise<void> {
    await this.gateway?.close();
    this.gateway = undefined;
  }

  /** What marimo's page itself says of its connection. */
  async isConnected(): Promise<boolean> {
    return (await this.tab?.locator("#App").getAttribute("data-connection-state")) === "OPEN";
  }

  async startSlowCells(): Promise<void> {
    this.run++;
    for (let cell = 0; cell < slowCells; cell++) rmSync(this.file(`done-${cell}`), { force: true });
    await this.tab?.getByRole("button", { name: "run the slow cells" }).click();
  }

  /** How often the page has what each slow cell shows and, apart from that, prints in this run. */
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

  /** Lets a cell not end before `release`. */
  hold(cell: number): void {
    rmSync(this.file(`done-${cell}`), { force: true });
    this.props.space.write(this.file(`hold-${cell}`), "");
  }

  release(cell: number): void {
    rmSync(this.file(`hold-${cell}`));
  }

  isDone(cell: number): boolean {
    return existsSync(this.file(`done-${cell}`));
  }

  done(cell: number): Promise<boolean> {
    return until(`the end of cell ${cell}`, () => this.isDone(cell) || undefined, patience / 1000);
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
    return join(this.props.space.home, `marimo-notebooks/${this.props.name}.${suffix}`);
  }
}

/** What `shown` tells when nothing came twice, and nothing is missing but what some cells show. */
export function allShown(isLost: (cell: number) => boolean = () => false) {
  const each = Array.from({ length: slowCells }, (_, cell) => (isLost(cell) ? 0 : 1));
  return { results: each, prints: each };
}
