import { chmodSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { marimoDefaults } from "../../src/settings/marimo.ts";
import { type Container, lockFile, realPayload, Space, until } from "../support/space-fixture.ts";

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
      /marimo is installed.*(requirements\.txt (is|was not) installed|packages are unchanged)/s.test(
        installLog(),
      )
        ? true
        : undefined,
    240,
  );
}

/** Opens marimo's page as a browser does. */
async function openPage(query = "") {
  const response = await fetch(`${container.url}/marimo/${query}`, { headers: { Accept: "text/html" } });
  return {
    waiting: response.headers.get("X-Marimo-Waiting"),
    url: response.url,
    text: await response.text(),
  };
}

/** Starts marimo's server. Returns the token in its page and the environment variables of its process. */
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

/** Types a command in a new terminal of JupyterLab. Returns what the terminal shows. */
async function jupyterTerminal(command: string): Promise<string> {
  const program = `
import json, requests, sys, websocket
url, command = sys.argv[1:]
session = requests.Session()
session.get(url + "/lab")
headers = {"X-XSRFToken": session.cookies.get("_xsrf", path=None) or ""}
name = session.post(url + "/api/terminals", headers=headers, timeout=20).json()["name"]
terminal = websocket.create_connection(f"ws{url[4:]}/terminals/websocket/{name}", timeout=20)
terminal.send(json.dumps(["stdin", command + "\\recho E''ND\\r"]))
shown = ""
while "END" not in shown:
    kind, *text = json.loads(terminal.recv())
    shown += text[0] if kind == "stdout" else ""
print(shown)`;
  const { stdout, stderr } = await space.run(python, ["-c", program, container.url, command]);
  expect(stderr).toBe("");
  return stdout;
}

