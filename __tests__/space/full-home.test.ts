import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { SmallHome } from "../support/small-home.ts";
import { type Container, lockFile, realPayload, Space, until } from "../support/space-fixture.ts";

const lock = readFileSync(lockFile, "utf8");
const html = { headers: { Accept: "text/html" } };

let space: Space;
let home: SmallHome;
let python: string;
let container: Container | undefined;
beforeAll(async () => {
  space = new Space();
  home = await SmallHome.mount(space.home, "100m");
  python = home.program(join(space.folder, "python"), (await pythonEnvironment("image")).python);
  mkdirSync(join(space.folder, "tmp"));
  space.upload(realPayload());
});
afterAll(async () => {
  await container?.stop();
  await home?.close();
  await space?.dispose();
});

const inState = (...names: string[]) => home.path(".local/share/sagemaker-marimo", ...names);
const appLog = () => space.read("app_container.log");
const lifecycleLog = () => container?.events[0]?.outputTail ?? "";
const current = () => readlinkSync(inState("environments/current"));
/** Folders and files of an unfinished build or write. */
const leftovers = () =>
  [inState(), inState("environments"), inState("payload"), home.path("marimo-notebooks")]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder))
    .filter((name) => /^\.(?!status|space\.env)|\.new$/.test(name));

/** Fills the volume between two starts. The app is stopped, because it would use or free space. */
async function fill(left = 0): Promise<void> {
  await container?.stop();
  await home.fill(left);
}

/** Starts the app again, and expects that JupyterLab answers. */
async function start(): Promise<void> {
  await container?.stop();
  rmSync(space.log, { force: true });
  const environment = { ...space.environment, TMPDIR: join(space.folder, "tmp") };
  container = await space.start(python, { environment });
  expect(container.events.at(-1)?.event, JSON.stringify(container.events) + appLog()).toBe("ready");
  expect(container.events[0]).toMatchObject({ event: "lifecycle", exitCode: 0 });
  expect((await fetch(`${container.url}/api/status`)).status).toBe(200);
}

const installation = (outcome: RegExp) =>
  until("the installation", () => outcome.exec(appLog()) ?? undefined);

async function servers(): Promise<string[]> {
  const answer = await fetch(`${container?.url}/server-proxy/servers-info`);
  return ((await answer.json()) as { server_processes: { name: string }[] }).server_processes.map(
    ({ name }) => name,
  );
}

const marimoAnswers = () =>
  until(
    "marimo",
    async () => {
      const response = await fetch(`${container?.url}/marimo/`, html);
      return response.ok && (await response.text()).includes("serverToken") ? true : undefined;
    },
    90,
  );

/** Expects that this environment is in use and that all files that a start reads are complete. */
function expectWhole(environment: string): void {
  expect(current()).toBe(environment);
  expect(existsSync(inState("environments", environment, ".complete"))).toBe(true);
  expect(readFileSync(inState("space.env"), "utf8")).toContain("MARIMO_BUCKET=");
  expect(readFileSync(inState("token"), "utf8").trim().length).toBeGreaterThan(30);
  const folder = readdirSync(inState("environments", environment, "lib"))[0] ?? "";
  const linkFile = inState("environments", environment, "lib", folder, "site-packages/sagemaker_image.pth");
  expect(readFileSync(linkFile, "utf8")).toMatch(/^import site; site\.addsitedir\(.+\)\n$/);
  expect(leftovers()).toEqual([]);
}

