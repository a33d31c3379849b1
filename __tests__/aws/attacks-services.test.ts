import { beforeAll, describe, expect, it } from "vitest";
import { appliedIamDocuments, type IamDocument } from "../support/iam-documents.ts";
import { type PolicyRequest, simulate } from "../support/policy-simulator.ts";
import { synthesize } from "../support/synthesize.ts";

/** What bo's role can do with SageMaker's services, evaluated on the documents that Terraform sent. */
const account = "123456789012";
const region = "us-east-1";
const arn = (kind: string, name: string) => `arn:aws:sagemaker:${region}:${account}:${kind}/${name}`;
type Context = Readonly<Record<string, string | readonly string[]>>;
type Attempt = readonly [action: string, resource: string, context?: Context];

/** Placeholders for what the documents name: see `known`. */
const [subnets, group, key] = ["SUBNETS", "GROUP", "KEY"];
const network = { "sagemaker:VpcSubnets": subnets, "sagemaker:VpcSecurityGroupIds": group };
const training = {
  ...network,
  "sagemaker:InstanceTypes": ["ml.m5.large"],
  "sagemaker:MaxRuntimeInSeconds": "3600",
};
const ownModel = { "sagemaker:ModelArn": arn("model", "marimo-dev-bo-m") };
const transform = { ...ownModel, "sagemaker:InstanceTypes": ["ml.m5.large"] };
const serverless = {
  ...ownModel,
  "sagemaker:ServerlessMemorySize": "2048",
  "sagemaker:ServerlessMaxConcurrency": "5",
};

/** What creates something, and what the request must have. */
const creates = [
  ["CreateTrainingJob", "training-job", training],
  ["CreateHyperParameterTuningJob", "hyper-parameter-tuning-job", training],
  ["CreateTransformJob", "transform-job", transform],
  ["CreateModel", "model", network],
  ["CreateEndpointConfig", "endpoint-config", serverless],
  ["CreateFeatureGroup", "feature-group", {}],
] as const satisfies readonly (readonly [string, string, Context])[];
const kindOf = new Map<string, readonly [string, Context]>(
  creates.map(([action, kind, context]) => [action, [kind, context]]),
);
/** Further actions on what users created, by kind. */
const further: Readonly<Record<string, readonly string[]>> = {
  endpoint: ["CreateEndpoint", "DeleteEndpoint", "DescribeEndpoint", "InvokeEndpoint", "UpdateEndpoint"],
  "endpoint-config": ["CreateEndpoint", "DeleteEndpointConfig", "DescribeEndpointConfig", "UpdateEndpoint"],
  "feature-group": [
    ...["BatchGetRecord", "DeleteFeatureGroup", "DeleteRecord", "DescribeFeatureGroup"],
    ...["GetRecord", "PutRecord", "UpdateFeatureGroup"],
  ],
  "hyper-parameter-tuning-job": ["DescribeHyperParameterTuningJob", "StopHyperParameterTuningJob"],
  model: ["DeleteModel", "DescribeModel", "ListTags"],
  "model-package": ["CreateModelPackage", "DeleteModelPackage", "DescribeModelPackage", "UpdateModelPackage"],
  "model-package-group": [
    ...["CreateModelPackage", "CreateModelPackageGroup"],
    ...["DeleteModelPackageGroup", "DescribeModelPackageGroup"],
  ],
  "training-job": ["DescribeTrainingJob", "StopTrainingJob"],
  "transform-job": ["DescribeTransformJob", "StopTransformJob"],
};

const every: readonly (readonly [action: string, kind: string, context: Context])[] = [
  ...creates,
  ...Object.entries(further).flatMap(([kind, actions]) =>
    actions.map((action) => [action, kind, {}] as const),
  ),
];
const nameOf = (kind: string, user: string) => `marimo-dev-${user}-x${kind === "model-package" ? "/1" : ""}`;
const attempt = (action: string, changes: Context = {}): Attempt => {
  const [kind, context] = kindOf.get(action) ?? ["", {}];
  return [`sagemaker:${action}`, arn(kind, "marimo-dev-bo-x"), { ...context, ...changes }];
};
const without = ([action, resource, context = {}]: Attempt, name: string): Attempt => [
  action,
  resource,
  Object.fromEntries(Object.entries(context).filter(([one]) => one !== name)),
];

const otherKey = `arn:aws:kms:${region}:999999999999:key/0`;
const ask = (context: Context, name = "marimo-dev-ana-x"): Attempt => [
  "sagemaker:InvokeEndpoint",
  arn("endpoint", name),
  context,
];
const offline = (uri: string) =>
  attempt("CreateFeatureGroup", { "sagemaker:FeatureGroupOfflineStoreS3Uri": uri });
