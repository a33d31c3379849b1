import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ListDomainsCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { until } from "../support/space-fixture.ts";

/** The app host of a rehearsal, which runs commands on this machine. These tests send it no requests. */
const appHost = { url: "http://127.0.0.1:9", token: "the-token-of-this-rehearsal" };

let folder: string;
let localAws: LocalAws;
let open: LocalAws;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-access-"));
  const { python } = await pythonEnvironment("aws");
  [localAws, open] = await Promise.all([
    startLocalAws({ python, appHost, log: join(folder, "log") }),
    startLocalAws({ python, log: join(folder, "open.log") }),
  ]);
});
afterAll(async () => {
  await Promise.all([localAws?.stop(), open?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

const test = { accessKeyId: "test", secretAccessKey: "test" };
const listDomains = ({ endpoint }: LocalAws, settings: object) =>
  new SageMakerClient({ endpoint, region: "us-east-1", maxAttempts: 1, ...settings }).send(
    new ListDomainsCommand({}),
  );

/** Sends a request with any `Host` header, which `fetch` does not allow. */
function status(
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
  body = "",
): Promise<number> {
  return new Promise((resolve, reject) => {
    const one = request(`${localAws.endpoint}${path}`, { method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    one.once("error", reject);
    one.end(body);
  });
}

describe("the local AWS of a rehearsal", () => {
  it("accepts only its own access key", async () => {
    const key = localAws.environment.AWS_ACCESS_KEY_ID;
    expect(key).toMatch(/^LOCAL[0-9A-F]{32}$/);
    expect(await listDomains(localAws, localAws.clientSettings())).toMatchObject({ Domains: [] });
    await expect(listDomains(localAws, { credentials: test })).rejects.toMatchObject({
      $metadata: { httpStatusCode: 403 },
    });
    // The server's standard error is written to the file asynchronously.
    await until("the line", () => readFileSync(join(folder, "log"), "utf8").includes("403 POST '/'"));
    // Without an app host, nothing runs and any credentials are accepted.
    expect(await listDomains(open, { credentials: test })).toMatchObject({ Domains: [] });
  });

  it("also checks the access key of presigned URLs", async () => {
    const presigned = (key: string) =>
      `/bucket/key?X-Amz-Credential=${key}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request`;
    expect(await status(presigned(String(localAws.environment.AWS_ACCESS_KEY_ID)))).toBe(404);
    expect(await status(presigned("test"))).toBe(403);
  });

  it("accepts only its own address as Host, which prevents DNS rebinding", async () => {
    const { port } = new URL(localAws.endpoint);
    expect(await status("/local-aws/inventory")).toBe(200);
    expect(await status("/local-aws/inventory", { Host: `localhost:${port}` })).toBe(200);
    expect(await status("/local-aws/inventory", { Host: `rebound.example:${port}` })).toBe(421);
  });

  it.each([
    "/local-aws/costs",
    "/local-aws/faults",
    "/local-aws/schedules/fire",
    "/local-aws/schedules/pass-time",
    "/local-aws/processing-jobs/interrupt",
    "/local-aws/training-jobs/interrupt",
    "/local-aws/warm-pools/quota",
  ])("accepts POST %s only from the process that started it, and not from a web page", async (path) => {
    const own = { Authorization: `Bearer ${appHost.token}`, "Content-Type": "application/json" };
    expect(await status(path, { "Content-Type": "application/json" }, "POST", "[]")).toBe(401);
    expect(await status(path, { ...own, Authorization: "Bearer guess" }, "POST", "[]")).toBe(401);
    expect(await status(path, { ...own, "Content-Type": "text/plain" }, "POST", "[]")).toBe(415);
    // The operations that require an object reject the list.
    expect(await status(path, own, "POST", "[]")).toBe(path === "/local-aws/faults" ? 200 : 400);
  });
});
