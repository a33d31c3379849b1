import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../../src/settings/environment.ts";
import { marimoDefaults, untestedVersionWarning } from "../../../src/settings/marimo.ts";
import tested from "../../../src/space/payload/python/sagemaker_marimo/tested_versions.json" with {
  type: "json",
};

describe("resolveEnvironment", () => {
  it("fills in every default, none of which costs more or keeps less than it must", () => {
    expect(resolveEnvironment({ name: "dev" })).toEqual({
      name: "dev",
      region: "us-east-1",
      vpcCidr: "10.0.0.0/16",
      availabilityZones: ["us-east-1a", "us-east-1b"],
      egress: "nat",
      userProfiles: [
        { name: "data-scientist", ssoUserName: "data-scientist", defaultInstanceType: "ml.t3.medium" },
      ],
      authentication: "IAM",
      defaultInstanceType: "ml.t3.medium",
      idleTimeoutMinutes: 60,
      repositories: [],
      images: [],
      marimoVersion: marimoDefaults.marimoVersion,
      extraPackages: [],
      transport: "auto",
      sampleNotebooks: true,
      runOnOpen: false,
      tags: {},
      dataPerimeter: false,
      guardRails: {
        allowedInstanceTypes: expect.arrayContaining(["ml.t3.medium", "ml.m5.4xlarge", "ml.g5.xlarge"]),
        spaceVolumeGb: { default: 5, maximum: 100 },
        requiredTags: [],
      },
      jobs: {
        allowedInstanceTypes: expect.arrayContaining(["ml.m5.large", "ml.r5.4xlarge", "ml.g5.xlarge"]),
        defaultInstanceType: "ml.m5.large",
        maximumInstances: 1,
        maximumMinutes: 1440,
        volumeGb: 30,
        maximumSchedulesPerUser: 10,
        shortestScheduleMinutes: 15,
        imageUri: "885854791233.dkr.ecr.us-east-1.amazonaws.com/sagemaker-distribution-prod:4.5.2-cpu",
        gpuImageUri: "885854791233.dkr.ecr.us-east-1.amazonaws.com/sagemaker-distribution-prod:4.5.2-gpu",
        secrets: [],
        alertAddresses: [],
      },
      schedules: [],
      access: { buckets: [], glueDatabases: [], secrets: [], redshift: [], lakeFormation: false },
      teams: [],
      audit: { retentionDays: 365, alertAddresses: [] },
      homeBackup: undefined,
      deployers: [],
      awsProviderVersion: "~> 5.100",
      backend: { type: "local" },
      homeFileSystemRetention: "Retain",
      services: {
        serverlessEndpoints: true,
        featureStore: true,
        mlflowArn: undefined,
        instanceEndpoints: undefined,
      },
      existing: {},
      removalProtection: true,
      bucketForceDestroy: false,
    });
  });

  it("keeps every setting that was given", () => {
    const given: Required<EnvironmentSettings> = {
      name: "prod",
      region: "eu-west-1",
      vpcCidr: "172.20.0.0/20",
      availabilityZones: ["eu-west-1b", "eu-west-1c"],
      egress: "endpoints-only",
      userProfiles: [{ name: "ana", ssoUserName: "ana@example.com", defaultInstanceType: "ml.m5.xlarge" }],
      dataPerimeter: false,
      authentication: "SSO",
      defaultInstanceType: "ml.m5.large",
      idleTimeoutMinutes: 120,
      repositories: [
        {
          repositoryUrl: "https://github.com/acme/models",
          secretArn: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:git-AbCdEf",
        },
      ],
      images: [
        { name: "geo", imageUri: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/geo:1", gpu: true },
        { name: "r", imageUri: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/r:1", gpu: false },
      ],
      marimoVersion: "0.25.1",
      extraPackages: ["polars==1.30.0"],
      packageIndexUrl: "https://pypi.example.com/simple",
      transport: "polling",
      sampleNotebooks: false,
      appsFolder: "apps",
      runOnOpen: true,
      tags: { CostCenter: "42" },
      guardRails: {
        allowedInstanceTypes: ["ml.m5.large", "ml.m5.xlarge"],
        maximumSpacesPerUser: 2,
        spaceVolumeGb: { default: 10, maximum: 50 },
        requiredTags: ["CostCenter"],
        budget: {
          monthlyUsd: 500,
          alertAddresses: ["team@example.com"],
          alertPercents: [90],
          stopAtPercent: 120,
        },
      },
      jobs: {
        allowedInstanceTypes: ["ml.m5.xlarge"],
        defaultInstanceType: "ml.m5.xlarge",
        maximumInstances: 4,
        maximumMinutes: 30,
        volumeGb: 50,
        maximumSchedulesPerUser: 3,
        shortestScheduleMinutes: 60,
        imageUri: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/ours:1.0",
        gpuImageUri: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/ours-gpu:1.0",
        secrets: ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:warehouse-AbCdEf"],
        alertAddresses: ["team@example.com"],
      },
      schedules: [
        {
          name: "daily",
          notebook: "sample-notebooks/01_explore_data.py",
          files: ["prices.csv"],
          lock: "prices.csv",
          expression: "rate(1 day)",
          timeZone: "Europe/Berlin",
          instanceType: "ml.m5.xlarge",
          arguments: ["--env", "prod"],
          secrets: {
            WAREHOUSE: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:warehouse-AbCdEf",
          },
          timeLimitMinutes: 10,
          enabled: false,
        },
      ],
      services: {
        serverlessEndpoints: false,
        featureStore: true,
        mlflowArn: "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-app/app-0123",
      },
      access: {
        ...{ buckets: [{ name: "acme-lake" }], glueDatabases: ["sales"], secrets: ["marimo/*"] },
        ...{ redshift: [{ cluster: "warehouse", database: "sales" }], lakeFormation: true },
      },
      teams: [
        {
          name: "forecasting",
          members: ["ana"],
          access: {
            ...{ buckets: [], glueDatabases: ["plans"], secrets: [], redshift: [] },
            lakeFormation: false,
          },
          allowedInstanceTypes: ["ml.g5.12xlarge"],
        },
      ],
      deployers: ["arn:aws:iam::123456789012:role/deploy"],
      ai: {
        region: "eu-west-1",
        chatModel: "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        editModel: "eu.amazon.nova-pro-v1:0",
        autocompleteModel: "amazon.nova-lite-v1:0",
        maxTokens: 4096,
        guardrail: { id: "abcd1234efgh", version: "1" },
        allowedModels: ["amazon.nova-micro-v1:0"],
        costByUser: false,
      },
      homeBackup: { intervalMinutes: 60, include: ["a"], exclude: ["b"], maximumSizeGb: 20 },
      audit: {
        retentionDays: 30,
        alertAddresses: ["security@example.com"],
      },
      account: "123456789012",
      awsProviderVersion: "~> 6.62",
      backend: {
        type: "s3",
        bucket: "acme-terraform",
        key: "studio.tfstate",
        region: "eu-central-1",
        kmsKeyId: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
      },
      homeFileSystemRetention: "Delete",
      existing: {
        encryptionKeyArn: "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
      },
      permissionsBoundaryArn: "arn:aws:iam::123456789012:policy/boundary",
      removalProtection: true,
      bucketForceDestroy: false,
    };
    expect(resolveEnvironment(given)).toEqual(given);
  });

  it("backs up everything that is not hidden each half an hour, up to 5 GB, where homes are backed up", () => {
    const defaults = { intervalMinutes: 30, include: [], exclude: [], maximumSizeGb: 5 };
    expect(resolveEnvironment({ name: "dev", homeBackup: {} }).homeBackup).toEqual(defaults);
    expect(resolveEnvironment({ name: "dev", homeBackup: { include: ["a"] } }).homeBackup).toEqual({
      ...defaults,
      include: ["a"],
    });
  });

  it("has no trail where the settings turn it off", () => {
    expect(resolveEnvironment({ name: "dev", audit: false }).audit).toBeUndefined();
  });

  it("alerts at the half, at 80 and at 100 per cent of a budget, and stops nothing", () => {
    const budget = { monthlyUsd: 500, alertAddresses: ["team@example.com"] };
    expect(resolveEnvironment({ name: "dev", guardRails: { budget } }).guardRails.budget).toEqual({
      ...budget,
      alertPercents: [50, 80, 100],
    });
  });

  it("makes an image for CPUs unless the settings say otherwise", () => {
    const image = { name: "r", imageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/r:1" };
    expect(resolveEnvironment({ name: "dev", images: [image] }).images).toEqual([{ ...image, gpu: false }]);
  });

  it("follows the region with the zones and the state's bucket", () => {
    const resolved = resolveEnvironment({
      name: "dev",
      region: "eu-west-1",
      backend: { type: "s3", bucket: "acme" },
    });
    expect(resolved.availabilityZones).toEqual(["eu-west-1a", "eu-west-1b"]);
    expect(resolved.backend).toEqual({
      type: "s3",
      bucket: "acme",
      key: "sagemaker-marimo/dev.tfstate",
      region: "eu-west-1",
    });
  });

  it("gives the environment's instance type to users without their own", () => {
    const userProfiles = [{ name: "ana" }, { name: "bo", defaultInstanceType: "ml.g5.xlarge" }];
    const resolved = resolveEnvironment({ name: "dev", defaultInstanceType: "ml.m5.large", userProfiles });
    expect(resolved.userProfiles.map((profile) => profile.defaultInstanceType)).toEqual([
      "ml.m5.large",
      "ml.g5.xlarge",
    ]);
  });

  it.each([
    [{}, true, false],
    [{ homeFileSystemRetention: "Delete" }, false, true],
    [{ homeFileSystemRetention: "Delete", removalProtection: true }, true, false],
    [{ removalProtection: false }, false, true],
    [{ removalProtection: false, bucketForceDestroy: false }, false, false],
  ] as const)("protects work by default: %j", (settings, removalProtection, bucketForceDestroy) => {
    expect(resolveEnvironment({ name: "dev", ...settings })).toMatchObject({
      removalProtection,
      bucketForceDestroy,
    });
  });

  it("takes a size of a volume that is undefined for one that is left out", () => {
    const spaceVolumeGb = { default: undefined, maximum: 50 } as unknown as { maximum: number };
    expect(
      resolveEnvironment({ name: "dev", guardRails: { spaceVolumeGb } }).guardRails.spaceVolumeGb,
    ).toEqual({
      default: 5,
      maximum: 50,
    });
  });

  it("changes nothing that it was given", () => {
    const frozen = Object.freeze({
      name: "dev",
      userProfiles: Object.freeze([Object.freeze({ name: "ana" })]),
    });
    expect(resolveEnvironment(frozen)).toEqual(resolveEnvironment(frozen));
  });
});

describe("the default version of marimo", () => {
  const samples = readdirSync(join(projectFolder, "sample-notebooks"))
    .filter((name) => name.endsWith(".py"))
    .map((name) => `sample-notebooks/${name}`);

  it.each<[string, RegExp[]]>([
    ["src/settings/README.md", [/^\| `marimoVersion` \| [`"]([^`"]+)[`"] \|/m]],
    ["src/settings/marimo.ts", [/@default "([^"]+)"\n {3}\*\/\n {2}readonly marimoVersion\?/]],
    ...samples.map((file): [string, RegExp[]] => [
      file,
      [/^# {5}"marimo==([^"]+)",$/m, /^__generated_with = "([^"]+)"$/m],
    ]),
  ])("is the one in %s", (file, places) => {
    const text = readFileSync(join(projectFolder, file), "utf8");
    for (const place of places) expect(place.exec(text)?.[1]).toBe(marimoDefaults.marimoVersion);
  });

  it.each([
    ["0.23.14", false],
    [tested.marimo, false],
    ["0.25.3", true],
    ["0.26.0", true],
    ["1.0.0", true],
  ])("is the newest tested: %s is newer: %s", (marimoVersion, isNewer) => {
    const warning = untestedVersionWarning({ name: "dev", marimoVersion });
    expect(warning !== undefined).toBe(isNewer);
    if (isNewer)
      expect(warning).toContain(`dev: marimoVersion "${marimoVersion}" is newer than ${tested.marimo}`);
  });
});

describe("the tested versions of the image's packages", () => {
  it("are those of the image's stand-in, which the tests run", () => {
    const image = readFileSync(join(projectFolder, "src/local-studio/image/requirements.in"), "utf8");
    const { marimo: _, ...packages } = tested;
    expect(Object.keys(packages)).toHaveLength(3);
    for (const [name, version] of Object.entries(packages))
      expect(image.split("\n")).toContain(`${name}==${version}`);
  });
});
