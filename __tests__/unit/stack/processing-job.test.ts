import { describe, expect, it } from "vitest";
import { processingInstanceTypes } from "../../../src/settings/processing.ts";
import type { JobsJson } from "../../../src/stack/jobs/jobs.ts";
import { processingJobRequest } from "../../../src/stack/jobs/processing-job.ts";
import contract from "../../support/job-contract.json" with { type: "json" };
import { arn, statements, synthesize } from "../../support/synthesize.ts";

// __tests__/python/test_jobs_request.py and test_sweep.py hold `marimo-job` to the same file.
const { job, request, sweep } = contract;
const settings: JobsJson = contract["jobs.json"];

describe("the contract between the stack and marimo-job", () => {
  it("is the request that a schedule makes", () => {
    const { bucket: bucketName } = settings;
    const [imageUri, gpuImageUri] = [settings.imageUri ?? "", settings.gpuImageUri ?? ""];
    const defaults = { ...settings, bucketName, imageUri, gpuImageUri, roleArn: String(settings.roleArn) };
    expect(processingJobRequest(defaults, job)).toEqual(request);
    for (const { instanceType, image, hasVolumeKey } of contract.instanceTypes) {
      const made = processingJobRequest(defaults, { ...job, instanceType });
      expect(made.AppSpecification.ImageUri, instanceType).toBe(image === "gpu" ? gpuImageUri : imageUri);
      const { VolumeKmsKeyId } = made.ProcessingResources.ClusterConfig;
      expect(VolumeKmsKeyId, instanceType).toBe(hasVolumeKey ? settings.encryptionKeyArn : undefined);
    }
  });

  it("has an instance type of each family that processing jobs can use", () => {
    const family = (type: string) => type.split(".")[1];
    const families = new Set(processingInstanceTypes.map(family));
    expect(new Set(contract.instanceTypes.map(({ instanceType }) => family(instanceType)))).toEqual(families);
  });

  it("names the members of jobs.json that the stack writes", () => {
    const { content } = synthesize().resource.aws_s3_object?.jobs_settings ?? {};
    expect(Object.keys(JSON.parse(String(content)) as object).sort()).toEqual(Object.keys(settings).sort());
  });

  it("has names of jobs and pipelines that people may use", () => {
    const existing = { executionRoleArn: "arn:aws:iam::123456789012:role/studio" };
    const { OwnJobsAndSweeps, SendJobs } = statements(synthesize({ existing }), "job_users_jobs_document");
    const allows = (resources: readonly string[] | undefined, resource: string) =>
      resources?.some((pattern) => resource.startsWith(pattern.replace(/\*$/, "")));
    for (const name of [job.name, sweep.jobOfRow])
      expect(allows(SendJobs?.resources, arn("sagemaker", `processing-job/${name}`))).toBe(true);
    expect(allows(OwnJobsAndSweeps?.resources, arn("sagemaker", `pipeline/${sweep.pipeline}`))).toBe(true);
  });
});
