import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { expect } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import { defaultGatewayProfile, gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { patience } from "./patience.ts";
import { type Container, realPayload, Space, until } from "./space-fixture.ts";

/** Waits until marimo in a space responds instead of the waiting page for its installation. */
export async function marimoInstalled(container: Container): Promise<void> {
  await until("marimo's page", async () => {
    const page = await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } });
    return page.ok && page.headers.get("X-Marimo-Waiting") === null ? true : undefined;
  });
}

/** Starts the app of a space with these notebooks, `NAME.py` by name, and waits until marimo responds. */
export async function startSpaceWith(
  notebooks: Readonly<Record<string, string>>,
  image: "image" | "image-full" = "image",
): Promise<{ readonly space: Space; readonly container: Container }> {
  const { python } = await pythonEnvironment(image);
  const space = new Space();
  try {
    for (const [name, text] of Object.entries(notebooks))
      space.write(join(space.home, `marimo-notebooks/${name}.py`), text);
    space.upload(realPayload());
    const container = await space.start(python);
    await marimoInstalled(container);
    return { space, container };
  } catch (error) {
    await space.dispose();
    throw error;
  }
}

/** A gateway of the default profile in front of a space. With a port, it replaces a closed one. */
export function defaultGateway(container: Container, port = 0): Promise<Gateway> {
  const { faults } = gatewayProfiles[defaultGatewayProfile];
  return startGateway({ faults, port, upstreamPort: () => Number(new URL(container.url).port) });
}

/** The process id of marimo's editor in a space, or undefined if it does not run. */
export async function marimoServer(space: Space): Promise<number | undefined> {
  const { stdout } = await space.run("ps", ["-eo", "pid,args", "-ww"]);
  const line = stdout.split("\n").find((one) => one.includes(`edit ${space.home}/marimo-notebooks`));
  return line === undefined ? undefined : Number.parseInt(line, 10);
}

/** Sends a signal to marimo's editor in a space, and returns its process id. */
export async function signalMarimo(space: Space, signal: NodeJS.Signals): Promise<number> {
  const server = await marimoServer(space);
  if (server === undefined) throw new Error("marimo's editor does not run");
  process.kill(server, signal);
  return server;
}

/**
 * Opens the first sample notebook through the default gateway, moves its slider and reloads. The page must stay
 * editable. `then` continues with this page.
 */
export async function useSample(
  browser: Browser,
  container: Container,
  then: (marimo: MarimoPage) => Promise<void> = async () => {},
): Promise<void> {
  const gateway = await defaultGateway(container);
  const page = await browser.newPage();
  try {
    const marimo = new MarimoPage(page);
    await marimo.open(`${gateway.url}/jupyterlab/default/marimo/?file=01_explore_data.py`, patience);
    await marimo.waitForKernel(patience);
    await marimo.waitForOutputs(patience);
    const before = await marimo.moveSlider(patience);
    await marimo.moveSliderBack(before, patience);
    await marimo.reload(patience);
    await marimo.waitForKernel(patience);
    await marimo.waitForOutputs(patience);
    expect(await marimo.isReader()).toBe(false);
    await then(marimo);
  } finally {
    await page.close();
    await gateway.close();
  }
}

/** Opens one of marimo's panels with the command palette. */
export async function openPanel(page: Page, name: string): Promise<void> {
  await page.keyboard.press("Control+K");
  await page.getByPlaceholder("Type to search...").fill(`Helper panel > ${name}`, { timeout: patience });
  await page.getByRole("option", { name: `Helper panel > ${name}` }).click({ timeout: patience });
}
