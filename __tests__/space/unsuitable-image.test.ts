import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { launchBrowser, newContext } from "../support/browser.ts";
import { realPayload, Space } from "../support/space-fixture.ts";

let python: string;
let browser: Browser;
let space: Space;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  browser = await launchBrowser();
});
afterAll(() => browser.close());
beforeEach(() => {
  space = new Space();
  space.upload({ ...realPayload(), "install.sh": "" });
});
afterEach(() => space.dispose());

/** Starts the app, and opens JupyterLab's launcher. `change` runs before the lifecycle configuration. */
async function launcher(change: string) {
  const scripts = [change, `export PATH="${space.bin}:$PATH"\n${space.lifecycleScript()}`];
  const container = await space.start(python, {
    lifecycleConfigs: scripts.map((script, i) => ({
      name: `script-${i}`,
      content: Buffer.from(`${script}\n`).toString("base64"),
    })),
  });
  expect(container.events.at(-1)?.event, JSON.stringify(container.events)).toBe("ready");
  const page = await (await newContext(browser)).newPage();
  await page.goto(`${container.url}/lab?reset`, { timeout: patience, waitUntil: "commit" });
  const tiles = page.locator(".jp-LauncherCard-label", { hasText: /^marimo/ });
  await tiles.first().waitFor({ timeout: patience });
  return { page, tiles };
}

const withoutProxy = `cat >"$(echo "$CONDA_PREFIX"/lib/python*/site-packages)/without_proxy.pth" <<'PYTHON'
import sys; sys.modules["jupyter_server_proxy"] = None
PYTHON`;

import { patience } from "../support/patience.ts";

it("has a tile that says what the image lacks, and JupyterLab starts", async () => {
  const { page, tiles } = await launcher(withoutProxy);
  expect(await tiles.count()).toBe(1);
  await tiles.click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("marimo is not available").waitFor({ timeout: patience });
  expect(await dialog.innerText()).toContain("This image lacks jupyter-server-proxy in JupyterLab's Python");
  expect(space.read("app_container.log")).toContain(
    "sagemaker-marimo: skipped: This image lacks jupyter-server-proxy",
  );
});

it("has marimo's own tiles only, if the image lacks nothing", async () => {
  const { page, tiles } = await launcher("true");
  expect(await tiles.allInnerTexts()).toEqual(["marimo", "marimo jobs"]);
  const tab = page.context().waitForEvent("page");
  await tiles.first().click();
  expect((await tab).url()).toMatch(/\/marimo\/$|about:blank/);
  expect(await page.getByRole("dialog").count()).toBe(0);
});
