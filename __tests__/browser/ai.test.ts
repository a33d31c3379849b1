import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page, Request } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import {
  type GatewayFaults,
  gatewayProfileNames,
  gatewayProfiles,
} from "../../src/local-studio/gateway-faults.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { resolveEnvironment } from "../../src/settings/environment.ts";
import { lockFileOf } from "../../src/settings/locks.ts";
import { launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { defaultGateway, marimoInstalled, openPanel } from "../support/space-browser.ts";
import { type Container, realPayload, Space } from "../support/space-fixture.ts";

const model = "us.amazon.nova-pro-v1:0";
const ai = {
  ...{ region: "us-east-1", chatModel: model, editModel: model, maxTokens: 4096, models: [model] },
  autocompleteModel: model,
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
  space.write(join(space.home, ".config/marimo/marimo.toml"), '[completion]\ncopilot = "custom"\n');
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

/** Records the body of a request of `path`, and when each part of an answer to a request of `path` reaches the page. */
const recordParts = (path: string) => `
window.__parts = [];
const fetchBefore = window.fetch;
window.fetch = async (...request) => {
  const isAsked = String(request[0]?.url ?? request[0]).includes(${JSON.stringify(path)});
  if (isAsked) window.__body = await (request[0] instanceof Request ? request[0].clone() : new Request(...request)).text();
  const response = await fetchBefore(...request);
  if (!isAsked) return response;
  const reader = response.clone().body.getReader();
  (async () => {
    for (let part; !(part = await reader.read()).done; ) {
      window.__parts.push({ at: performance.now(), text: new TextDecoder().decode(part.value) });
    }
  })();
  return response;
};`;
const parts = (page: Page) => page.evaluate<Part[]>("window.__parts");

async function openNotebook(path: string, { url } = gateway): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  await page.addInitScript(recordParts(path));
  const marimo = new MarimoPage(page);
  await marimo.open(`${url}/jupyterlab/default/marimo/?file=ask.py`, patience);
  await marimo.waitForKernel(patience);
  return page;
}

/** Asks in the chat panel, and returns the page's request. */
async function ask(page: Page, text: string): Promise<Request> {
  await openPanel(page, "AI");
  await page.locator(".cm-editor", { hasText: "Ask anything" }).locator(".cm-content").click();
  await page.keyboard.type(text);
  const [request] = await Promise.all([
    page.waitForRequest(/\/api\/ai\/chat(\?|$)/, { timeout: patience }),
    page.keyboard.press("Enter"),
  ]);
  return request;
}

interface Part {
  readonly at: number;
  readonly text: string;
}
const words = (received: readonly Part[]) => received.filter(({ text }) => text.includes("text-delta"));
const duration = (received: readonly Part[]) => (received.at(-1)?.at ?? 0) - (received[0]?.at ?? 0);
const upstreamPort = () => Number(new URL(container.url).port);

describe("AI by Amazon Bedrock in a space", () => {
  afterEach(() => localAws.setFaults([]));

  it("answers marimo's chat in parts, with the guardrail and no key", async () => {
    const page = await openNotebook("/api/ai/chat");
    await ask(page, "how are you");
    await page.getByText("Hello from the stand-in for Bedrock.").first().waitFor({ timeout: patience });
    await page.getByText("You said:").first().waitFor({ timeout: patience });
    const received = words(await parts(page));
    expect(received.length).toBeGreaterThan(3);
    expect(duration(received)).toBeGreaterThan(500);
    await page.close();
  });

  it("answers in parts behind a gateway that buffers, because the page asks for each", async () => {
    const buffering = await startGateway({ faults: { bufferBytes: 1 << 16 }, upstreamPort });
    const page = await openNotebook("/api/ai/chat", buffering);
    await ask(page, "how are you");
    await page.getByText("You said: how are you").first().waitFor({ timeout: patience });
    const received = words(await parts(page));
    expect(received.length).toBeGreaterThan(3);
    expect(duration(received)).toBeGreaterThan(500);
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

  it("completes a line while it is typed, if the user has turned that on", async () => {
    const page = await openNotebook("/api/ai/inline_completion");
    const cell = page.locator("[data-cell-id] .cm-content").first();
    await cell.click();
    await page.keyboard.press("ControlOrMeta+End");
    await page.keyboard.type("\n# the answer of", { delay: 40 });
    await cell.getByText("answer_of_bedrock = 42").waitFor({ timeout: patience });
    await page.keyboard.press("Tab");
    await expect.poll(() => space.read("home/marimo-notebooks/ask.py")).toContain("answer_of_bedrock = 42");
    await page.close();
  });

  it("lets a program in the terminal work in the open notebook, as the samples' README says", async () => {
    const page = await openNotebook("/api/ai/chat");
    const example = /```bash\n([^`]*marimo pair [^`]*)```/.exec(
      readFileSync("sample-notebooks/README.md", "utf8"),
    );
    const marimo = join(space.state, "payload/current/bin/marimo.sh");
    const script = `marimo() { bash '${marimo}' "$@"; }\n${example?.[1]}`;
    const { stderr, stdout } = await space.run("bash", ["-c", script]);
    expect(JSON.parse(stdout), stdout + stderr).toMatchObject({ success: true });
    await page.locator("[data-cell-id] .output", { hasText: /^42$/ }).waitFor({ timeout: patience });
    await page.close();
  });

  it.each([
    ["access-denied", "You don't have access to the model", `choose one of the environment's models`],
    [
      "not-subscribed",
      "aws-marketplace:Subscribe",
      "an administrator of the AWS account calls the model once",
    ],
    ["no-use-case-form", "the required use-case form", "fills in the form of Anthropic once"],
  ] as const)("shows AWS's words and what to do for a refused model (%s)", async (fault, said, remedy) => {
    const page = await openNotebook("/api/ai/chat");
    await localAws.setFaults([{ operation: "bedrock-runtime:Converse*", fault }]);
    await ask(page, "how are you");
    const answer = page.getByText(said).first();
    await answer.waitFor({ timeout: patience });
    const text = await answer.textContent();
    expect(text).toContain("What to do: ");
    expect(text).toContain(remedy);
    await page.close();
  });
});

// The request of a page that stays open. Behind the gateway `buffering`, the page asks for each part itself, see above.
describe("a reply after 11 s of silence, longer than gateways keep an idle connection", () => {
  let page: Page;
  let request: { readonly headers: Record<string, string>; readonly body: string };
  const streaming = gatewayProfileNames.filter((name) => name !== "buffering");
  beforeAll(async () => {
    page = await openNotebook("/api/ai/chat");
    const asked = await ask(page, "how are you");
    const headers = await asked.allHeaders();
    const kept = Object.entries(headers).filter(([name]) => /^(marimo-|content-type$|accept$)/.test(name));
    await page.getByText("You said: how are you").first().waitFor({ timeout: patience });
    request = { headers: Object.fromEntries(kept), body: await page.evaluate<string>("window.__body") };
    await localAws.setFaults([{ operation: "bedrock-runtime:*", fault: "latency", seconds: 11 }]);
  });
  afterAll(async () => {
    await localAws.setFaults([]);
    await page?.close();
  });

  /** The parts of a reply through a gateway. */
  async function received(faults: GatewayFaults, path: string, headers = {}): Promise<readonly Part[]> {
    const behind = await startGateway({ faults, upstreamPort });
    try {
      const found: Part[] = [];
      const { body, headers: own } = request;
      const init = { method: "POST", body, headers: { ...own, ...headers } };
      const response = await fetch(`${behind.url}/jupyterlab/default/${path}`, init);
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      const decoder = new TextDecoder();
      for await (const part of response.body ?? [])
        found.push({ at: performance.now(), text: decoder.decode(part, { stream: true }) });
      return found;
    } finally {
      await behind.close();
    }
  }

  it.concurrent.for(streaming)(
    "comes in parts, with keep-alives before (%s)",
    async (profile, { expect }) => {
      const found = await received(gatewayProfiles[profile].faults, "marimo/api/ai/chat");
      expect(found.filter(({ text }) => text.includes(": keep-alive")).length).toBeGreaterThan(1);
      expect(words(found).length).toBeGreaterThan(3);
      expect(duration(words(found))).toBeGreaterThan(500);
    },
  );

  describe("through jupyter-server-proxy itself: the control", () => {
    const stock = () => {
      const token = space.read("home/.local/share/sagemaker-marimo/token").trim();
      return { Authorization: `Bearer ${token}` };
    };
    const path = async () => {
      const { stdout } = await space.run("ps", ["-eo", "args", "-ww"]);
      const server = stdout.split("\n").find((line) => line.includes(`edit ${space.home}/marimo-notebooks`));
      const port = /--port (\d+)/.exec(server ?? "")?.[1];
      return `proxy/${port}/jupyterlab/default/marimo/api/ai/chat`;
    };

    it.concurrent("comes at its end", async ({ expect }) => {
      const found = await received({}, await path(), stock());
      expect(found.map(({ text }) => text).join("")).toContain("You");
      expect(found.some(({ text }) => text.includes(": keep-alive"))).toBe(false);
      expect(duration(words(found))).toBeLessThan(100);
    });

    it.concurrent("is cut (idle-cut)", async ({ expect }) => {
      await expect(received(gatewayProfiles["idle-cut"].faults, await path(), stock())).rejects.toThrow();
    });
  });
});
