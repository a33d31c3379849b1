import { join } from "node:path";
import type { BrowserContext } from "playwright-core";
import { runTethered } from "../../src/local-studio/tethered.ts";
import { freePort, type Image, makeHome, notebookName, timeoutMilliseconds } from "./app.ts";
import { SliderPage } from "./slider-notebook.ts";

/** marimo without JupyterLab and gateway, on loopback with its own WebSocket: the reference. */
export class StandaloneMarimo {
  private readonly url: string;
  private readonly ending = new AbortController();
  private readonly ended: Promise<unknown>;

  private constructor(image: Image, environment: string, home: string, port: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.ended = runTethered({
      python: image.python,
      command: [
        ...[join(environment, "bin/marimo"), "edit", join(home, "marimo-notebooks"), "--headless"],
        ...["--no-token", "--skip-update-check", "--host", "127.0.0.1", "--port", String(port)],
      ],
      environment: { PATH: process.env.PATH, HOME: home, LANG: "C.UTF-8" },
      log: join(image.logs, "marimo-standalone.log"),
      signal: this.ending.signal,
    }).catch(() => {}); // it was stopped. If it ended by itself, opening a page fails
  }

  /** `environment` is the virtual environment of marimo in a space, so that both run the same version. */
  static async start(image: Image, environment: string, notebooks: number): Promise<StandaloneMarimo> {
    const home = join(image.folder, "standalone/home");
    makeHome(home, notebooks);
    const standalone = new StandaloneMarimo(image, environment, home, await freePort());
    const end = performance.now() + timeoutMilliseconds;
    while (
      !(await fetch(standalone.url).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      if (performance.now() > end) throw new Error(`standalone marimo does not respond (log: ${image.logs})`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return standalone;
  }

  open(context: BrowserContext, index = 0, timeout = timeoutMilliseconds): Promise<SliderPage> {
    return SliderPage.open(context, `${this.url}/?file=${notebookName(index)}`, timeout);
  }

  async stop(): Promise<void> {
    this.ending.abort();
    await this.ended;
  }
}