describe("packages that a user adds", () => {
  it("are installed from ~/requirements.txt into marimo's environment, not into the image's", async () => {
    space.write(join(space.home, "requirements.txt"), `team_one @ file://${await wheel("team_one")}\n`);
    await start();
    expect(await imported("team_one"), installLog()).toBe("team_one 1.0\n");
    expect(await imported("team_one", join(space.prefix, "bin/python"))).toBe("");
  });

  it("are installed by marimo's package panel and by uv in its terminal", async () => {
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
    // starlette is marimo's own; numpy and pandas are the image's.
    const expected = ["from-panel", "team-one", "starlette", "numpy", "pandas"];
    expect(packages.map(({ name }) => name)).toEqual(expect.arrayContaining(expected));
    // Control: uv itself does not know the image's.
    const { stdout } = await space.run(variables.MARIMO_UV ?? "", ["pip", "list", "--python", own()]);
    expect(stdout).toMatch(/^starlette /m);
    expect(stdout).not.toMatch(/^pandas /m);
  });

  // The stand-in for the image lacks torch, tensorflow, matplotlib, scipy, pyarrow and sagemaker: they are too large.
  const images =
    "numpy pandas plotly boto3 botocore s3transfer requests urllib3 yaml jinja2 bs4 aiohttp psutil dateutil pytz " +
    "IPython ipykernel jupyter_server jupyterlab prompt_toolkit";
  /** Imports twenty packages of the image as a notebook does. Returns their versions. */
  async function imagePackages(): Promise<Record<string, string>> {
    const program = `
import importlib, json, pandas, sys
modules = {name: importlib.import_module(name) for name in sys.argv[1:]}
assert pandas.DataFrame({"a": [1, 3]}).to_numpy().mean() == 2
print(json.dumps({name: getattr(module, "__version__", "") for name, module in modules.items()}))`;
    const { stdout, stderr } = await space.run(own(), ["-c", program, ...images.split(" ")]);
    expect(stderr).toBe("");
    return JSON.parse(stdout);
  }

  it("do not bring another version of the image's packages, unless the user names one", async () => {
    const { variables } = await marimo();
    const before = await imagePackages();
    expect(Object.keys(before)).toHaveLength(20);
    const numpy = async () =>
      (await space.run(own(), ["-c", "import numpy, pandas; print(numpy.__version__)"])).stdout;
    const image = await numpy();
    // Control: without the constraints, it would bring another one.
    const unconstrained = await space.run(variables.MARIMO_UV ?? "", [
      ...["pip", "install", "--dry-run", "scikit-learn"],
      ...["--python", own()],
    ]);
    expect(unconstrained.stderr).toMatch(/numpy==/);
    expect(unconstrained.stderr).not.toContain(`numpy==${image.trim()}`);
    const uv = (...args: string[]) => space.run(join(variables.UV ?? ""), ["pip", ...args], variables);
    // xgboost without CUDA's 500 MB. The module and its needs are the same.
    expect(await uv("install", "scikit-learn", "xgboost-cpu")).toMatchObject({ status: 0 });
    expect(await numpy()).toBe(image);
    expect(await imagePackages()).toEqual(before);
    const fit =
      "import sklearn.linear_model as a, xgboost as b; [m.fit([[1], [2]], [1, 2]) for m in (a.Ridge(), b.XGBRegressor())]";
    const fitted = await space.run(join(space.prefix, "bin/marimo-python"), ["-c", fit]);
    expect(fitted).toMatchObject({ status: 0, stderr: "" });
    const named = await uv("install", "numpy==2.2.6");
    expect(named.stderr).toContain(`numpy 2.2.6 is now used instead of the image's numpy==${image.trim()}`);
    // Control: the versions are those that the kernel imports.
    expect(await imagePackages()).toMatchObject({ numpy: "2.2.6", pandas: before.pandas });
    expect(await uv("uninstall", "numpy")).toMatchObject({ status: 0 });
    expect(await numpy()).toBe(image);
  });

  it("cannot remove or replace what marimo needs or the image has, and a start mends it", async () => {
    const { token, variables } = await marimo();
    const change = async (what: "add" | "remove", name: string) => {
      const response = await fetch(`${container.url}/marimo/api/packages/${what}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Marimo-Server-Token": token },
        body: JSON.stringify({ package: name }),
      });
      return await response.json();
    };
    expect(await change("remove", "starlette")).toMatchObject({
      success: false,
      error: "marimo itself needs starlette: nothing was removed.",
    });
    expect(await change("remove", "pandas")).toMatchObject({
      success: false,
      error: expect.stringContaining("pandas belongs to the image: nothing was removed."),
    });
    expect(await change("add", "starlette==0.27.0")).toMatchObject({ success: false });
    expect((await space.run(own(), ["-c", "import starlette"])).status).toBe(0);
    // Without bin/uv.
    const gone = await space.run(variables.MARIMO_UV ?? "", [
      "pip",
      "uninstall",
      "starlette",
      "--python",
      own(),
    ]);
    expect(gone.status).toBe(0);
    // from_terminal is on no index.
    await start({ UV_FIND_LINKS: join(space.folder, "wheels") });
    expect(installLog()).toContain("the environment is rebuilt, with your added packages");
    expect(await imported("from_panel")).toBe("from_panel 1.0\n");
    await marimo();
  });

  it("are in the image after pip install in a terminal, which says so", async () => {
    const paths = "import sysconfig; print(sysconfig.get_path('purelib'), end='')";
    const site = (await space.run(join(space.prefix, "bin/python"), ["-c", paths])).stdout;
    const pip = join(space.prefix, "bin/pip");
    space.write(pip, `#!/bin/bash\n[[ $1 == list ]] || mkdir '${site}'/$2-1.dist-info\n`);
    chmodSync(pip, 0o755);
    const notice = "the image's packages were changed, and the next start of the space resets them";
    expect(await jupyterTerminal("pip install x")).toContain(notice);
    expect(await jupyterTerminal("bash -c 'pip install y'")).toContain(notice);
    expect(await jupyterTerminal("pip list")).not.toContain(notice);

    // marimo's terminal is a shell with its server's variables. Control: scripts have them too.
    const { variables } = await marimo();
    const bash = async (name: string, ...args: string[]) => {
      const script = join(space.folder, "commands.sh");
      space.write(script, `pip install ${name}\ntrue\n`);
      return (await space.run("/bin/bash", ["-c", `/bin/bash ${args.join(" ")} <${script}`], variables))
        .stderr;
    };
    expect(await bash("z", "-i")).toContain(notice);
    expect(await bash("script")).toBe("");
    rmSync(pip);
    for (const name of ["x", "y", "z", "script"])
      rmSync(join(site, `${name}-1.dist-info`), { recursive: true });
  });

  it("are kept after a restart, and unchanged ones are not installed again", async () => {
    const mark = join(space.state, "environments/current/.requirements");
    expect(readFileSync(mark, "utf8")).toMatch(/^[0-9a-f]{64}$/);
    await start();
    expect(installLog()).toContain("packages are unchanged");
    expect(installLog()).not.toContain("installing");
    for (const name of ["team_one", "from_panel", "from_terminal"])
      expect(await imported(name)).toBe(`${name} 1.0\n`);
  });

  it("are waited for by marimo's page while ~/requirements.txt is being installed", async () => {
    const stuck = join(space.folder, "stuck");
    const uv = join(space.bin, "uv");
    space.write(stuck, "");
    space.write(
      uv,
      `#!/bin/bash\nif [[ "$*" == *requirements.txt* ]]; then while [[ -f '${stuck}' ]]; do sleep 0.1; done; fi\nexec '${dirname(python)}/uv' "$@"\n`,
    );
    chmodSync(uv, 0o755);
    space.write(join(space.home, "requirements.txt"), `awaited @ file://${await wheel("awaited")}\n`);
    await container.stop();
    container = await space.start(python);
    const page = await until("the page that waits", async () => {
      const opened = await openPage();
      return opened.waiting === "packages: installing" ? opened.text : undefined;
    });
    expect(page).toContain("<h1>Installing the packages of ~/requirements.txt</h1>");
    expect(await imported("awaited")).toBe("");
    rmSync(stuck);
    await until("marimo's page", async () => ((await openPage()).waiting === null ? true : undefined));
    expect(await imported("awaited")).toBe("awaited 1.0\n");
    rmSync(uv);
  });

  it("never prevent marimo from starting", async () => {
    space.write(join(space.home, "requirements.txt"), `team_one @ file://${space.folder}/nothing.whl\n`);
    await start();
    expect(installLog()).toContain("was not installed: see the lines above");
    await until("the status", () =>
      space.read("home/.local/share/sagemaker-marimo/status") === "installed\n" ? true : undefined,
    );
    const { waiting, text } = await openPage();
    expect(waiting).toBe("packages: failed");
    expect(text).toContain("<h1>The packages of ~/requirements.txt could not be installed</h1>");
    expect(text).toContain("nothing.whl");
    const link = /href="([^"]*)">Open marimo without them/.exec(text)?.[1] ?? "";
    const opened = await until("marimo's page", async () => {
      const page = await openPage(link);
      return page.waiting === null ? page : undefined;
    });
    expect(opened.url).not.toContain("open-without-packages");
    await marimo();
  });

  it.each([
    { what: "another marimo version", content: "marimo==0.9.0\n" },
    { what: "binary data", content: Buffer.from([0, 0xff, 0xfe, 10]) },
  ])("do not change marimo if requirements.txt contains $what", async ({ content }) => {
    writeFileSync(join(space.home, "requirements.txt"), content);
    const script = join(space.state, "payload/current/python/sagemaker_marimo/packages.py");
    const { status, stdout } = await space.run(join(space.prefix, "bin/python"), [
      script,
      "requirements",
      join(space.state, "environments/current"),
    ]);
    expect([status, stdout]).toEqual([0, expect.stringContaining("was not installed")]);
    const { stdout: version } = await space.run(own(), ["-c", "import marimo; print(marimo.__version__)"]);
    expect(version).toBe(`${marimoDefaults.marimoVersion}\n`);
  });

  it("are carried over to the environment of an update, except those no longer available", async () => {
    const before = readlinkSync(join(space.state, "environments/current"));
    rmSync(join(space.home, "requirements.txt"));
    rmSync(join(space.folder, "wheels/soon_gone-1.0-py3-none-any.whl"));
    space.upload(realPayload(`${readFileSync(lockFile, "utf8")}\n# another lock file\n`));
    // marimo's dependencies are in uv's cache by now.
    await start({ UV_OFFLINE: "1", UV_FIND_LINKS: join(space.folder, "wheels") });
    expect(readlinkSync(join(space.state, "environments/current"))).not.toBe(before);
    for (const name of ["team_one", "from_panel", "from_terminal"])
      expect(await imported(name), installLog()).toBe(`${name} 1.0\n`);
    expect(await imported("soon_gone")).toBe("");
    expect(installLog()).toContain("soon-gone was not carried over");
    expect((await space.run(own(), ["-c", "import marimo"])).status).toBe(0);
  });
});
