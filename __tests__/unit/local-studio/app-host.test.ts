import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AppHost } from "../../../src/local-studio/app-host.ts";
import type { JobRuntime } from "../../../src/local-studio/job-container.ts";

/** Replaces container.py: a JupyterLab that answers each request with its path and its input. */
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
  server.on("upgrade", (_, socket) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\\r\\nconnection: Upgrade\\r\\nupgrade: websocket\\r\\n\\r\\n");
  });
  server.listen(0, "127.0.0.1", () => {
    if (script !== "hang") emit({ event: "ready", port: server.address().port, seconds: 0 });
  });
}).on("close", () => process.exit(0));
`;

let folder: string;
let host: AppHost;
let token: string;
let runtime: () => JobRuntime;
let log: () => string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-app-host-"));
  const script = join(folder, "container.mjs");
  const logs = join(folder, "logs");
  mkdirSync(logs);
  writeFileSync(script, fakeContainer);
  runtime = () => ({
    python: process.execPath,
    containerScript: script,
    logs,
    environment: { AWS_ENDPOINT_URL: "http://127.0.0.1:1" },
  });
  log = () => readFileSync(join(logs, "app-host.log"), "utf8");
  host = new AppHost({ folder: join(folder, "spaces"), faults: {}, logs, runtime });
  ({ token } = await host.start());
});
afterEach(async () => {
  vi.useRealTimers();
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
  executionRole: "arn:aws:iam::123456789012:role/marimo-dev-user-ada",
  region: "us-east-1",
  instanceType: "ml.t3.medium",
  lifecycleConfigs: [],
  ...more,
});
const lifecycle = (script: string) => ({
  lifecycleConfigs: [{ name: "lcc", content: Buffer.from(script).toString("base64") }],
});
const post = async (path: string, body: object, headers: Record<string, string> = {}) => {
  const answer = await fetch(`${host.url}${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
  });
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
const open = (url: string, headers: Record<string, string> = {}) =>
  fetch(url, { redirect: "manual", headers });
/** Opens a sign-in link; returns the `Cookie` header of the new session. */
const signIn = async (url: string) => {
  const cookie = (await open(url)).headers.get("set-cookie") ?? "";
  return { cookie: cookie.split(";")[0] ?? "" };
};
/** Resolves to the status of a WebSocket handshake. */
const upgrade = (url: string, headers: Record<string, string> = {}) =>
  new Promise<number | undefined>((resolve, reject) => {
    const one = request(`${url}/jupyterlab/default/api/kernels/1/channels`, {
      headers: { connection: "Upgrade", upgrade: "websocket", ...headers },
    });
    one.once("upgrade", (_, socket) => {
      socket.destroy();
      resolve(101);
    });
    one.once("response", ({ statusCode }) => resolve(statusCode));
    one.once("error", reject);
    one.end();
  });
const html = { accept: "text/html,*/*" };

describe("POST /apps", () => {
  it("starts the container and serves it through the space's gateway", async () => {
    const { status, url } = await post("/apps", app(lifecycle("echo hello")));
    expect(status).toBe(200);
    const cookie = await signIn((await presign({ spaceName: "my-space" })).url);
    const { order, url: path } = (await (await open(`${url}/jupyterlab/default/lab`, cookie)).json()) as {
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
      ExecutionRoleArn: app().executionRole,
      ResourceArn: app().appArn,
    });
  });

  it("answers 422 with the reason when the lifecycle configuration fails", async () => {
    const { status, reason } = await post("/apps", app(lifecycle("exit 1")));
    expect([status, reason]).toEqual([422, "Lifecycle configuration lcc ended with status 1"]);
  });

  it("answers 422 with the last line of the container when it crashes", async () => {
    const { status, reason } = await post("/apps", app(lifecycle("crash")));
    expect(status).toBe(422);
    expect(reason).toContain("out of memory");
  });

  it("rejects other app types", async () => {
    const { status, reason } = await post("/apps", app({ appType: "CodeEditor" }));
    expect([status, reason]).toEqual([422, expect.stringContaining("not CodeEditor")]);
  });

  it("reports all problems of a request", async () => {
    const wrong = {
      spaceName: "../../etc",
      region: undefined,
      lifecycleConfigs: [{ name: "a/b", content: 1 }],
    };
    const { status, reason } = await post("/apps", app(wrong));
    expect(status).toBe(400);
    expect(reason?.split("; ")).toEqual([
      expect.stringMatching(/^spaceName is "..\/..\/etc": it must be a name/),
      expect.stringMatching(/^region is missing: it must be/),
      expect.stringMatching(/^lifecycleConfigs\[0\].name is "a\/b"/),
      expect.stringMatching(/^lifecycleConfigs\[0\].content is 1: it must be base64/),
    ]);
  });

  it("stops the start of an app that is deleted", async () => {
    const starting = post("/apps", app(lifecycle("hang")));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await post("/apps/stop", { appArn: app().appArn })).status).toBe(200);
    expect((await starting).status).toBe(422);
  });
});

