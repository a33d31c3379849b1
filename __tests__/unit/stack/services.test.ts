import { describe, expect, it } from "vitest";
import { arn, resource, resourceNames, statements, synthesize } from "../../support/synthesize.ts";

const user = "&{aws:PrincipalTag/StudioUser}";
const tagged = { test: "StringLike", variable: "aws:PrincipalTag/StudioUser", values: ["?*"] };
const conditionsOf = (settings: Parameters<typeof synthesize>[0], sid: string) =>
  Object.fromEntries(
    (statements(synthesize(settings), "job_users_services_document")[sid]?.condition ?? []).map(
      ({ test, values, variable }) => [`${test} ${variable}`, values],
    ),
  );

describe("SageMaker's services", () => {
  it("are for users under their own names, guarded against a missing or empty tag", () => {
    const all = Object.values(statements(synthesize(), "job_users_services_document"));
    const own = all.filter(
      ({ effect, resources }) => effect !== "Deny" && JSON.stringify(resources).includes(user),
    );
    expect(own.map(({ sid }) => sid)).toEqual([
      "Train",
      "Transform",
      "CreateModels",
      "ConfigureServerlessEndpoints",
      "CreateFeatureGroups",
      "OwnServices",
    ]);
    for (const { condition, sid } of own) expect(condition, sid).toContainEqual(tagged);
    expect(
      resource(synthesize(), "aws_iam_policy_attachment", "job_users_services_attachment").roles,
    ).toContain("users_role");
    // Control: shared spaces have none.
    expect(statements(synthesize(), "execution_spaces_document")).not.toHaveProperty("Train");
  });

  it("have no way around the network: serverless endpoints and models without a VPC only with a NAT gateway", () => {
    expect(conditionsOf({}, "CreateModels")).not.toHaveProperty(["Null sagemaker:VpcSubnets"]);
    expect(conditionsOf({ egress: "endpoints-only" }, "CreateModels")).toHaveProperty([
      "Null sagemaker:VpcSubnets",
    ]);
    expect(conditionsOf({}, "ConfigureServerlessEndpoints")).toMatchObject({
      "Null sagemaker:ServerlessMemorySize": ["false"],
      "Null sagemaker:InstanceTypes": ["true"],
    });
    expect(conditionsOf({ egress: "endpoints-only" }, "ConfigureServerlessEndpoints")).toEqual({});
  });

  it("have endpoints on instances by setting only, of these types, with a time-out", () => {
    const instanceEndpoints = { timeoutHours: 3, allowedInstanceTypes: ["ml.m5.large"] };
    expect(conditionsOf({ services: { instanceEndpoints } }, "ConfigureInstanceEndpoints")).toMatchObject({
      "ForAllValues:StringEquals sagemaker:InstanceTypes": ["ml.m5.large"],
      "Null sagemaker:InstanceTypes": ["false"],
      "Null sagemaker:ServerlessMemorySize": ["true"],
    });
    const stack = synthesize({ services: { instanceEndpoints } });
    const machine = resource(stack, "aws_sfn_state_machine", "endpoint_timeout_machine");
    expect(machine.definition).toContain("$millis() - 10800000)");
    // Control: the default.
    expect(conditionsOf({}, "ConfigureInstanceEndpoints")).toEqual({});
    expect(synthesize().text).not.toContain("endpoint-timeout");
  });

  it("train with the limits of jobs, and without what the SDK cannot send", () => {
    const limits = conditionsOf({ jobs: { maximumMinutes: 10 } }, "Train");
    expect(limits).toMatchObject({
      "NumericLessThanEquals sagemaker:MaxRuntimeInSeconds": ["600"],
      "Null sagemaker:VpcSubnets": ["false"],
      "Null sagemaker:FileSystemId": ["true"],
    });
    expect(Object.keys(limits).filter((key) => /^(StringEquals|ArnEquals) /.test(key))).toEqual([]);
  });

  it("have MLflow and the feature store if the settings say so, with interface endpoints only without internet", () => {
    const mlflowArn = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/team";
    const isolated = synthesize({ egress: "endpoints-only", services: { featureStore: true, mlflowArn } });
    const endpoints = (stack: typeof isolated) =>
      resourceNames(stack, "aws_vpc_endpoint").filter((name) => /mlflow|featurestore/.test(name));
    expect(endpoints(isolated)).toEqual(["network_featurestore_runtime_endpoint", "network_mlflow_endpoint"]);
    expect(statements(isolated, "job_users_job_runtime_document").Experiments).toMatchObject({
      actions: [
        "sagemaker-mlflow:*",
        "sagemaker:CreatePresignedMlflowTrackingServerUrl",
        "sagemaker:DescribeMlflowTrackingServer",
      ],
      resources: [mlflowArn],
    });
    const app = synthesize({
      services: { mlflowArn: mlflowArn.replace("tracking-server/team", "app/app-1") },
    });
    expect(statements(app, "job_users_job_runtime_document").Experiments?.actions).toContain(
      "sagemaker:CallMlflowAppApi",
    );
    expect(endpoints(app)).toEqual([]);
    // Control: without the settings.
    const without = synthesize({ egress: "endpoints-only" });
    expect(endpoints(without)).toEqual([]);
    expect(statements(without, "job_users_services_document")).not.toHaveProperty("CreateFeatureGroups");
    expect(statements(without, "job_users_services_document").OwnServices?.actions).not.toContain(
      "sagemaker:PutRecord",
    );
    expect(statements(without, "job_users_job_runtime_document")).not.toHaveProperty("Experiments");
  });

  it("run as the one role where everybody has it", () => {
    const stack = synthesize({ existing: { executionRoleArn: "arn:aws:iam::123456789012:role/studio" } });
    expect(statements(stack, "job_users_services_document").Train?.resources).toContain(
      arn("sagemaker", "training-job/marimo-dev-*"),
    );
    expect(resourceNames(stack, "aws_iam_policy")).toContain("job_users_services_policy");
  });
});
