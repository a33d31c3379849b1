import { describe, expect, it } from "vitest";
import { resolveServices } from "../../../src/settings/services.ts";
import { validateEnvironments } from "../../../src/settings/validate.ts";

const problems = (services: unknown, more: object = {}) =>
  validateEnvironments([{ name: "dev", services, ...more }]);
const server = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/team";

describe("the settings of SageMaker's services", () => {
  it("leave out by default what needs the internet or costs an interface endpoint", () => {
    const resolved = (settings: object) => resolveServices(settings);
    expect(resolved({})).toMatchObject({ serverlessEndpoints: true, featureStore: true });
    expect(resolved({ egress: "endpoints-only" })).toMatchObject({
      serverlessEndpoints: false,
      featureStore: false,
    });
    const existing = { network: { vpcId: "vpc-1", subnetIds: [] } };
    expect(resolved({ existing })).toMatchObject({ serverlessEndpoints: false, featureStore: true });
    expect(resolved({ existing, services: { serverlessEndpoints: true } }).serverlessEndpoints).toBe(true);
  });

  it.each([
    ["no object", true, /is not an object with settings/],
    ["an unknown key", { feature: true }, /unknown key/],
    ["text", { featureStore: "yes" }, /must be true or false/],
    ["another ARN", { mlflowArn: server.replace("mlflow-tracking-server", "model") }, /is not the ARN of/],
    ["no time-out", { instanceEndpoints: {} }, /timeoutHours: undefined is missing/],
    ["no object of endpoints", { instanceEndpoints: true }, /is not an object with settings/],
    ["a time-out of no hours", { instanceEndpoints: { timeoutHours: 0 } }, /out of range/],
    [
      "an instance type of jobs only",
      { instanceEndpoints: { timeoutHours: 1, allowedInstanceTypes: ["ml.t3.medium"] } },
      /\[0\]: "ml.t3.medium" is not an instance type for endpoints/,
    ],
    ["another region", { mlflowArn: server.replace("us-east-1", "eu-west-1") }, /is in region eu-west-1/],
  ])("refuse %s", (_, services, message) => {
    expect(problems(services)).toEqual([expect.stringMatching(message)]);
    // Control.
    const instanceEndpoints = { timeoutHours: 8760, allowedInstanceTypes: ["ml.t2.medium"] };
    expect(problems({ mlflowArn: server, featureStore: true, instanceEndpoints })).toEqual([]);
  });

  it("allow no endpoints on instances by default, and then small types", () => {
    expect(resolveServices({}).instanceEndpoints).toBeUndefined();
    expect(
      resolveServices({ services: { instanceEndpoints: { timeoutHours: 2 } } }).instanceEndpoints,
    ).toEqual({
      timeoutHours: 2,
      allowedInstanceTypes: ["ml.t2.medium", "ml.m5.large", "ml.m5.xlarge", "ml.g4dn.xlarge"],
    });
  });

  it("refuse serverless endpoints without the internet", () => {
    const given = { serverlessEndpoints: true };
    expect(problems(given, { egress: "endpoints-only" })).toEqual([
      expect.stringContaining("services.serverlessEndpoints"),
    ]);
    expect(problems(given)).toEqual([]);
  });
});
