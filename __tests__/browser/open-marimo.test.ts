import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { payloadFolder, Space } from "../support/space-fixture.ts";

let python: string;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
});

let space: Space;
let jupyter: Server;
let answers: { status: number; installation?: string }[];
let requests: string[];
beforeEach(async () => {
  space = new Space();
  answers = [{ status: 200 }];
  requests = [];
  jupyter = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer?.installation) response.setHeader("X-Marimo-Waiting", answer.installation);
    response.writeHead(answer?.status ?? 500).end("page");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => jupyter.once("listening", resolve));
  const { port } = jupyter.address() as AddressInfo;
  note("jpserver-2.json", { pid: process.pid, port, base_url: "/jupyterlab/default/", token: "" });
  space.write(
    join(space.folder, "resource-metadata.json"),
    JSON.stringify({ AppType: "JupyterLab", DomainId: "d-abc", SpaceName: "mine" }),
  );
  space.write(join(space.aws, "space-url"), "https://xyz.studio.us-east-1.sagemaker.aws\n");
  mkdirSync(join(space.state, "payload"), { recursive: true });
  symlinkSync(payloadFolder, join(space.state, "payload/current"));
});
afterEach(async () => {
  jupyter.close();
  await space.dispose();
});

const note = (name: string, content: object) =>
  space.write(join(space.home, ".local/share/jupyter/runtime", name), JSON.stringify(content));
const open = (...args: string[]) =>
  space.run("/bin/bash", [join(payloadFolder, "bin/start-marimo.sh"), ...args], inImage());
const marimo = (...args: string[]) =>
  space.run("/bin/bash", [join(payloadFolder, "bin/marimo.sh"), ...args], inImage());
const inImage = () => ({ ...space.environment, CONDA_PREFIX: join(python, "../..") });

const notebookText = "import marimo\n\napp = marimo.App()\n";
const address = "marimo: https://xyz.studio.us-east-1.sagemaker.aws/jupyterlab/default/marimo/";

