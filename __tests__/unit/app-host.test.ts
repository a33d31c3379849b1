import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppHost } from "../../src/local-studio/app-host.ts";

/** Stands for container.py: a JupyterLab that answers each request with its path and its home. */
const fakeContainer = `
import { createServer } from "node:http";
import { createInterface } from "node:readline";
const emit = (event) => console.log(JSON.stringify(event));
createInterface({ input: process.stdin }).once("line", (line) => {
  const order = JSON.parse(line);
  const script = Buffer.from(order.lifecycleConfigs[0]?.content ?? "", "base64").toString();
  if (script === "exit 1") { emit({ event: "failed", reason: "Lifecycle configuration lcc ended with status 1" }); process.exit(1); }
  if (script === "crash") { console.error("MemoryError: out of memory"); process.exit(1); }
  const server = createServer((request, response) => response.end(JSON.stringify({ url: request.url, order })));
  server.listen(0, "127.0.0.1", () => {
    if (script !== "hang") emit({ event: "ready", port: server.address().port, seconds: 0 });
  });
}).on("close", () => process.exit(0));
`;

let folder: string;
let host: AppHost;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-app-host-"));
  const script = join(folder, "container.mjs");
  const logs = join(folder, "logs");
  mkdirSync(logs);
  writeFileSync(script, fakeContainer);
  host = new AppHost({
    folder: join(folder, "spaces"),
    faults: {},
    runtime: () => ({
      python: process.execPath,
      containerScript: script,
      logs,
      environment: { AWS_ENDPOINT_URL: "http://127.0.0.1:1" },
    }),
  });
  await host.start();
});
afterEach(async () => {
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

const app = (more: object = {}) => ({
  appArn: "arn:aws:sagemaker:us-east-1:123456789012:app/d-1/space/jupyterlab/default",
  domainId: "d-1",
  spaceName: "my-space",
  userProfileName: "ada",
  appType: "JupyterLab",
  appName: "default",
  region: "us-east-1",
  instanceType: "ml.t3.medium",
  lifecycleConfigs: [],
  ...more,
});
const lifecycle = (script: string) => ({
  lifecycleConfigs: [{ name: "lcc", content: Buffer.from(script).toString("base64") }],
});
const post = async (path: string, body: object) => {
  const answer = await fetch(`${host.url}${path}`, { method: "POST", body: JSON.stringify(body) });
  return { status: answer.status, ...((await answer.json()) as { url: string; reason?: string }) };
};
const presign = (more: object = {}) =>
  post("/presigned-urls", {
    domainId: "d-1",
    userProfileName: "ada",
    expiresInSeconds: 5,
    sessionExpirationInSeconds: 1800,
    ...more,
  });
const open = (url: string) => fetch(url, { redirect: "manual" });

describe("POST /apps", () => {
  it("starts the container and serves it through the space's gateway", async () => {
    const { status, url } = await post("/apps", app(lifecycle("echo hello")));
    expect(status).toBe(200);
    const { order, url: path } = (await (await open(`${url}/jupyterlab/default/lab`)).json()) as {
      url: string;
      order: {
        home: string;
        log: string;
        lifecycleTimeoutSeconds: number;
        environment: Record<string, string>;
      };
    };
    expect(path).toBe("/jupyterlab/default/lab");
    expect(order.home).toBe(join(folder, "spaces/d-1/my-space/home"));
    expect(order.lifecycleTimeoutSeconds).toBe(300);
    expect(order.environment).toMatchObject({
      AWS_ENDPOINT_URL: "http://127.0.0.1:1",
      AWS_REGION: "us-east-1",
      SAGEMAKER_APP_LOG: order.log,
    });
    const metadata = JSON.parse(readFileSync(String(order.environment.SAGEMAKER_RESOURCE_METADATA), "utf8"));
    expect(metadata).toMatchObject({
      AppType: "JupyterLab",
      DomainId: "d-1",
      SpaceName: "my-space",
      ResourceArn: app().appArn,
    });
  });

  it("answers 422 with the reason when the lifecycle configuration fails", async () => {
    const { status, reason } = await post("/apps", app(lifecycle("exit 1")));
    expect([status, reason]).toEqual([422, "Lifecycle configuration lcc ended with status 1"]);
  });

  it("answers 422 with the container's last words when it crashes", async () => {
    const { status, reason } = await post("/apps", app(lifecycle("crash")));
    expect(status).toBe(422);
    expect(reason).toContain("out of memory");
  });

  it.each([
    [{ appType: "CodeEditor" }, "not CodeEditor"],
    [{ spaceName: "../../etc" }, '"../../etc" is not a name'],
  ])("refuses %j", async (more, reason) => {
    const answer = await post("/apps", app(more));
    expect(answer.status).toBe(422);
    expect(answer.reason).toContain(reason);
  });

  it("gives up when the app is deleted while it starts", async () => {
    const starting = post("/apps", app(lifecycle("hang")));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await post("/apps/stop", { appArn: app().appArn })).status).toBe(200);
    expect((await starting).status).toBe(422);
  });
});

describe("a space", () => {
  it("keeps its home and its address for its next app, and loses them when it is deleted", async () => {
    const first = await post("/apps", app());
    const home = join(folder, "spaces/d-1/my-space/home");
    writeFileSync(join(home, "work.py"), "1");
    await post("/apps/stop", { appArn: app().appArn });
    expect((await open(first.url)).status).toBe(503);
    expect((await post("/apps/stop", { appArn: app().appArn })).status).toBe(200);

    const second = await post("/apps", app());
    expect(second.url).toBe(first.url);
    expect((await open(second.url)).status).toBe(200);
    expect(existsSync(join(home, "work.py"))).toBe(true);

    await post("/apps/stop", { appArn: app().appArn });
    await post("/spaces/delete", { domainId: "d-1", spaceName: "my-space" });
    expect(existsSync(home)).toBe(false);
    await expect(open(first.url)).rejects.toThrow();
  });
});

describe("a presigned URL", () => {
  it("signs in and leads to JupyterLab, or to where its landing URI says", async () => {
    await post("/apps", app());
    const answer = await open((await presign({ spaceName: "my-space" })).url);
    expect([answer.status, answer.headers.get("location")]).toEqual([302, "/jupyterlab/default/lab"]);
    expect(answer.headers.get("set-cookie")).toMatch(/Max-Age=1800; Path=\/; HttpOnly/);
    const deep = await presign({
      spaceName: "my-space",
      landingUri: "app:JupyterLab:marimo/?file=01_explore_data.py",
    });
    expect((await open(deep.url)).headers.get("location")).toBe(
      "/jupyterlab/default/marimo/?file=01_explore_data.py",
    );
  });

  it("without a space leads to the person's own spaces", async () => {
    const { url } = await post("/apps", app());
    await post("/apps", app({ appArn: "other", spaceName: "others", userProfileName: "grace" }));
    const answer = await fetch((await presign()).url);
    const page = await answer.text();
    expect(page).toContain(`${url}/jupyterlab/default/lab`);
    expect(page).not.toContain("others");
  });

  it("is refused when it is not one, and when it has expired", async () => {
    const { url } = await presign({ expiresInSeconds: 0 });
    expect((await open(url)).status).toBe(403);
    expect((await open(`${host.url}/auth?token=guess`)).status).toBe(403);
  });
});
