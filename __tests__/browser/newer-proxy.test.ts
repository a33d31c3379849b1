import { cpSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { marimoInstalled, startSpaceWith } from "../support/space-browser.ts";
import { type Container, realPayload, Space, until } from "../support/space-fixture.ts";

const notice = "marimo runs with its own connection here";

let space: Space;
let container: Container;
let browser: Browser;
let python: string;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

/** A jupyter-server-proxy that works like the image's, but in which a method of its handler has another name. */
async function newerProxy(folder: string, method: string): Promise<void> {
  const program = "import jupyter_server_proxy as p; print(p.__file__)";
  const installed = dirname((await space.run(python, ["-c", program])).stdout.trim());
  cpSync(installed, join(folder, "jupyter_server_proxy"), { recursive: true });
  const handlers = join(folder, "jupyter_server_proxy/handlers.py");
  const text = readFileSync(handlers, "utf8");
  expect(text).toContain(`async def ${method}(`);
  space.write(handlers, text.replaceAll(`${method}(`, `renamed_${method}(`));
  const metadata = readdirSync(dirname(installed)).find((name) => /^jupyter_server_proxy-.*info$/.test(name));
  cpSync(join(dirname(installed), metadata ?? ""), join(folder, metadata ?? ""), { recursive: true });
  const file = join(folder, metadata ?? "", "METADATA");
  space.write(file, readFileSync(file, "utf8").replace(/^Version: .*$/m, "Version: 5.0.0"));
  renameSync(join(folder, metadata ?? ""), join(folder, "jupyter_server_proxy-5.0.0.dist-info"));
}

const request = (path: string, init: RequestInit = {}) => fetch(`${container.url}/marimo/${path}`, init);

/** Opens the first sample, moves its slider, and resolves to whether the page has the notice. */
async function useFirstSample(): Promise<boolean> {
  const page = await browser.newPage();
  try {
    const marimo = new MarimoPage(page);
    await marimo.open(`${container.url}/marimo/?file=01_explore_data.py`, patience);
    await marimo.waitForKernel(patience);
    await marimo.waitForOutputs(patience);
    await marimo.moveSlider(patience);
    return await page.getByText(notice).isVisible();
  } finally {
    await page.close();
  }
}

describe.each([
  { method: "ensure_process", version: "5.0.0" },
  { method: undefined, version: "the image's (control)" },
])("a space with jupyter-server-proxy $version", ({ method }) => {
  let environment: Record<string, string>;
  beforeAll(async () => {
    space = new Space();
    space.upload(realPayload());
    environment = space.environment;
    if (method) {
      const folder = join(space.folder, "newer");
      await newerProxy(folder, method);
      environment = { ...environment, PYTHONPATH: folder };
    }
    container = await space.start(python, { environment });
    expect(container.events.at(-1)?.event).toBe("ready");
  });
  afterAll(() => space?.dispose());

  it("shows that marimo is not installed yet, and then marimo", async () => {
    const status = () =>
      space.read("home/.local/share/sagemaker-marimo/status") === "installed\n" || undefined;
    await until("the installation", status);
    const current = join(space.state, "environments/current");
    renameSync(current, `${current}.away`);
    const page = await request("", { headers: { Accept: "text/html" } });
    renameSync(`${current}.away`, current);
    expect(page.headers.get("X-Marimo-Waiting")).toBe("installing");
    expect(await page.text()).toContain("marimo is being installed");
    await marimoInstalled(container);
  });

  it("runs a notebook, whose page says if its connection is marimo's own", async () => {
    expect(await useFirstSample()).toBe(method !== undefined);
  });

  it("rejects requests from other origins", async () => {
    const headers = { "Sec-Fetch-Site": "cross-site" };
    expect((await request("api/kernel/run", { method: "POST", headers })).status).toBe(403);
    expect((await request("sse?session_id=s_test01&file=01_explore_data.py", { headers })).status).toBe(403);
    expect((await request("", { headers })).status).toBe(200);
  });

  it("says in JupyterLab's log and in marimo-doctor what is missing", async () => {
    const missing = `jupyter-server-proxy 5.0.0 does not have SuperviseAndProxyHandler.${method}`;
    const { stdout } = await space.run(join(space.prefix, "bin/marimo-doctor"), [], environment);
    const log = readFileSync(space.log, "utf8");
    if (method) {
      expect(log).toContain(`sagemaker-marimo: marimo runs with its own connection: ${missing}`);
      expect(stdout).toContain(`FAILED private interfaces: ${missing}: marimo runs with its own connection`);
      expect(stdout).toMatch(/ ok {3}tested versions: newer than tested: jupyter-server-proxy 5\.0\.0 /);
      expect(stdout).toContain("ok   marimo's server: answers on port");
      expect(stdout).toContain("ok   event stream: the first event arrived");
    } else {
      expect(log).not.toContain("does not have");
      expect(stdout).toContain("All checks passed.");
    }
  });
});

describe("a page of a newer marimo, which does not use window.fetch for its events", () => {
  beforeAll(async () => {
    ({ space, container } = await startSpaceWith({}));
  });
  afterAll(() => space?.dispose());

  it("works with its own connection, and the page, the log and marimo-doctor say so", async () => {
    const page = await browser.newPage();
    // A script cannot replace this `fetch`, as it could not replace one that marimo had kept.
    await page.addInitScript(
      "Object.defineProperty(window, 'fetch', { value: window.fetch, writable: false })",
    );
    const marimo = new MarimoPage(page);
    await marimo.open(`${container.url}/marimo/?file=01_explore_data.py`, patience);
    await marimo.waitForKernel(patience);
    await page.getByText(notice).waitFor({ timeout: patience });
    await page.close();
    const missing = "marimo's page does not open its event stream by window.fetch";
    expect(readFileSync(space.log, "utf8")).toContain(`sagemaker-marimo: ${missing}`);
    const doctor = () => space.run(join(space.prefix, "bin/marimo-doctor"), [], space.environment);
    expect((await doctor()).stdout).toContain(
      `FAILED private interfaces: ${missing}: it has its own connection`,
    );
    expect(await useFirstSample()).toBe(false);
    expect((await doctor()).stdout).toContain("All checks passed.");
  });
});