describe("start-marimo.sh and `marimo edit`", () => {
  it("start marimo through JupyterLab and print the space's URL", async () => {
    const { stdout, status } = await open();
    expect(stdout).toBe("marimo: https://xyz.studio.us-east-1.sagemaker.aws/jupyterlab/default/marimo/\n");
    expect(status).toBe(0);
    expect(requests).toEqual(["GET /jupyterlab/default/marimo/"]);
    expect(space.awsCalls().join()).toContain("describe-space --domain-id d-abc --space-name mine");
  });

  it.each([
    "https://xyz.studio.us-east-1.sagemaker.aws/jupyterlab/default/lab?a=b",
    "https://xyz.studio.us-east-1.sagemaker.aws/?redirect=JupyterLab",
  ])("accept the URL %s", async (url) => {
    space.write(join(space.aws, "space-url"), `${url}\n`);
    expect((await open()).stdout).toBe(
      "marimo: https://xyz.studio.us-east-1.sagemaker.aws/jupyterlab/default/marimo/\n",
    );
  });

  it("wait for the installation", async () => {
    const installing = { status: 503, installation: "installing" };
    answers = [installing, installing, { status: 200 }];
    const { stdout } = await open();
    expect(stdout).toMatch(/^marimo is being installed …\nmarimo: https:/);
    expect(requests).toHaveLength(3);
  });

  it("report what to do when the installation has failed", async () => {
    answers = [{ status: 503, installation: "not installed" }];
    const { status, stderr } = await open();
    expect(status).toBe(1);
    expect(stderr).toContain("could not be installed");
    expect(stderr).toContain("payload/current/install.sh");
  });

  it("explain how to open marimo when the URL is unknown", async () => {
    space.refuseAws("AccessDeniedException: not authorized to perform: sagemaker:DescribeSpace");
    const { status, stdout } = await open();
    expect(status).toBe(0);
    expect(stdout).toContain("AccessDeniedException");
    expect(stdout).toContain("The role needs sagemaker:DescribeSpace");
    expect(stdout).toContain("replace everything after /jupyterlab/default/ with marimo/");
  });

  it("report that the metadata does not contain the space's name", async () => {
    space.write(join(space.folder, "resource-metadata.json"), "{}");
    expect((await open()).stdout).toContain("does not name the space");
  });

  it("ignore the files of earlier servers", async () => {
    note("jpserver-3.json", { pid: 2 ** 22 + 1, port: 1, base_url: "/", token: "" });
    expect((await open()).status).toBe(0);
  });

  it("report that no JupyterLab is running", async () => {
    note("jpserver-2.json", { pid: 2 ** 22 + 1, port: 1, base_url: "/", token: "" });
    const { status, stderr } = await open();
    expect(status).toBe(1);
    expect(stderr).toContain("No JupyterLab is running here");
  });

  it("create a new notebook in the folder and print its URL", async () => {
    const file = join(space.home, "marimo-notebooks/my analysis.py");
    space.write(join(space.home, "marimo-notebooks/other.py"), "");
    const { stdout } = await open(file);
    expect(stdout.trim().endsWith("/jupyterlab/default/marimo/?file=my+analysis.py")).toBe(true);
    expect(existsSync(file)).toBe(true);
  });

  it("reject files that are not marimo notebooks, and explain how to convert them", async () => {
    const jupyterNotebook = await open(join(space.home, "marimo-notebooks/old.ipynb"));
    expect(jupyterNotebook.status).toBe(1);
    expect(jupyterNotebook.stderr).toContain("marimo convert");
    // marimo would show nothing for the first, and rewrite the second.
    for (const name of ["script.py", "read.md"]) {
      const file = join(space.home, "marimo-notebooks", name);
      space.write(file, "# not empty\nprint(1)\n");
      const { status, stderr } = await open(file);
      expect([status, stderr]).toEqual([1, expect.stringContaining(`${file} is not a marimo notebook`)]);
      expect(readFileSync(file, "utf8")).toBe("# not empty\nprint(1)\n");
    }
    expect(requests).toEqual([]);
  });

  it("open a notebook of any repository in the home where it is, and create a new one there", async () => {
    for (const repository of ["one", "two"]) {
      const notebook = join(space.home, repository, "notebooks/analysis.py");
      space.write(notebook, notebookText);
      for (const file of [notebook, join(space.home, repository, "notebooks/new.py")]) {
        const { stdout } = await marimo("edit", file);
        expect(stdout).toBe(`${address}?file=${encodeURIComponent(file)}\n`);
        expect(existsSync(file)).toBe(true);
      }
    }
    expect((await marimo("edit", "analysis.py")).stdout).toBe(
      `${address}?file=${encodeURIComponent(join(space.home, "analysis.py"))}\n`,
    );
    expect(readdirSync(join(space.home, "marimo-notebooks"))).toEqual([]);
  });

  it("say where a folder's notebooks are listed", async () => {
    space.write(join(space.home, "one/notebooks/analysis.py"), notebookText);
    const { stdout } = await marimo("edit", "one/notebooks");
    expect(stdout).toBe(`Its notebooks are listed under ~/one/notebooks on marimo's page.\n${address}\n`);
    expect((await marimo("edit", ".")).stdout).toBe(`${address}\n`);
  });

  it("reject a notebook outside the home, and explain how to link it", async () => {
    const outside = join(space.folder, "shared/analysis.py");
    space.write(outside, notebookText);
    const { status, stderr } = await marimo("edit", outside);
    expect(status).toBe(1);
    expect(stderr).toContain(`ln -s ${space.folder}/shared ~/NAME`);
    expect((await marimo("edit", join(space.folder, "shared/new.py"))).status).toBe(1);
    expect(readdirSync(join(space.folder, "shared"))).toEqual(["analysis.py"]);
    symlinkSync(join(space.folder, "shared"), join(space.home, "shared"));
    expect((await marimo("edit", "shared/analysis.py")).stdout).toBe(
      `${address}?file=${encodeURIComponent(join(space.home, "shared/analysis.py"))}\n`,
    );
  });
});

