import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppHost } from "../../../src/local-studio/app-host.ts";
import { NotPossible, type StudioApi } from "../../../src/local-studio/studio-api.ts";

let folder: string;
let host: AppHost;
let cookie: string;
/** The calls of the API. */
let calls: unknown[][];
let failure: Error | undefined;
let deployed: boolean;
beforeEach(async () => {
  calls = [];
  failure = undefined;
  deployed = true;
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-studio-"));
  const runtime = () => ({ python: process.execPath, environment: {} });
  host = new AppHost({
    folder,
    faults: {},
    logs: folder,
    runtime,
    studio: () => (deployed ? api : undefined),
  });
  await host.start();
  const link = await host.signInUrl({ domainId: "d-1", userProfileName: "ada" });
  const answer = await fetch(link, { redirect: "manual" });
  cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? "";
});
afterEach(async () => {
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Answers each call with the method's name. */
const api = new Proxy({} as StudioApi, {
  get:
    (_, method: string) =>
    async ({ userProfileName }: { userProfileName?: string }, ...rest: unknown[]) => {
      calls.push([method, userProfileName, ...rest]);
      if (failure) throw failure;
      return method;
    },
});

const get = (path: string, headers: Record<string, string> = { cookie }) =>
  fetch(`${host.url}${path}`, { headers, redirect: "manual" });
/** Sends a request like the page's own, with changed headers. An `undefined` header is removed. */
const post = async (path: string, body: unknown, changes: Record<string, string | undefined> = {}) => {
  const own = {
    cookie,
    origin: host.url,
    "sec-fetch-site": "same-origin",
    "content-type": "application/json",
  };
  const headers = Object.entries({ ...own, ...changes }).filter(
    (one): one is [string, string] => one[1] !== undefined,
  );
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await fetch(`${host.url}/studio/api/${path}`, { method: "POST", headers, body: text });
  return {
    status: answer.status,
    ...((await answer.json()) as { reason?: string; remedy?: string; url?: string }),
  };
};
const start = { action: "start", spaceName: "ada-1" };

describe("the Studio page", () => {
  it("loads only its own files, and contains nothing that its policy blocks", async () => {
    const page = await get("/studio/d-1/ada");
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'; require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe/);
    const html = await page.text();
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=/i);
    const files = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path ?? "");
    expect(files).toEqual(["/studio/page.css", "/studio/page.js", "/studio/costs.js"]);
    for (const path of files) {
      const file = await get(path);
      const name = path.split("/").at(-1);
      const source = new URL(`../../../src/local-studio/studio-page/${name}`, import.meta.url);
      expect(await file.text()).toBe(readFileSync(source, "utf8"));
    }
  });

  it("of another user redirects to the own page", async () => {
    const answer = await get("/studio/d-1/grace");
    expect([answer.status, answer.headers.get("location")]).toEqual([302, "/studio/d-1/ada"]);
  });

  it("serves the page of a job in a separate origin", async () => {
    const page = await get("/studio/api/jobs/job-1/page");
    expect(page.headers.get("content-security-policy")).toMatch(/^sandbox (?!.*allow-same-origin)/);
    expect(calls).toEqual([["jobPage", undefined]]);
  });
});

describe("the Studio page's API", () => {
  it("acts as the signed-in user", async () => {
    expect((await post("spaces", start)).status).toBe(200);
    expect(await post("open", { spaceName: "ada-1", app: "marimo" })).toMatchObject({
      status: 200,
      url: "open",
    });
    expect(await post("open", { userProfileName: "grace" })).toMatchObject({ status: 200, url: "signIn" });
    expect(await (await get("/studio/api/overview")).json()).toBe("overview");
    expect(await (await get("/studio/api/log?id=space%2Fada-1")).json()).toEqual({ text: "log" });
    expect(await (await get("/studio/api/costs")).json()).toBe("costs");
    expect(calls).toEqual([
      ["act", "ada", "start", "ada-1"],
      ["open", "ada", "ada-1", "marimo"],
      ["signIn", "ada", "grace"],
      ["overview", "ada"],
      ["log", "ada", "space/ada-1"],
      ["costs", "ada"],
    ]);
  });

  it.each(["costs", "overview", "log?id=local-aws", "jobs/job-1/page"])(
    "rejects GET %s without a session",
    async (path) => {
      for (const headers of [{}, { cookie: "local-studio.d-1=guess" }]) {
        expect((await get(`/studio/api/${path}`, headers)).status).toBe(403);
      }
      expect(calls).toEqual([]);
    },
  );

  it.each<[string, Record<string, string | undefined>, number]>([
    ["without a session", { cookie: undefined }, 403],
    ["from another origin", { origin: "http://127.0.0.1:1" }, 403],
    ["from a sandboxed page", { origin: "null" }, 403],
    ["without an origin", { origin: undefined }, 403],
    ["from another port of this host", { "sec-fetch-site": "same-site" }, 403],
    ["from a form", { "content-type": "application/x-www-form-urlencoded" }, 415],
    ["as text", { "content-type": "text/plain" }, 415],
  ])("rejects a POST %s", async (_, changes, status) => {
    expect((await post("spaces", start, changes)).status).toBe(status);
    expect((await post("open", { userProfileName: "grace" }, changes)).status).toBe(status);
    expect(calls).toEqual([]);
  });

  it.each([
    ["spaces", "[]", "must be a JSON object"],
    ["spaces", "{", "not valid JSON"],
    [
      "spaces",
      { ...start, action: "toString" },
      'action must be one of create, start, stop, delete, not "toString"',
    ],
    ["spaces", { action: "start" }, "spaceName must be a string, not undefined"],
    ["spaces", { ...start, spaceName: ["ada-1"] }, 'spaceName must be a string, not ["ada-1"]'],
    ["open", { spaceName: "ada-1", app: "../x" }, 'app must be one of JupyterLab, marimo, not "../x"'],
    ["open", { userProfileName: 1 }, "userProfileName must be a string, not 1"],
  ])("rejects POST %s with %j", async (path, body, reason) => {
    const answer = await post(path, body);
    expect(answer.status).toBe(400);
    expect(answer.reason).toContain(reason);
    expect(calls).toEqual([]);
  });

  it("reports the error and the remedy", async () => {
    failure = new NotPossible(404, 'The user profile ada has no space "ada-1".', "choose one of yours");
    expect(await post("spaces", start)).toEqual({
      status: 404,
      reason: 'The user profile ada has no space "ada-1".',
      remedy: "choose one of yours",
    });
    failure = Object.assign(new Error("Space [arn] already exists."), {
      name: "ResourceInUse",
      $metadata: { httpStatusCode: 400 },
    });
    expect(await post("spaces", start)).toEqual({
      status: 409,
      reason: "ResourceInUse: Space [arn] already exists.",
      remedy: "wait until the pending change is complete, or choose another name",
    });
    failure = new Error("connect ECONNREFUSED");
    expect(await post("spaces", start)).toMatchObject({
      status: 502,
      reason: "The local AWS does not respond: connect ECONNREFUSED",
    });
  });

  it("answers 503 before the deployment, and 404 for an unknown route", async () => {
    expect((await post("nothing", {})).status).toBe(404);
    deployed = false;
    expect((await get("/studio/api/overview")).status).toBe(503);
  });
});
