import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { notebook } from "../../scripts/bench/slider-notebook.ts";
import { linesOf } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { type CodeEditorProxy, startCodeEditorProxy } from "../support/code-editor-proxy.ts";
import { patience } from "../support/patience.ts";
import { realPayload, Space, until } from "../support/space-fixture.ts";

let space: Space;
let proxy: CodeEditorProxy;
let browser: Browser;
let server: ChildProcess;
/** What `marimo edit` printed. */
const printed: string[] = [];
beforeAll(async () => {
  const { python } = await pythonEnvironment("image");
  space = new Space();
  space.upload(realPayload());
  space.write(join(space.home, "project/slider.py"), notebook);
  // The stand-in for the image starts JupyterLab after the script. Code Editor's does not; nothing here uses it.
  const script = `export PATH="${space.bin}:$PATH"\n${space.lifecycleScript("CodeEditor")}`;
  await space.start(python, {
    lifecycleConfigs: [{ name: "code-editor", content: Buffer.from(script).toString("base64") }],
  });
  proxy = await startCodeEditorProxy();
  space.write(join(space.aws, "space-url"), `${proxy.url}\n`);
  space.write(
    join(space.folder, "resource-metadata.json"),
    JSON.stringify({ AppType: "CodeEditor", DomainId: "d-abc", SpaceName: "mine" }),
  );
  await until("the commands", () => existsSync(join(space.prefix, "bin/marimo")) || undefined);
  server = spawn(join(space.prefix, "bin/marimo"), ["edit", "project/slider.py"], {
    env: {
      ...space.environment,
      PATH: `${space.bin}:${space.prefix}/bin:/usr/bin:/bin`,
      SAGEMAKER_LAST_ACTIVE_TIMESTAMP: join(space.folder, "last-active"),
    },
    cwd: space.home,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (server.stdout) void linesOf(server.stdout, (line) => printed.push(line));
  browser = await launchBrowser();
  await until("the address", () => printed.some((line) => line.includes("Ports tab")) || undefined);
});
afterAll(async () => {
  await browser?.close();
  proxy?.close();
  await space?.dispose();
});

const address = () => printed.find((line) => line.startsWith("marimo: "))?.slice("marimo: ".length) ?? "";
const port = () => Number(/absports\/(\d+)\//.exec(address())?.[1]);

it("adds no tile to JupyterLab, and waits for the installation", () => {
  expect(space.read("prefix/etc/jupyter/jupyter_server_config.py")).not.toContain("sagemaker-marimo");
  expect(address()).toMatch(
    new RegExp(`^${proxy.url}/absports/\\d+/\\?access_token=[\\w-]+&file=.*slider\\.py$`),
  );
});

it("answers at the printed address once Code Editor has forwarded the port, and only with the token", async () => {
  expect((await fetch(address())).status).toBe(400);
  proxy.forward(port());
  const answer = await fetch(address(), { redirect: "manual" });
  expect(answer.status).toBe(303);
  expect(answer.headers.get("location")).toMatch(/^\/codeeditor\/default\/absports\/\d+\/\?file=/);
  expect((await fetch(`${proxy.url}/absports/${port()}/api/status`)).status).toBe(401);
  // Why the address is not the one that Code Editor itself opens: this leads out of Code Editor.
  const other = await fetch(address().replace("/absports/", "/ports/"), { redirect: "manual" });
  expect(other.headers.get("location") ?? "").not.toMatch(/^\/codeeditor\/default\/ports\//);
});

it("runs a notebook there: its slider moves another cell, after a reload too, and keeps the space", async () => {
  expect(existsSync(join(space.folder, "last-active"))).toBe(false);
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const marimo = new MarimoPage(page);
  await marimo.open(address(), patience);
  expect(page.url()).not.toContain("access_token");
  for (let times = 0; times < 2; times++) {
    await marimo.waitForKernel(patience);
    await marimo.runCells(patience);
    await marimo.moveSliderBack(await marimo.moveSlider(patience), patience);
    await marimo.reload(patience);
  }
  expect(space.read("last-active")).toMatch(/^\d{4}-\d\d-\d\dT/);
  await page.close();
});

it("ends with Ctrl+C, and leaves no server", async () => {
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGINT");
  expect(await ended).toBe(0);
  await expect(fetch(`http://127.0.0.1:${port()}/`)).rejects.toThrow();
});