describe("marimo in a terminal", () => {
  beforeEach(() => space.write(join(space.home, "marimo-notebooks/app.py"), notebookText));
  const app = "marimo-notebooks/app.py";

  it("lists ignored options, and opens the notebook", async () => {
    const line = "-q edit --headless --host 0.0.0.0 -p 8888 --no-token --base-url=/x";
    const { status, stdout, stderr } = await marimo(...line.split(" "), app);
    expect(status, stderr).toBe(0);
    expect(stdout).toBe(`${address}?file=app.py\n`);
    expect(stderr).toBe("Ignored in a space: --headless --host -p --no-token --base-url\n");
  });

  it("opens a notebook as an app, without its code", async () => {
    const { stdout, status } = await marimo("run", app);
    expect(status).toBe(0);
    expect(stdout).toContain(`${address}?file=app.py&view-as=present&show-chrome=false\n`);
    expect(stdout).toContain("one person at a time");
  });

  it("lists the apps of a folder, without other files", async () => {
    space.write(join(space.home, "marimo-notebooks/module.py"), "");
    const { stdout } = await marimo("run", "marimo-notebooks");
    expect(stdout.match(/^marimo: .*$/gm)).toEqual([
      `${address}?file=app.py&view-as=present&show-chrome=false`,
    ]);
    expect((await marimo("run", "nothing.py")).stderr).toBe("There is no notebook nothing.py\n");
    expect(existsSync(join(space.home, "nothing.py"))).toBe(false);
  });

  it("opens a different new notebook each time", async () => {
    const [first, second] = [await marimo("new"), await marimo("new")];
    expect(first?.stdout).toMatch(/\/marimo\/\?file=__new__s_[0-9a-f]{6}\n$/);
    expect(first?.stdout).not.toBe(second?.stdout);
  });

  it.each([
    { line: "edit --sandbox app.py", says: "notebooks share the server's environment" },
    { line: `run ${app} -- --n 3`, says: "Run the notebook as a script instead: marimo-python" },
    { line: `run ${app} --n 3`, says: "Run the notebook as a script instead: marimo-python" },
    { line: "edit https://example.com/x.py", says: "curl -LO https://example.com/x.py" },
    { line: "edit --mcp", says: "no MCP endpoint" },
    { line: "edit --frobnicate", says: "no option --frobnicate" },
    { line: "new a dashboard", says: "takes no prompt" },
    { line: "run", says: "needs a notebook" },
  ])("refuses `marimo $line` and says why", async ({ line, says }) => {
    const { status, stdout, stderr } = await marimo(...line.split(" "));
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(says);
    expect(requests).toEqual([]);
  });

  it("passes all other commands and --help to marimo", async () => {
    const own = join(space.state, "environments/current/bin/marimo");
    expect((await marimo("convert", "x.ipynb")).stderr).toContain("marimo is not installed yet");
    space.write(own, '#!/bin/bash\necho "marimo itself: $*"\n');
    chmodSync(own, 0o755);
    for (const line of [
      "convert edit.ipynb -o run.py",
      "check --fix app.py",
      "export html edit",
      "--version",
      "edit --help",
      "--help edit",
      "-l DEBUG check x.py",
      "",
    ]) {
      const args = line.split(" ").filter(Boolean);
      expect((await marimo(...args)).stdout).toBe(`marimo itself: ${args.join(" ")}\n`);
    }
    // But not after the end of the options, where it is the notebook's.
    expect((await marimo("run", app, "--", "--help")).stderr).toContain(
      "Run the notebook as a script instead",
    );
  });
});
