import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { launchBrowser } from "../support/browser.ts";
import { marimoInstalled, useSample } from "../support/space-browser.ts";
import { realPayload, Space } from "../support/space-fixture.ts";

// Fails when a new release of marimo breaks what the space relies on, before a team sets that release.
describe("the newest marimo in the package index", () => {
  let space: Space;
  let browser: Browser;
  let python: string;
  let requirements: string;
  beforeAll(async () => {
    const { prefix, ...image } = await pythonEnvironment("image");
    python = image.python;
    space = new Space();
    space.write(join(space.folder, "newest.in"), "marimo\n");
    const args = ["--universal", "--python-version", "3.12", "--generate-hashes", "--no-header", "--quiet"];
    const compile = await space.run(
      join(prefix, "bin/uv"),
      ["pip", "compile", join(space.folder, "newest.in"), ...args],
      { ...space.environment, PATH: process.env.PATH ?? "" },
    );
    expect(compile.status, compile.stderr).toBe(0);
    requirements = compile.stdout;
    console.log(/^marimo==\S+/m.exec(requirements)?.[0]);
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await space?.dispose();
  });

  it("connects through the gateway, follows the slider, and stays editable after a reload", async () => {
    space.upload(realPayload(requirements));
    const container = await space.start(python);
    await marimoInstalled(container);
    await useSample(browser, container);
  });
});