const bucket = `marimo-dev-${account}-${region}`;
const stream = (service: string, user: string): Attempt => [
  "logs:GetLogEvents",
  `arn:aws:logs:${region}:${account}:log-group:/aws/sagemaker/${service}:log-stream:marimo-dev-${user}-x/algo-1`,
];
const pull = (owner: string): Attempt => [
  "ecr:BatchGetImage",
  `arn:aws:ecr:${region}:${owner}:repository/pytorch-training`,
  { "aws:ResourceAccount": owner },
];
/** Each with a control, which is allowed, and the Sid of the statement that denies it, if any. */
const rows: readonly (readonly [
  what: string,
  refused: Attempt,
  control: Attempt,
  refusedBy?: string | undefined,
])[] = [
  ...(["CreateTrainingJob", "CreateHyperParameterTuningJob"] as const).flatMap((action) => {
    const own = attempt(action);
    const row = (what: string, changes: Context, refusedBy?: string) =>
      [`${action} ${what}`, attempt(action, changes), own, refusedBy] as const;
    return [
      [`${action} outside the VPC`, without(own, "sagemaker:VpcSubnets"), own] as const,
      [`${action} without a security group`, without(own, "sagemaker:VpcSecurityGroupIds"), own] as const,
      [`${action} without a time limit`, without(own, "sagemaker:MaxRuntimeInSeconds"), own] as const,
      row("in another subnet", { "sagemaker:VpcSubnets": ["subnet-other"] }, "OtherSubnets"),
      row("with another group", { "sagemaker:VpcSecurityGroupIds": ["sg-other"] }),
      row("for a week", { "sagemaker:MaxRuntimeInSeconds": "604800" }),
      row("with eight GPUs", { "sagemaker:InstanceTypes": ["ml.p3.16xlarge"] }, "OtherInstanceTypesOfJobs"),
      row("on people's home folders", { "sagemaker:FileSystemId": "fs-1" }),
      row("with another account's key", { "sagemaker:OutputKmsKey": otherKey }),
      row("with another key of the volume", { "sagemaker:VolumeKmsKey": otherKey }),
    ];
  }),
  [
    "keeps instances for a day between jobs",
    attempt("CreateTrainingJob", { "sagemaker:KeepAlivePeriod": "86400" }),
    attempt("CreateTrainingJob", { "sagemaker:KeepAlivePeriod": "600" }),
  ],
  [
    "transforms with ana's model",
    attempt("CreateTransformJob", { "sagemaker:ModelArn": arn("model", "marimo-dev-ana-m") }),
    attempt("CreateTransformJob"),
  ],
  [
    "transforms with eight GPUs",
    attempt("CreateTransformJob", { "sagemaker:InstanceTypes": ["ml.p3.16xlarge"] }),
    attempt("CreateTransformJob"),
    "OtherInstanceTypesOfJobs",
  ],
  [
    "puts a model into another subnet",
    attempt("CreateModel", { "sagemaker:VpcSubnets": ["subnet-other"] }),
    attempt("CreateModel"),
    "OtherSubnets",
  ],
  [
    "serves a model on instances",
    attempt("CreateEndpointConfig", { "sagemaker:InstanceTypes": ["ml.m5.large"] }),
    attempt("CreateEndpointConfig"),
  ],
  [
    "serves a model on instances only",
    without(
      attempt("CreateEndpointConfig", { "sagemaker:InstanceTypes": ["ml.m5.large"] }),
      "sagemaker:ServerlessMemorySize",
    ),
    attempt("CreateEndpointConfig"),
  ],
  [
    "serves ana's model",
    attempt("CreateEndpointConfig", { "sagemaker:ModelArn": arn("model", "marimo-dev-ana-m") }),
    attempt("CreateEndpointConfig"),
  ],
  [
    "serves 200 requests at the same time",
    attempt("CreateEndpointConfig", { "sagemaker:ServerlessMaxConcurrency": "200" }),
    attempt("CreateEndpointConfig"),
  ],
  [
    "keeps features in ana's folder",
    offline(`s3://${bucket}/people/ana/features`),
    offline(`s3://${bucket}/people/bo/features`),
  ],
  [
    "keeps features in another bucket",
    offline("s3://elsewhere/people/bo/features"),
    offline(`s3://${bucket}/people/bo/features`),
  ],
  [
    "keeps features with another key",
    attempt("CreateFeatureGroup", { "sagemaker:FeatureGroupOnlineStoreKmsKey": otherKey }),
    attempt("CreateFeatureGroup", { "sagemaker:FeatureGroupOnlineStoreKmsKey": key }),
  ],
  ["asks an endpoint of another environment", ask({}, "marimo-prod-bo-x"), ask({})],
  [
    "asks an endpoint of the environment dev-2 by its tag",
    ask({ "aws:ResourceTag/Environment": "dev-2" }, "marimo-dev-2-bo-x"),
    ask({ "aws:ResourceTag/Environment": "dev" }),
  ],
  [
    "moves a model to prod's budget",
    [
      "sagemaker:AddTags",
      arn("model", "marimo-dev-bo-x"),
      { "aws:TagKeys": ["Environment"], "aws:RequestTag/Environment": "prod" },
    ],
    ["sagemaker:AddTags", arn("model", "marimo-dev-bo-x"), { "aws:TagKeys": ["note"] }],
  ],
  ["reads the log of ana's training", stream("TrainingJobs", "ana"), stream("TrainingJobs", "bo")],
  ["reads the log of ana's transform", stream("TransformJobs", "ana"), stream("TransformJobs", "bo")],
  [
    "reads the log of ana's endpoint",
    ["logs:GetLogEvents", `${stream("Endpoints/marimo-dev-ana-x", "x")[1]}`],
    ["logs:GetLogEvents", `${stream("Endpoints/marimo-dev-bo-x", "x")[1]}`],
  ],
  ["pulls another team's image", pull(account), pull("763104351884")],
];