describe("a space", () => {
  it("keeps its home folder and its URL for the next app until it is deleted", async () => {
    const first = await post("/apps", app());
    const home = join(folder, "spaces/d-1/my-space/home");
    writeFileSync(join(home, "work.py"), "1");
    await post("/apps/stop", { appArn: app().appArn });
    const cookie = await signIn((await presign({ spaceName: "my-space" })).url);
    expect((await open(first.url, cookie)).status).toBe(503);
    expect((await post("/apps/stop", { appArn: app().appArn })).status).toBe(200);

    const second = await post("/apps", app());
    expect(second.url).toBe(first.url);
    expect((await open(second.url, cookie)).status).toBe(200);
    expect(existsSync(join(home, "work.py"))).toBe(true);

    await post("/apps/stop", { appArn: app().appArn });
    await post("/spaces/delete", { domainId: "d-1", spaceName: "my-space" });
    expect(existsSync(home)).toBe(false);
    await expect(open(first.url)).rejects.toThrow();
  });
});

describe("a presigned URL", () => {
  it("signs in and redirects to JupyterLab or to its landing URI", async () => {
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

  it("without a space redirects to the user's Studio page", async () => {
    const answer = await open((await presign()).url);
    expect([answer.status, answer.headers.get("location")]).toEqual([302, "/studio/d-1/ada"]);
  });

  it("is rejected when it is not valid or has expired", async () => {
    const { url } = await presign({ expiresInSeconds: 0.001 });
    await sleep(10);
    expect((await open(url)).status).toBe(403);
    expect((await open(`${host.url}/auth?token=guess`)).status).toBe(403);
  });

  it("for the terminal does not expire and starts a new session each time", async () => {
    await post("/apps", app());
    const user = { domainId: "d-1", userProfileName: "ada" };
    const links = [await host.signInUrl(user), await host.signInUrl({ ...user, spaceName: "my-space" })];
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 30 * 24 * 3600 * 1000 });
    for (const link of links) {
      const [first, second] = [await open(link), await open(link)];
      expect([first.status, second.status]).toEqual([302, 302]);
      expect(first.headers.get("set-cookie")).not.toBe(second.headers.get("set-cookie"));
    }
  });
});

describe("without a session", () => {
  it("a space and the Studio page answer 403, and show browsers how to sign in", async () => {
    const { url } = await post("/apps", app());
    for (const address of [`${url}/jupyterlab/default/lab`, `${host.url}/studio/d-1/ada`]) {
      const page = await open(address, html);
      expect([page.status, page.headers.get("content-type")]).toEqual([403, "text/html; charset=utf-8"]);
      expect(await page.text()).toContain(`${host.url}/studio/`);
      expect([(await open(address)).status, await (await open(address)).json()]).toEqual([
        403,
        { reason: "You are not signed in." },
      ]);
    }
    expect(await upgrade(url)).toBe(403);
    const session = await signIn((await presign({ spaceName: "my-space" })).url);
    expect((await open(`${url}/jupyterlab/default/lab`, session)).status).toBe(200);
    expect(await upgrade(url, session)).toBe(101);
  });

  it("for the space, the sessions of other users and of Studio are rejected", async () => {
    const { url } = await post("/apps", app());
    await post("/apps", app({ appArn: "arn:other", spaceName: "others", userProfileName: "grace" }));
    const grace = await presign({ spaceName: "others", userProfileName: "grace" });
    for (const link of [grace.url, (await presign()).url]) {
      const session = await signIn(link);
      expect(session.cookie).not.toBe("");
      expect((await open(`${url}/jupyterlab/default/lab`, session)).status).toBe(403);
      expect(await upgrade(url, session)).toBe(403);
    }
  });

  it("because it has expired, requests are rejected", async () => {
    const { url } = await post("/apps", app());
    const session = await signIn((await presign({ spaceName: "my-space" })).url);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1_800_000 });
    expect((await open(url, session)).status).toBe(403);
  });
});

