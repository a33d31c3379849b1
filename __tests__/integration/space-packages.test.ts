import { readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { type Container, lockFile, realPayload, Space, until } from "./space-fixture.ts";

let python: string;
let space: Space;
let container: Container;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  space = new Space();
  space.upload(realPayload());
});
afterAll(() => space.dispose());

const wheel = (name: string) => space.wheel(name, python);
const own = () => join(space.state, "environments/current/bin/python");
const imported = async (name: string, by = own()) => (await space.run(by, ["-c", `import ${name}`])).stdout;
const installLog = () => {
  try {
    return readFileSync(join(space.state, "log/install.log"), "utf8");
  } catch {
    return "";
  }
};

async function start(environment: Record<string, string> = {}): Promise<void> {
  await container?.stop();
  rmSync(join(space.state, "log/install.log"), { force: true });
  container = await space.start(python, { environment: { ...space.environment, ...environment } });
  expect(container.events.at(-1)?.event).toBe("ready");
  await until(
    "the end of the installation",
    () =>
      /marimo is installed.*(requirements\.txt (is|was not) installed|packages are as they were)/s.test(
        installLog(),
      )
        ? true
        : undefined,
    240,
  );
}

/** marimo's server, started; with what its page knows, and its own environment's variables. */
async function marimo(): Promise<{ token: string; variables: Record<string, string> }> {
  const page = await until("marimo's page", async () => {
    const response = await fetch(`${container.url}/marimo/`);
    return response.ok ? response.text() : undefined;
  });
  const { stdout } = await space.run("ps", ["-eo", "pid,args", "-ww"]);
  const line = stdout.split("\n").find((one) => one.includes(`edit ${space.home}/marimo-notebooks`));
  const environ = readFileSync(`/proc/${line?.trim().split(" ")[0]}/environ`, "utf8");
  const pairs = environ.split("\0").map((pair): [string, string] => {
    const [name = "", ...value] = pair.split("=");
    return [name, value.join("=")];
  });
  return {
    token: /"serverToken": "([^"]+)"/.exec(page)?.[1] ?? "",
    variables: Object.fromEntries(pairs),
  };
}

describe("packages that a person adds", () => {
  it("come from ~/requirements.txt, into marimo's environment and not into the image's", async () => {
    space.write(join(space.home, "requirements.txt"), `team_one @ file://${await wheel("team_one")}\n`);
    await start();
    expect(await imported("team_one"), installLog()).toBe("team_one 1.0\n");
    expect(await imported("team_one", join(space.prefix, "bin/python"))).toBe("");
  });

  it("come from marimo's package panel and from uv in its terminal", async () => {
    const { token, variables } = await marimo();
    const added = await fetch(`${container.url}/marimo/api/packages/add`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Marimo-Server-Token": token },
      body: JSON.stringify({ package: await wheel("from_panel") }),
    });
    expect(await added.json()).toMatchObject({ success: true });
    expect(await imported("from_panel")).toBe("from_panel 1.0\n");

    const found = ["--no-index", "--find-links", join(space.folder, "wheels")];
    await wheel("from_terminal");
    await space.run("uv", ["pip", "install", ...found, "from_terminal"], variables);
    await space.run("uv", ["pip", "install", await wheel("soon_gone")], variables);
    expect(await imported("from_terminal")).toBe("from_terminal 1.0\n");
    expect(await imported("from_terminal", join(space.prefix, "bin/python"))).toBe("");

    const listed = await fetch(`${container.url}/marimo/api/packages/list`);
    const { packages } = (await listed.json()) as { packages: { name: string }[] };
    expect(packages.map(({ name }) => name)).toEqual(expect.arrayContaining(["from-panel", "team-one"]));
  });

  it("are there after a restart, and what did not change is not installed again", async () => {
    const mark = join(space.state, "environments/current/.requirements");
    expect(readFileSync(mark, "utf8")).toMatch(/^[0-9a-f]{64}$/);
    await start();
    expect(installLog()).toContain("packages are as they were");
    expect(installLog()).not.toContain("installing");
    for (const name of ["team_one", "from_panel", "from_terminal"])
      expect(await imported(name)).toBe(`${name} 1.0\n`);
  });

  it("never keep marimo from starting", async () => {
    space.write(join(space.home, "requirements.txt"), `team_one @ file://${space.folder}/nothing.whl\n`);
    await start();
    expect(installLog()).toContain("was not installed; the lines above say why");
    expect(space.read("home/.local/share/sagemaker-marimo/status")).toBe("installed\n");
    await marimo();
  });

  it.each([
    { what: "another marimo than the team's", content: "marimo==0.9.0\n" },
    { what: "bytes that are no text", content: Buffer.from([0, 0xff, 0xfe, 10]) },
  ])("leave marimo as it is when requirements.txt asks for $what", async ({ content }) => {
    writeFileSync(join(space.home, "requirements.txt"), content);
    const script = join(space.state, "payload/current/python/sagemaker_marimo/packages.py");
    const { status, stdout } = await space.run(join(space.prefix, "bin/python"), [
      script,
      "requirements",
      join(space.state, "environments/current"),
    ]);
    expect([status, stdout]).toEqual([0, expect.stringContaining("was not installed")]);
    const { stdout: version } = await space.run(own(), ["-c", "import marimo; print(marimo.__version__)"]);
    expect(version).toBe("0.25.2\n");
  });

  it("come along into the environment of an update, except for what can no longer be had", async () => {
    const before = readlinkSync(join(space.state, "environments/current"));
    rmSync(join(space.home, "requirements.txt"));
    rmSync(join(space.folder, "wheels/soon_gone-1.0-py3-none-any.whl"));
    space.upload(realPayload(`${readFileSync(lockFile, "utf8")}\n# another lock file\n`));
    // What marimo needs is in uv's cache by now.
    await start({ UV_OFFLINE: "1", UV_FIND_LINKS: join(space.folder, "wheels") });
    expect(readlinkSync(join(space.state, "environments/current"))).not.toBe(before);
    for (const name of ["team_one", "from_panel", "from_terminal"])
      expect(await imported(name), installLog()).toBe(`${name} 1.0\n`);
    expect(await imported("soon_gone")).toBe("");
    expect(installLog()).toContain("soon-gone was not carried over");
    expect((await space.run(own(), ["-c", "import marimo"])).status).toBe(0);
  });
});
