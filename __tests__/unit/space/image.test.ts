import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { payloadFolder, Space, smallPayload } from "../../support/space-fixture.ts";

let space: Space;
beforeEach(() => {
  space = new Space();
});
afterEach(() => space.dispose());

function program(path: string, text: string): string {
  space.write(path, text);
  chmodSync(path, 0o755);
  return path;
}

const inFolder = (path: string) => join(space.folder, path);

/** Runs a function of image.sh. PATH has the folder `lab` first, for the jupyter-lab of a test. */
async function answer(name: string, variables: Record<string, string> = {}): Promise<string> {
  const environment = { ...space.environment, PATH: `${inFolder("lab")}:/usr/bin:/bin`, ...variables };
  const { stdout } = await space.run(
    "/bin/bash",
    ["-uc", `source ${payloadFolder}/image.sh; ${name}`],
    environment,
  );
  return stdout.trim();
}

describe("the image's Python", () => {
  it("is the one that jupyter-lab names, not conda's", async () => {
    const python = program(inFolder("usr/bin/python3.12"), "");
    program(inFolder("lab/jupyter-lab"), `#!${python}\nimport sys\n`);
    program(join(space.prefix, "bin/python"), "");
    expect(await answer("image_python")).toBe(python);
  });

  it("is named in the second line where the path is too long for the first", async () => {
    const python = program(inFolder("usr/bin/python"), "");
    program(inFolder("lab/jupyter-lab"), `#!/bin/sh\n'''exec' "${python}" "$0" "$@"\n' '''\n`);
    expect(await answer("image_python")).toBe(python);
  });

  it("is the one beside jupyter-lab where that names none", async () => {
    const python = program(inFolder("usr/bin/python"), "");
    program(inFolder("usr/bin/jupyter-lab"), "#!/usr/bin/env python3\n");
    expect(await answer("image_python", { PATH: `${inFolder("usr/bin")}:/usr/bin:/bin` })).toBe(python);
  });

  it("is conda's without jupyter-lab, or if the named one is not there, and /opt/conda's at last", async () => {
    const conda = join(space.prefix, "bin/python");
    expect(await answer("image_python")).toBe(conda);
    program(inFolder("lab/jupyter-lab"), "#!/nowhere/bin/python\n");
    expect(await answer("image_python")).toBe(conda);
    expect(await answer("image_python", { CONDA_PREFIX: "" })).toBe("/opt/conda/bin/python");
  });
});

describe("the home folder", () => {
  const mounted = (status: number) =>
    program(inFolder("lab/mountpoint"), `#!/bin/bash\n[[ "$2" == /volume ]] && exit ${status}\n`);

  it.each([
    { home: "/root", status: 0, expected: "/volume" },
    { home: "/root", status: 1, expected: "/root" },
    { home: "/volume", status: 0, expected: "/volume" },
    { home: "/volume/ana", status: 0, expected: "/volume/ana" },
    { home: "/volume-2", status: 0, expected: "/volume" },
  ])("is $expected with HOME $home and mountpoint's status $status", async ({ home, status, expected }) => {
    mounted(status);
    expect(await answer("home_folder", { HOME: home, MARIMO_VOLUME: "/volume" })).toBe(expected);
  });

  it("is the volume without a HOME", async () => {
    expect(await answer("unset HOME; home_folder")).toBe("/home/sagemaker-user");
  });
});

describe("a root image", () => {
  const root = () => ({
    ...space.environment,
    PATH: `${inFolder("lab")}:${space.environment.PATH}`,
    HOME: inFolder("root"),
    CONDA_PREFIX: "",
    MARIMO_VOLUME: space.home,
  });
  beforeEach(() => {
    program(inFolder("lab/mountpoint"), "#!/bin/bash\nexit 0\n");
    const unpacks = 'if [[ "$*" == *unpack.py ]]; then exec python3 "$@"; fi';
    program(inFolder("local/bin/python"), `#!/bin/bash\n${unpacks}\necho no Python\nexit 1\n`);
    program(inFolder("lab/jupyter-lab"), `#!${inFolder("local/bin/python")}\n`);
    mkdirSync(inFolder("root"));
  });

  it("has the state on the volume, and marimo's entry where its JupyterLab reads it", async () => {
    const { status, stdout } = await space.runLifecycleScript(root());
    expect(status, stdout).toBe(0);
    const config = space.read("local/etc/jupyter/jupyter_server_config.py");
    expect(config).toContain(`_state = "${space.state}"`);
    expect(readFileSync(join(space.state, "log/space.log"), "utf8")).toContain("no good payload");
    expect(existsSync(inFolder("root/.local"))).toBe(false);
  });

  it("has what start.sh and install.sh write there too, and commands that find it from every environment", async () => {
    space.upload({
      ...smallPayload(),
      ...Object.fromEntries(
        ["start.sh", "unpack.py", "install.sh", "image.sh", "space.sh", "bin/marimo.sh"].map((name) => [
          name,
          readFileSync(join(payloadFolder, name)),
        ]),
      ),
    });
    const { stdout } = await space.runLifecycleScript(root());
    expect(space.read("local/etc/jupyter/jupyter_server_config.py"), stdout).toContain(
      "_configure(get_config())",
    );
    await expect
      .poll(
        () => existsSync(join(space.state, "status")) && readFileSync(join(space.state, "status"), "utf8"),
        {
          timeout: 20_000,
        },
      )
      .toBe("failed\n");
    expect(readFileSync(join(space.state, "log/install.log"), "utf8")).toContain("python does not run");
    expect(existsSync(join(space.home, "marimo-notebooks"))).toBe(true);
    expect(existsSync(inFolder("root/marimo-notebooks"))).toBe(false);

    const command = inFolder("local/bin/marimo");
    const activated = { ...root(), CONDA_PREFIX: inFolder("other") };
    program(
      inFolder("lab/jupyter-lab"),
      `#!${program(inFolder("other/bin/python"), "#!/bin/bash\necho other\n")}\n`,
    );
    expect((await space.run(command, ["edit"], activated)).stdout).toBe("no Python\n");
    expect((await space.run(command, ["--version"], activated)).stderr).toContain(
      `See the log: ${space.state}/log/install.log`,
    );
  });
});
