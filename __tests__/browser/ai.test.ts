import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { resolveEnvironment } from "../../src/settings/environment.ts";
import { lockFileOf } from "../../src/settings/locks.ts";
import { launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { defaultGateway, marimoInstalled } from "../support/space-browser.ts";
import { type Container, realPayload, Space } from "../support/space-fixture.ts";

const model = "us.amazon.nova-pro-v1:0";
const ai = {
  ...{ region: "us-east-1", chatModel: model, editModel: model, maxTokens: 4096, models: [model] },
  guardrail: { id: "abcd1234efgh", version: "1" },
};
const notebook = "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    1 + 1\n    return\n";

let folder: string;
let localAws: LocalAws;
let space: Space;
let container: Container;
let gateway: Gateway;
let browser: Browser;

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-ai-"));
  localAws = await startLocalAws({
    python: (await pythonEnvironment("aws")).python,
    log: join(folder, "local-aws.log"),
  });
  space = new Space();
  space.write(join(space.home, "marimo-notebooks/ask.py"), notebook);
  const lock = lockFileOf(resolveEnvironment({ name: "dev", ai: { chatModel: model } }));
  space.upload({ ...realPayload(readFileSync(lock)), "settings.env": `MARIMO_AI=${JSON.stringify(ai)}\n` });
  const { PATH: _path, HOME: _home, CONDA_PREFIX: _prefix, ...own } = space.environment;
  const environment = { ...own, ...localAws.environment, AWS_DEFAULT_REGION: "us-east-1" };
  container = await space.start((await pythonEnvironment("image")).python, { environment });
  expect(container.events.at(-1)?.event).toBe("ready");
  await marimoInstalled(container);
  gateway = await defaultGateway(container);
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await gateway?.close();
  await space?.dispose();
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Records when each part of an answer to a request of `path` reaches the page. */
const recordParts = (path: string) => `
window.__parts = [];
const fetchBefore = window.fetch;
window.fetch = async (...request) => {
  const response = await fetchBefore(...request);
  if (!String(request[0]?.url ?? request[0]).includes(${JSON.stringify(path)})) return response;
  const reader = response.clone().body.getReader();
  (async () => {
    for (let part; !(part = await reader.read()).done; ) {
      window.__parts.push({ at: performance.now(), text: new TextDecoder().decode(part.value) });
    }
  })();
  return response;
};`;
const parts = (page: Page) => page.evaluate<{ at: number; text: string }[]>("window.__parts");

async function openNotebook(path: string, { url } = gateway): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  await page.addInitScript(recordParts(path));
  const marimo = new MarimoPage(page);
  await marimo.open(`${url}/jupyterlab/default/marimo/?file=ask.py`, patience);
  await marimo.waitForKernel(patience);
  return page;
}

async function ask(page: Page, text: string): Promise<void> {
  await page.mouse.click(21, 128); // the panel's button in the sidebar
  await page.waitForTimeout(1000);
  await page.keyboard.press("Escape");
  await page.mouse.click(230, 120);
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

describe("AI by Amazon Bedrock in a space", () => {
  it("answers marimo's chat in parts, with the guardrail and no key", async () => {
    const page = await openNotebook("/api/ai/chat");
    await ask(page, "how are you");
    await page.getByText("Hello from the stand-in for Bedrock.").first().waitFor({ timeout: patience });
    await page.getByText("You said:").first().waitFor({ timeout: patience });
    const received = (await parts(page)).filter(({ text }) => text.includes("text-delta"));
    expect(received.length).toBeGreaterThan(3);
    expect((received.at(-1)?.at ?? 0) - (received[0]?.at ?? 0)).toBeGreaterThan(500);
    await page.close();
  });

  it("shows the whole reply at its end behind a gateway that buffers: the control of the parts", async () => {
    const upstreamPort = () => Number(new URL(container.url).port);
    const buffering = await startGateway({ faults: { bufferBytes: 1 << 16 }, upstreamPort });
    const page = await openNotebook("/api/ai/chat", buffering);
    await ask(page, "how are you");
    await page.getByText("You said:").first().waitFor({ timeout: patience });
    const received = (await parts(page)).filter(({ text }) => text.includes("text-delta"));
    expect((received.at(-1)?.at ?? 0) - (received[0]?.at ?? 0)).toBeLessThan(500);
    await page.close();
    await buffering.close();
  });

  it("generates a cell", async () => {
    const page = await openNotebook("/api/ai/completion");
    await page.getByText("Generate with AI").click();
    await page.waitForTimeout(800);
    await page.locator(".cm-content:visible").last().click();
    await page.keyboard.type("make the answer");
    await page.keyboard.press("Enter");
    await page.getByText("answer_of_bedrock").first().waitFor({ timeout: patience });
    await page.close();
  });
});