describe("a page on another port, whose requests include the cookies", () => {
  it("cannot change anything or open a WebSocket", async () => {
    const { url } = await post("/apps", app());
    const session = await signIn((await presign({ spaceName: "my-space" })).url);
    const change = (origin: string) => fetch(url, { method: "POST", headers: { ...session, origin } });
    expect((await change(host.url)).status).toBe(403);
    expect((await change("null")).status).toBe(403);
    expect((await change(url)).status).toBe(200);
    expect(await upgrade(url, { ...session, origin: host.url })).toBe(403);
    expect(await upgrade(url, { ...session, origin: url })).toBe(101);
  });
});

describe("the app host", () => {
  const order = (path: string, options: RequestInit = {}) =>
    fetch(`${host.url}${path}`, { method: "POST", ...options });
  const own = () => ({ authorization: `Bearer ${token}`, "content-type": "application/json" });

  it.each([
    ["without the token", 401, () => ({ authorization: "" })],
    ["with another token", 401, () => ({ authorization: `Bearer ${"x".repeat(43)}` })],
    ["that a page of another site can send", 415, () => ({ "content-type": "text/plain" })],
  ] as const)("rejects and logs a request %s", async (_, status, headers) => {
    for (const path of [
      "/apps",
      "/apps/stop",
      "/spaces/delete",
      "/presigned-urls",
      "/jobs",
      "/jobs/stop",
      "/jobs/kill",
    ]) {
      const refused = await order(path, { headers: { ...own(), ...headers() }, body: '{"x":1}' });
      expect([path, refused.status]).toEqual([path, status]);
      expect(log()).toContain(`${status} POST "${path}"`);
    }
    expect((await post("/apps/stop", { appArn: app().appArn })).status).toBe(200);
  });

  it.each([
    ["a list", "[]", 400],
    ["not valid JSON", "{", 400],
    ["not valid UTF-8", Buffer.from([0x22, 0xff, 0x22]), 400],
    ["an object without the required members", '{"x":1}', 400],
    ["too long", `{"x":"${"x".repeat(2 << 20)}"}`, 413],
  ])("rejects a body that is %s", async (_, body, status) => {
    const refused = await order("/jobs", { headers: own(), body });
    expect(refused.status).toBe(status);
    expect((await post("/apps/stop", { appArn: app().appArn })).status).toBe(200);
  });

  it("rejects unknown routes, wrong methods and invalid URLs", async () => {
    expect((await order("/nothing", { headers: own() })).status).toBe(404);
    const wrong = await fetch(`${host.url}/jobs`, { headers: own() });
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST"]);
    expect((await open(`${host.url}/auth?token=%zz`)).status).toBe(400);
  });

  it("creates a new token at each start", async () => {
    const other = new AppHost({ folder, faults: {}, logs: folder, runtime });
    expect((await other.start()).token).not.toBe(token);
    await other.close();
  });
});

describe("POST /jobs", () => {
  it("reports why a job cannot run", async () => {
    const job = {
      ...{ name: "job", arn: "arn:job", region: "us-east-1", command: ["true"], environment: {}, seconds: 9 },
      inputs: [{ uri: "s3://b/k", path: "/../../out", optional: false }],
      hosts: [{ name: "algo-1", files: {} }],
      ...{ outputs: [], ownedByRoot: [], message: "/opt/ml/output/message" },
    };
    const answer = await fetch(`${host.url}/jobs`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(job),
    });
    expect(
      (await answer.text())
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { accepted: true },
      { outcome: { failureReason: expect.stringContaining("must be inside the container's folders") } },
    ]);
  });
});