// The tests run in this order on one volume.
describe("JupyterLab starts", () => {
  it("when the volume has no room for marimo; the page says why until there is room", async () => {
    await start();
    await installation(/could not be installed: .*No space left on device/);
    const page = await fetch(`${container?.url}/marimo/`, html);
    expect(page.headers.get("X-Marimo-Waiting")).toBe("not installed");
    const text = await page.text();
    expect(text).toContain("No space left on device");
    expect(text).toMatch(/The home folder is too full: it has \d\d? MB free, and marimo needs 300 MB/);
    expect(readdirSync(inState("environments"))).toEqual([]);

    await home.remount("size=450m");
    await start();
    await installation(/marimo is installed/);
    await marimoAnswers();
    expectWhole(current());
  });

  it("with marimo when the volume is completely full, and the log says what was skipped", async () => {
    const environment = current();
    await fill();
    await start();
    expect(lifecycleLog()).toMatch(/skipped: .*space\.env cannot be written: is the home volume full\?/);
    expect(appLog()).toMatch(/skipped: .*runtime cannot be written to \(No space left on device\)/);
    await marimoAnswers();
    await installation(/marimo is installed/);
    expectWhole(environment);
  });

  it("only with the lifecycle configuration on a full volume", async () => {
    await container?.stop();
    container = await space.start(python, { lifecycleConfigs: [] });
    expect(container.events).toEqual([
      { event: "failed", reason: "JupyterLab exited with status 1 during its start." },
    ]);
  });

  it("without marimo when its token cannot be written, as the log says, until there is room", async () => {
    await container?.stop();
    rmSync(inState("token"));
    await fill();
    await start();
    expect(appLog()).toMatch(
      /skipped: JupyterLab starts without marimo, for this reason:.*No space left on device/s,
    );
    expect(await servers()).toEqual([]);

    await container?.stop();
    rmSync(home.path("filler"));
    await start();
    await marimoAnswers();
    await installation(/marimo is installed/);
    expectWhole(current());
  });

  it("with marimo when 64 KB are left", async () => {
    const environment = current();
    await fill(64 * 1024);
    await start();
    expect(lifecycleLog()).not.toContain("skipped");
    await marimoAnswers();
    await installation(/marimo is installed/);
    expectWhole(environment);
  });

  it("with marimo when a new payload does not fit, and uses it once there is room", async () => {
    const payload = readlinkSync(inState("payload/current"));
    await fill();
    const upload = space.upload({ ...realPayload(), "large.txt": "x".repeat(2 ** 20) });
    await start();
    expect(lifecycleLog()).toMatch(/No space left on device/);
    expect(lifecycleLog()).toContain(`using the last good payload, ${payload}`);
    await marimoAnswers();
    expect(leftovers()).toEqual([]);

    rmSync(home.path("filler"));
    await start();
    expect(upload).toContain(readlinkSync(inState("payload/current")));
    await marimoAnswers();
    space.upload(realPayload());
  });

  it("with the last good marimo when the volume fills up during an update", async () => {
    const environment = current();
    const update = `${lock}# an update\n`;
    await fill(120 * 2 ** 20);
    space.upload(realPayload(update));
    await start();
    await marimoAnswers();
    await installation(/could not be installed: .*No space left on device/);
    expectWhole(environment);
    expect(readFileSync(inState("status"), "utf8")).toBe("failed\n");
    await marimoAnswers();

    rmSync(home.path("filler"));
    await home.remount("size=900m");
    await start();
    await installation(/marimo is installed/);
    expect(current()).not.toBe(environment);
    expectWhole(current());
    await marimoAnswers();
  });

  it("with marimo on a read-only volume, and the log says what was skipped", async () => {
    const environment = current();
    await container?.stop();
    await home.remount("ro");
    await start();
    expect(lifecycleLog()).toMatch(/skipped: .*space\.env cannot be written/);
    expect(lifecycleLog()).toContain("using the last good payload");
    await installation(
      /skipped: .*sagemaker-marimo cannot be written to, so nothing is installed or updated/,
    );
    await marimoAnswers();

    await container?.stop();
    await home.remount("rw");
    await start();
    await installation(/marimo is installed/);
    await marimoAnswers();
    expectWhole(environment);
  });

  it("and its logs stay small", () => {
    const logs = readdirSync(inState("log")).map((name) => inState("log", name));
    for (const log of logs) expect(statSync(log).size, log).toBeLessThan(100_000);
  });
});