const bo = { policies: ["aws_iam_policy.execution_", "aws_iam_policy.job_users_"], user: "bo" };
let known: Readonly<Record<string, readonly string[]>>;
let documents: readonly IamDocument[];
beforeAll(async () => {
  documents = await appliedIamDocuments(
    synthesize({ userProfiles: [{ name: "ana" }, { name: "bo" }], guardRails: {} }),
  );
  const conditionOf = (sid: string, operator: string, name: string) => {
    const found = documents.flatMap(({ document }) => document.Statement).find(({ Sid }) => Sid === sid);
    return [found?.Condition?.[operator]?.[`sagemaker:${name}`] ?? []].flat().map(String);
  };
  known = {
    [subnets]: conditionOf("OtherSubnets", "ForAnyValue:StringNotEquals", "VpcSubnets"),
    [group]: conditionOf("Train", "ForAllValues:StringEquals", "VpcSecurityGroupIds"),
    [key]: conditionOf("Train", "ArnEqualsIfExists", "OutputKmsKey"),
  };
  expect(Object.values(known).every(([one]) => one)).toBe(true);
});

function decide([action, resource, context = {}]: Attempt, { policies, user } = bo) {
  const values = Object.entries(context).map(([name, value]) => [name, known[String(value)] ?? value]);
  const request: PolicyRequest = {
    ...{ action, resource, tags: user === "" ? {} : { StudioUser: user } },
    context: { "aws:RequestedRegion": region, ...Object.fromEntries(values) },
  };
  const identity = documents
    .filter(
      ({ address, attribute }) => attribute === "policy" && policies.some((one) => address.startsWith(one)),
    )
    .map(({ document }) => document);
  expect(identity.length).toBeGreaterThan(0);
  return simulate({ identity }, request);
}

describe("SageMaker's services", () => {
  it.each(every)("%s on a %s: allowed for own, refused for others'", (action, kind, context) => {
    const on = (name: string): Attempt => [`sagemaker:${action}`, arn(kind, name), context];
    expect(decide(on(nameOf(kind, "bo"))).allowed).toBe(true);
    // Everybody can ask an endpoint of the environment.
    if (action !== "InvokeEndpoint") {
      expect(decide(on(nameOf(kind, "ana"))).allowed).toBe(false);
      expect(decide(on(nameOf(kind, "bob"))).allowed).toBe(false);
    }
    expect(decide(on(nameOf(kind, "bo").replace("dev", "prod"))).allowed).toBe(false);
    const untagged = { ...bo, user: "" };
    if (action !== "InvokeEndpoint")
      for (const name of ["bo", ""]) expect(decide(on(nameOf(kind, name)), untagged).allowed).toBe(false);
    const sharedSpace = { policies: ["aws_iam_policy.execution_"], user: "" };
    expect(decide(on(nameOf(kind, "bo")), sharedSpace).allowed).toBe(false);
  });

  it.each(rows.map(([what, ...row]) => ({ what, row })))("$what: refused", ({ row }) => {
    const [refused, control, refusedBy] = row;
    expect(decide(refused)).toEqual({ allowed: false, sid: refusedBy });
    // Control.
    expect(decide(control).allowed).toBe(true);
  });
});
