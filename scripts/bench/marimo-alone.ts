import { join } from "node:path";
import type { BrowserContext } from "playwright-core";
import { runTethered } from "../../src/local-studio/tethered.ts";
import { freePort, type Image, makeHome, notebookName, patience } from "./app.ts";
import { SliderPage } from "./slider-notebook.ts";

/** marimo with nothing around it, on loopback, over its own WebSocket: the limit. */
export class MarimoAlone {
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
      log: join(image.logs, "marimo-alone.log"),
      signal: this.ending.signal,
    }).catch(() => {}); // it was ended; when it ended by itself, no page opens
  }

  /** `environment` is the one that marimo was installed into in a space, so that it is the same. */
  static async start(image: Image, environment: string, notebooks: number): Promise<MarimoAlone> {
    const home = join(image.folder, "alone/home");
    makeHome(home, notebooks);
    const alone = new MarimoAlone(image, environment, home, await freePort());
    const end = performance.now() + patience;
    while (
      !(await fetch(alone.url).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      if (performance.now() > end) throw new Error(`marimo alone does not answer (log: ${image.logs})`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return alone;
  }

  open(context: BrowserContext, index = 0, timeout = patience): Promise<SliderPage> {
    return SliderPage.open(context, `${this.url}/?file=${notebookName(index)}`, timeout);
  }

  async stop(): Promise<void> {
    this.ending.abort();
    await this.ended;
  }
}
