import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { payloadFolder, Space } from "./space-fixture.ts";

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
    if (answer?.installation) response.setHeader("X-Marimo-Installation", answer.installation);
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
});
afterEach(async () => {
  jupyter.close();
  await space.dispose();
});

const note = (name: string, content: object) =>
  space.write(join(space.home, ".local/share/jupyter/runtime", name), JSON.stringify(content));
const open = (...args: string[]) =>
  space.run(python, ["-B", join(payloadFolder, "python/sagemaker_marimo/open_marimo.py"), ...args]);

describe("start-marimo.sh and `marimo edit`", () => {
  it("start marimo through JupyterLab and print the space's address", async () => {
    const { stdout, status } = await open();
    expect(stdout).toBe("marimo: https://xyz.studio.us-east-1.sagemaker.aws/jupyterlab/default/marimo/\n");
    expect(status).toBe(0);
    expect(requests).toEqual(["GET /jupyterlab/default/marimo/"]);
    expect(space.awsCalls().join()).toContain("describe-space --domain-id d-abc --space-name mine");
  });

  it.each([
    "https://xyz.studio.us-east-1.sagemaker.aws/jupyterlab/default/lab?a=b",
    "https://xyz.studio.us-east-1.sagemaker.aws/?redirect=JupyterLab",
  ])("find the address in the form %s", async (url) => {
    space.write(join(space.aws, "space-url"), `${url}\n`);
    expect((await open()).stdout).toBe(
      "marimo: https://xyz.studio.us-east-1.sagemaker.aws/jupyterlab/default/marimo/\n",
    );
  });

  it("wait for the installation", async () => {
    const installing = { status: 503, installation: "running" };
    answers = [installing, installing, { status: 200 }];
    const { stdout } = await open();
    expect(stdout).toMatch(/^marimo is being installed …\nmarimo: https:/);
    expect(requests).toHaveLength(3);
  });

  it("say what to do when the installation failed", async () => {
    answers = [{ status: 503, installation: "failed" }];
    const { status, stderr } = await open();
    expect(status).toBe(1);
    expect(stderr).toContain("could not be installed");
    expect(stderr).toContain("payload/current/install.sh");
  });

  it("explain in words when the address is unknown", async () => {
    space.refuseAws("AccessDeniedException: not authorized to perform: sagemaker:DescribeSpace");
    const { status, stdout } = await open();
    expect(status).toBe(0);
    expect(stdout).toContain("AccessDeniedException");
    expect(stdout).toContain("The role needs sagemaker:DescribeSpace");
    expect(stdout).toContain("put marimo/ in place of all after /jupyterlab/default/");
  });

  it("explain when the metadata does not name the space", async () => {
    space.write(join(space.folder, "resource-metadata.json"), "{}");
    expect((await open()).stdout).toContain("does not name the space");
  });

  it("pass over the notes of earlier servers", async () => {
    note("jpserver-3.json", { pid: 2 ** 22 + 1, port: 1, base_url: "/", token: "" });
    expect((await open()).status).toBe(0);
  });

  it("say when no JupyterLab runs here", async () => {
    note("jpserver-2.json", { pid: 2 ** 22 + 1, port: 1, base_url: "/", token: "" });
    const { status, stderr } = await open();
    expect(status).toBe(1);
    expect(stderr).toContain("No JupyterLab is running here");
  });

  it("make a new notebook in the folder and give its address", async () => {
    const file = join(space.home, "marimo-notebooks/my analysis.py");
    space.write(join(space.home, "marimo-notebooks/other.py"), "");
    const { stdout } = await open(file);
    expect(stdout.trim().endsWith("/jupyterlab/default/marimo/?file=my+analysis.py")).toBe(true);
    expect(existsSync(file)).toBe(true);
  });

  it("refuse a notebook that marimo's server would not open, and say how it would", async () => {
    space.write(join(space.home, "marimo-notebooks/other.py"), "");
    space.write(join(space.home, "project/analysis.py"), "");
    const outside = await open(join(space.home, "project/analysis.py"));
    expect(outside.status).toBe(1);
    expect(outside.stderr).toContain(`ln -s ${space.home}/project ${space.home}/marimo-notebooks/project`);
    const jupyterNotebook = await open(join(space.home, "marimo-notebooks/old.ipynb"));
    expect(jupyterNotebook.status).toBe(1);
    expect(jupyterNotebook.stderr).toContain("marimo convert");
    expect(requests).toEqual([]);
  });
});
