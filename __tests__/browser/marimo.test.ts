import { existsSync, lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { marimoDefaults } from "../../src/settings/marimo.ts";
import { bucket, type Container, realPayload, Space, until } from "../support/space-fixture.ts";

let python: string;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
});

const html = { headers: { Accept: "text/html" } };
const status = (space: Space) =>
  existsSync(join(space.state, "status")) ? space.read("home/.local/share/sagemaker-marimo/status") : "";

/** Waits for marimo's page, which replaces the waiting page of the installation. */
const marimoPage = (container: Container) =>
  until("marimo's page", async () => {
    const response = await fetch(`${container.url}/marimo/`, html);
    const text = await response.text();
    return response.headers.get("X-Marimo-Waiting") === null && response.ok ? text : undefined;
  });

/** Finds the port of marimo's own server, which JupyterLab does not show. */
async function marimoPort(space: Space): Promise<string> {
  const { stdout } = await space.run("ps", ["-eo", "args", "-ww"]);
  const line = stdout.split("\n").find((one) => one.includes(`edit ${space.home}/marimo-notebooks`));
  return /--port (\d+)/.exec(line ?? "")?.[1] ?? "";
}

describe("a space's first app", () => {
  let space: Space;
  let container: Container;
  beforeAll(async () => {
    space = new Space();
    space.upload(realPayload());
    container = await space.start(python);
    await marimoPage(container);
  });
  afterAll(() => space.dispose());

  it("is ready with marimo's tiles in the launcher", async () => {
    expect(container.events.map(({ event }) => event)).toEqual(["lifecycle", "ready"]);
    const servers = await (await fetch(`${container.url}/server-proxy/servers-info`)).json();
    expect(servers).toMatchObject({
      server_processes: [
        { name: "marimo", launcher_entry: { enabled: true, title: "marimo", path_info: "marimo/" } },
        { name: "marimo-jobs", launcher_entry: { title: "marimo jobs", path_info: "marimo-jobs/" } },
      ],
    });
    const icon = await fetch(`${container.url}/server-proxy/icon/marimo`);
    expect(icon.headers.get("content-type")).toMatch(/^image\//);
  });

  it("has the sample notebooks, the commands, and marimo in the home folder", async () => {
    expect(readdirSync(join(space.home, "marimo-notebooks")).sort()).toEqual([
      "01_explore_data.py",
      "02_training_jobs.py",
      "03_from_jupyter.ipynb",
      "03_from_jupyter.py",
      "04_run_as_a_job.py",
      "05_query.py",
      "06_train.py",
      "07_endpoint.py",
      "08_features.py",
      "09_train_on_spot.py",
      "10_several_nodes.py",
      "__marimo__",
      "prices.csv",
    ]);
    expect(status(space)).toBe("installed\n");
    expect(lstatSync(join(space.home, "start-marimo.sh")).isSymbolicLink()).toBe(true);
    const environment = { ...space.environment, PATH: `${space.prefix}/bin:/usr/bin:/bin` };
    expect((await space.run("marimo", ["--version"], environment)).stdout).toBe(
      `${marimoDefaults.marimoVersion}\n`,
    );
    space.refuseAws("AccessDeniedException");
    const started = await space.run(join(space.home, "start-marimo.sh"), [], environment);
    expect(started.stdout).toContain("replace everything after /jupyterlab/default/ with marimo/");
    space.refuseAws(undefined);
  });

  it("uses server-sent events for the kernel, and the setting runOnOpen", async () => {
    const page = await marimoPage(container);
    expect(page).toContain('"transport": "sse"');
    expect(page).toContain('"auto_instantiate": true');
  });

  it("accepts only JupyterLab on marimo's own port", async () => {
    const token = space.read("home/.local/share/sagemaker-marimo/token");
    expect(token.length).toBeGreaterThan(30);
    expect(statSync(join(space.state, "token")).mode & 0o777).toBe(0o600);
    const own = `http://127.0.0.1:${await marimoPort(space)}/jupyterlab/default/marimo`;
    expect((await fetch(`${own}/api/status`)).status).toBe(401);
    const authorized = await fetch(`${own}/`, { headers: { Authorization: `Bearer ${token}` } });
    expect(authorized.status).toBe(200);
    expect(space.read("app_container.log")).not.toContain(token);
    expect((await space.run("ps", ["-eo", "args", "-ww"])).stdout).not.toContain(token);
  });

  it("provides kernels with the environment's packages, then the image's, and with the bucket's name", async () => {
    const program =
      "import marimo, pandas, boto3, plotly, psutil; print(pandas.__version__, psutil.__file__)";
    const own = join(space.state, "environments/current/bin/python");
    const { stdout, stderr } = await space.run(own, ["-c", program]);
    expect(stdout, stderr).toMatch(/^2\.3\.3 /);
    expect(stdout).toContain(join(space.state, "environments/current"));
    const { stdout: processes } = await space.run("ps", ["eww", "-eo", "args"]);
    const server = processes.split("\n").find((line) => line.includes(`edit ${space.home}/marimo-notebooks`));
    expect(server).toContain(`MARIMO_BUCKET=${bucket}`);
  });

  it("closes marimo's event stream when the browser disconnects", async () => {
    const connections = async () => {
      const answer = await fetch(`${container.url}/marimo/api/status/connections`);
      return ((await answer.json()) as { active: number }).active;
    };
    const query = "session_id=s_test01&file=01_explore_data.py";
    const browser = new AbortController();
    const stream = await fetch(`${container.url}/marimo/sse?${query}`, {
      headers: { Accept: "text/event-stream" },
      signal: browser.signal,
    });
    expect(stream.headers.get("content-type")).toMatch(/^text\/event-stream/);
    const reader = stream.body?.getReader();
    let text = "";
    await until("an event", async () => {
      text += new TextDecoder().decode((await reader?.read())?.value);
      return text.includes("data: ") || undefined;
    });
    expect(await connections()).toBe(1);
    browser.abort();
    await until("the end of the stream", async () => ((await connections()) === 0 ? true : undefined));
  });

  it("keeps the user's configuration and the virtual environment at the next start", async () => {
    const environment = readlinkSync(join(space.state, "environments/current"));
    const built = statSync(join(space.state, "environments", environment, "pyvenv.cfg")).mtimeMs;
    await container.stop();
    space.write(join(space.home, ".config/marimo/marimo.toml"), "[runtime]\nauto_instantiate = false\n");
    space.refuseAws("Could not connect");
    container = await space.start(python);
    expect(container.events[0]?.outputTail).toContain("using the last good payload");
    const page = await marimoPage(container);
    expect(page).toContain('"auto_instantiate": false');
    expect(readlinkSync(join(space.state, "environments/current"))).toBe(environment);
    expect(statSync(join(space.state, "environments", environment, "pyvenv.cfg")).mtimeMs).toBe(built);
  });

  it("keeps the last good marimo when an update cannot be installed", async () => {
    const environment = readlinkSync(join(space.state, "environments/current"));
    await container.stop();
    space.refuseAws(undefined);
    space.upload(realPayload("marimo==0.0.0.dev999\n"));
    container = await space.start(python);
    await until("the failure", () => (status(space) === "failed\n" ? true : undefined));
    expect(await marimoPage(container)).toContain("marimo");
    expect(readlinkSync(join(space.state, "environments/current"))).toBe(environment);
  });
});

/** jupyter-server-proxy ends each stream after 7200 s. Here it is 2 s; nothing else uses this timeout. */
const twoSecondsForTwoHours = `
from tornado.httpclient import HTTPRequest
HTTPRequest.request_timeout = property(
    lambda request: request.__dict__["timeout"],
    lambda request, seconds: request.__dict__.update(timeout=2 if seconds == 7200 else seconds),
)
`;

describe("marimo's event stream", () => {
  let space: Space;
  let container: Container;
  beforeAll(async () => {
    space = new Space();
    space.write(join(space.home, ".jupyter/jupyter_server_config.py"), twoSecondsForTwoHours);
    space.upload(realPayload());
    container = await space.start(python);
    await marimoPage(container);
  });
  afterAll(() => space.dispose());

  /** Whether the stream is still open after five seconds. */
  async function outlives(url: string, headers: Record<string, string> = {}): Promise<boolean> {
    const browser = new AbortController();
    const accept = { Accept: "text/event-stream", ...headers };
    const stream = await fetch(url, { headers: accept, signal: browser.signal });
    expect(stream.headers.get("content-type")).toMatch(/^text\/event-stream/);
    const ended = (async () => {
      for await (const _ of stream.body ?? []);
    })().then(
      () => true,
      () => true,
    );
    const over = await Promise.race([ended, sleep(5000, false)]);
    browser.abort();
    return !over;
  }

  it("exceeds the time limit of jupyter-server-proxy, which ends a stream through its own handler", async () => {
    const query = "file=01_explore_data.py&session_id";
    expect(await outlives(`${container.url}/marimo/sse?${query}=s_ours01`)).toBe(true);
    const stock = `${container.url}/proxy/${await marimoPort(space)}/jupyterlab/default/marimo/sse`;
    const token = space.read("home/.local/share/sagemaker-marimo/token");
    expect(await outlives(`${stock}?${query}=s_stock1`, { Authorization: `Bearer ${token}` })).toBe(false);
  });
});

describe("an app whose marimo cannot be installed", () => {
  it("has JupyterLab, and a page with the reason that is later replaced by marimo", async () => {
    const space = new Space();
    try {
      const upload = space.upload(realPayload());
      const unreachable = {
        UV_DEFAULT_INDEX: "http://127.0.0.1:9/simple",
        UV_CACHE_DIR: `${space.folder}/uv`,
      };
      const container = await space.start(python, { environment: { ...space.environment, ...unreachable } });
      expect(container.events.at(-1)?.event).toBe("ready");
      await until("the failure", () => (status(space) === "failed\n" ? true : undefined));
      const page = await fetch(`${container.url}/marimo/`, html);
      expect(page.headers.get("X-Marimo-Waiting")).toBe("not installed");
      const text = await page.text();
      expect(text).toContain("marimo could not be installed");
      expect(text).toContain("127.0.0.1:9");
      expect(text).toContain('http-equiv="refresh"');
      expect((await fetch(`${container.url}/marimo/api/status`)).status).toBe(503);
      expect((await fetch(`${container.url}/api/status`)).status).toBe(200);

      expect(existsSync(upload)).toBe(true);
      const again = await space.run("/bin/bash", [join(space.state, "payload/current/install.sh")]);
      expect(again.stdout).toContain("marimo is installed");
      await marimoPage(container);
    } finally {
      await space.dispose();
    }
  });
});

describe("an app whose payload does not work", () => {
  it.each([
    { what: "cannot be parsed", content: "def configure(:\n" },
    { what: "raises", content: 'def configure(config):\n    raise RuntimeError("broken payload")\n' },
  ])("has JupyterLab without marimo when its Jupyter configuration $what", async ({ content }) => {
    const space = new Space();
    try {
      space.upload({ ...realPayload(), "python/sagemaker_marimo/jupyter_config.py": content });
      const container = await space.start(python);
      expect(container.events.at(-1)?.event).toBe("ready");
      expect((await fetch(`${container.url}/api/status`)).status).toBe(200);
      const servers = await (await fetch(`${container.url}/server-proxy/servers-info`)).json();
      expect(servers).toEqual({ server_processes: [] });
      expect(space.read("app_container.log")).toMatch(/SyntaxError|broken payload/);
    } finally {
      await space.dispose();
    }
  });
});

describe("SAGEMAKER_MARIMO_TRANSPORT", () => {
  it.each([
    { value: "websocket", expected: "websocket" },
    { value: "polling", expected: "sse" },
    { value: "carrier-pigeon", expected: "sse" },
  ])("$value makes marimo use $expected", async ({ value, expected }) => {
    const space = new Space();
    try {
      space.upload(realPayload());
      const environment = { ...space.environment, SAGEMAKER_MARIMO_TRANSPORT: value };
      const container = await space.start(python, { environment });
      expect(await marimoPage(container)).toContain(`"transport": "${expected}"`);
    } finally {
      await space.dispose();
    }
  });
});
