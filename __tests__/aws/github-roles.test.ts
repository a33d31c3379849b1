import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import {
  type PolicyDocument,
  policiesOf,
  type RoleName,
  roleDocument,
  roles,
} from "../../src/github/roles.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../src/settings/environment.ts";
import { type RecordedRequest, type RequestRecorder, recordRequests } from "../support/request-recorder.ts";

const run = promisify(execFile);
const account = "123456789012";
const bucket = "our-terraform-state";

/**
 * Together, these environments have all egress modes, authentications and resources of the stack, with the state in S3.
 */
const environments: readonly EnvironmentSettings[] = [
  {
    name: "open",
    egress: "nat-per-zone",
    vpcCidr: "10.1.0.0/16",
    userProfiles: [{ name: "ana" }, { name: "bo" }],
    images: [{ name: "geo", imageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/geo:1" }],
    jobs: { alertAddresses: ["ana@example.com"], notifications: { emailDomains: ["example.com"] } },
    ai: { chatModel: "amazon.nova-lite-v1:0", costByUser: true },
    access: { athena: { bytesScannedCutoffGb: 10 } },
    guardRails: {
      allowedInstanceTypes: ["ml.t3.medium", "ml.m5.large"],
      maximumSpacesPerUser: 2,
      requiredTags: ["Team"],
      budget: { monthlyUsd: 500, alertAddresses: ["ana@example.com"], stopAtPercent: 100 },
      budgetPerUser: { monthlyUsd: 50, alertAddresses: ["ana@example.com"], stopAtPercent: 100 },
    },
    schedules: [
      { name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "cron(0 7 1 1 ? 2199)" },
    ],
  },
  {
    name: "closed",
    egress: "endpoints-only",
    vpcCidr: "10.2.0.0/16",
    authentication: "SSO",
    userProfiles: [],
  },
].map((one) => ({
  ...(one as EnvironmentSettings),
  tags: { Team: "a" },
  homeFileSystemRetention: "Delete",
  backend: { type: "s3", bucket },
}));
/** The same environments with changed tags, users, user settings and schedules. */
const changed = environments.map((one) => ({
  ...one,
  ...(one.schedules && { schedules: one.schedules.map((daily) => ({ ...daily, enabled: false })) }),
  ...(one.images && { images: one.images.map((image) => ({ ...image, gpu: true })) }),
  ...(one.access && { access: { athena: { bytesScannedCutoffGb: 20 } } }),
  ...(one.guardRails && { guardRails: { ...one.guardRails, maximumSpacesPerUser: 3 } }),
  tags: { Team: "a", Owner: "b" },
  idleTimeoutMinutes: 90,
  userProfiles: one.userProfiles?.length
    ? [{ name: "ana", defaultInstanceType: "ml.m5.large" }, { name: "cy" }]
    : [],
}));

interface Actions {
  /** The paths of the requests by required action. */
  readonly needed: Readonly<Record<string, readonly string[]>>;
  readonly levels: Readonly<Record<string, string | null>>;
  readonly dependent: Readonly<Record<string, readonly string[]>>;
}

/** Allowed actions that the local AWS does not receive, or not under this name, each with its reason. */
const notRequested: Readonly<Record<string, string>> = {
  "athena:UntagResource": "for a change of tags",
  "bedrock:UntagResource": "for a change of tags",
  "budgets:UntagResource": "for a change of tags",
  "iam:CreateServiceLinkedRole": "for CreateDomain, once per account",
  "iam:PassRole": "for CreateDomain, CreateUserProfile and CreateFlowLogs",
  "kms:CreateGrant": "Amazon SageMaker AI Developer Guide: a domain's key for its home file system",
  "kms:Decrypt": "for objects and a state that are encrypted with a KMS key",
  "kms:GenerateDataKey": "to write such objects",
  "sagemaker:DeletePipeline": "for the removal guard, with consent, if there are sweeps",
  "sagemaker:DescribeProcessingJob": "for the removal guard, if jobs are running",
  "sagemaker:ListPipelineExecutions": "as for DeletePipeline",
  "sagemaker:StopPipelineExecution": "the same",
  "sagemaker:DeleteEndpoint": "for the removal guard, if users made such things",
  "sagemaker:DeleteEndpointConfig": "for the removal guard, if users made such things",
  "sagemaker:DeleteFeatureGroup": "for the removal guard, if users made such things",
  "sagemaker:DeleteModel": "for the removal guard, if users made such things",
  "sagemaker:DeleteModelPackage": "for the removal guard, if users made such things",
  "sagemaker:DeleteModelPackageGroup": "for the removal guard, if users made such things",
  "sagemaker:DescribeEndpoint": "for the removal guard, if users made such things",
  "sagemaker:DescribeEndpointConfig": "for the removal guard, if users made such things",
  "sagemaker:DescribeFeatureGroup": "for the removal guard, if users made such things",
  "sagemaker:DescribeHyperParameterTuningJob": "for the removal guard, if users made such things",
  "sagemaker:DescribeModel": "for the removal guard, if users made such things",
  "sagemaker:DescribeModelPackageGroup": "for the removal guard, if users made such things",
  "sagemaker:DescribeTrainingJob": "for the removal guard, if users made such things",
  "sagemaker:DescribeTransformJob": "for the removal guard, if users made such things",
  "sagemaker:ListModelPackages": "for the removal guard, if users made such things",
  "sagemaker:StopHyperParameterTuningJob": "for the removal guard, if users made such things",
  "sagemaker:StopTrainingJob": "for the removal guard, if users made such things",
  "sagemaker:StopTransformJob": "for the removal guard, if users made such things",
  "sagemaker:StopProcessingJob": "for the removal guard, with consent, if jobs are running",
  "iam:PutRolePermissionsBoundary": "for a role that gets another boundary",
  "iam:UntagPolicy": "for a change of tags",
  "iam:UntagRole": "the same",
  "cloudtrail:RemoveTags": "the same",
  "cloudwatch:UntagResource": "the same",
  "ec2:DeleteTags": "the same",
  "events:UntagResource": "the same",
  "kms:UntagResource": "the same",
  "logs:UntagResource": "the same",
  "sagemaker:DeleteTags": "the same",
  "scheduler:UntagResource": "the same",
  "sns:UntagResource": "the same",
  "sqs:UntagQueue": "the same",
  "states:UntagResource": "the same",
  "cloudtrail:StopLogging": "for a change of the trail",
  "cloudtrail:UpdateTrail": "the same",
  "iam:UpdateAssumeRolePolicy": "for a version of this project that changes a trust policy",
  "states:UpdateStateMachine": "for a version of this project that changes the state machine",
  "kms:PutKeyPolicy": "for CreateKey with a policy, and for a change of the policy",
};
/** Actions that one role does not need, or not at each run, each with its reason. */
const perhapsRequested: Readonly<Record<string, string>> = {
  "ec2:DescribeSecurityGroupRules":
    "by an apply, and by the plan of an older state, where the rule of the endpoints' group is a resource",
  "elasticfilesystem:DescribeMountTargets":
    "by the clean-up, if the other stack's destroy still has its home file system",
};
/** Actions that `npm run plan` needs, in addition to Terraform. */
const requestedByReview: Readonly<Record<string, string>> = {
  "iam:GetAccountSummary": "npm run plan compares the account's quotas",
  "iam:ListPolicies": "the same",
  "iam:ListRoles": "the same",
  "s3:PutObject": "the workflow stores the plan for its apply",
  "scheduler:ListScheduleGroups": "as for GetAccountSummary",
  "sagemaker:ListApps": "npm run plan checks for running apps that block a change",
  "sagemaker:ListSpaces": "the same",
};
/** Dependent actions in AWS's Service Authorization Reference that the stack does not need. */
const unneeded: Readonly<Record<string, string>> = {
  "billing:GetBillingViewData": "Guess: only for a budget of a billing view of one's own",
  "ecs:ListClusters": "only for flow logs of ECS",
  "ecs:ListContainerInstances": "the same",
  "ecs:ListServices": "the same",
  "ecs:ListTaskDefinitions": "the same",
  "ecs:ListTasks": "the same",
  "organizations:ListAWSServiceAccessForOrganization": "only for trails of an organization",
  "states:PublishStateMachineVersion": "only for a state machine that is published in versions",
  "route53:AssociateVPCWithHostedZone": "only for private DNS of a custom endpoint service",
};
/** What the plan role can write: each plan once. AWS's reference classifies Decrypt as a write. */
const written = {
  "kms:Decrypt": /:key\/\*$/,
  "s3:PutObject": /\.plans\/\*$/,
};
/** Needs no permission (AWS STS API Reference, GetCallerIdentity). */
const free = new Set(["sts:GetCallerIdentity"]);
/**
 * What a destroy needs beyond the apply role, which an administrator runs: SageMaker's home file system does not have the
 * environment's tag.
 */
const destroyOnly = new Set(["elasticfilesystem:DeleteFileSystem", "elasticfilesystem:DeleteMountTarget"]);

let folder: string;
let project: ReturnType<typeof copyProject>;
let aws: LocalAws;
let recorder: RequestRecorder;
let environment: NodeJS.ProcessEnv;
let terraform: string;
let planned: Actions;
let applied: Actions;

const resolved = () => environments.map(resolveEnvironment);
/** All policies of a role as one document. */
const policyOf = (role: RoleName, one = resolved()[0]): PolicyDocument => {
  if (one === undefined) throw new Error("no environment");
  const props = { environment: one, account, repository: "our/team" };
  return {
    Version: "2012-10-17",
    Statement: policiesOf[role].flatMap((name) => roleDocument(name, props).Statement),
  };
};
const list = (one: string | readonly string[] = []) => (typeof one === "string" ? [one] : one);
const actionsOf = (policy: PolicyDocument) => [
  ...new Set(policy.Statement.flatMap(({ Action }) => list(Action))),
];

async function synthesize(settings: readonly EnvironmentSettings[]): Promise<void> {
  const file = join(project.folder, "src/environments.ts");
  writeFileSync(file, `export const environments = ${JSON.stringify(settings)};\n`);
  await run(process.execPath, ["--import", "tsx", "main.ts"], { cwd: project.folder, env: environment });
}

/** Runs Terraform in both stacks at the same time, and returns the requests to AWS. */
async function phase(...commands: string[][]): Promise<readonly RecordedRequest[]> {
  await Promise.all(
    environments.map(async ({ name }) => {
      const cwd = join(project.folder, "cdktf.out/stacks", name);
      for (const args of commands)
        await run(terraform, [...args, "-no-color"], { cwd, env: environment, maxBuffer: 64 << 20 });
    }),
  );
  return recorder.take();
}

async function actions(requests: readonly RecordedRequest[]): Promise<Actions> {
  const { python } = await pythonEnvironment("iam");
  const child = spawn(python, [join(projectFolder, "__tests__/support/iam/actions.py")]);
  child.stdin.end(JSON.stringify({ requests, actions: roles.flatMap((role) => actionsOf(policyOf(role))) }));
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect(errors).toBe("");
  return JSON.parse(output) as Actions;
}

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-roles-"));
  aws = await startLocalAws({
    python: (await pythonEnvironment("aws")).python,
    log: join(folder, "local-aws.log"),
  });
  recorder = await recordRequests(aws.endpoint);
  terraform = (await findTerraform()).command;
  environment = {
    ...process.env,
    ...(await terraformEnvironment({ command: terraform, runFolder: folder })),
    ...aws.environment,
    AWS_ENDPOINT_URL: recorder.endpoint,
  };
  const s3 = new S3Client({ ...aws.clientSettings(), forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  project = copyProject();
  await synthesize(environments);
  const plan = ["plan", "-input=false", "-lock=false", "-out=plan.tfplan"];
  const planning = [...(await phase(["init", "-input=false", "-backend-config=use_path_style=true"], plan))];
  const applying = [...(await phase(["apply", "plan.tfplan"]))];
  await synthesize(changed);
  planning.push(...(await phase(plan)));
  applying.push(...(await phase(["apply", "plan.tfplan"])));
  applying.push(...(await phase(["destroy", "-auto-approve"])));
  planned = await actions(planning);
  applied = await actions(applying);
});
afterAll(async () => {
  project?.remove();
  recorder?.close();
  await aws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The wildcards are * and ? (IAM User Guide, "IAM JSON policy elements: Resource"). */
const matches = (pattern: string, arn: string) =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".")}$`,
  ).test(arn);

/** Requests that no statement allows, by action. For S3, whose requests contain the resource, also by resource. */
function denied(policies: readonly PolicyDocument[], { needed }: Actions): readonly string[] {
  const statements = policies.flatMap(({ Statement }) => Statement);
  return Object.entries(needed).flatMap(([action, paths]) => {
    if (free.has(action) || destroyOnly.has(action)) return [];
    const allowing = statements.filter(({ Action }) => list(Action).includes(action));
    if (!action.startsWith("s3:")) return allowing.length > 0 ? [] : [action];
    return (
      paths
        .map((path) => `arn:aws:s3:::${decodeURIComponent(path.split("?")[0] ?? "").replace(/^\/|\/$/g, "")}`)
        // DeleteObjects has its objects in the body.
        .map((arn) => (/^s3:DeleteObject/.test(action) && !arn.includes("/") ? `${arn}/object` : arn))
        .filter((arn) => !allowing.some(({ Resource }) => list(Resource).some((one) => matches(one, arn))))
        .map((arn) => `${action} on ${arn}`)
    );
  });
}

const both = (role: RoleName) => resolved().map((one) => policyOf(role, one));
const without = (policy: PolicyDocument, sid: string): PolicyDocument => ({
  ...policy,
  Statement: policy.Statement.filter(({ Sid }) => Sid !== sid),
});

describe("the plan role", () => {
  it("allows all requests of a plan: of a new environment, of an existing one and of a change", () => {
    expect(Object.keys(planned.needed).length).toBeGreaterThan(40);
    expect(denied(both("plan"), planned)).toEqual([]);
  });

  it.each(["ReadState", "ReadBuckets", "ReadNetwork"])("cannot plan without %s", (sid) => {
    expect(
      denied(
        both("plan").map((policy) => without(policy, sid)),
        planned,
      ),
    ).not.toEqual([]);
  });

  it("can write only new plans", () => {
    for (const { Sid, Action, Resource } of policyOf("plan").Statement) {
      for (const action of list(Action)) {
        if (["List", "Read"].includes(planned.levels[action] ?? "")) continue;
        const only = written[action as keyof typeof written];
        expect(only, `${Sid}: ${action} is ${planned.levels[action]}`).toBeDefined();
        for (const resource of list(Resource)) expect(resource).toMatch(only);
      }
    }
    expect(applied.levels["sagemaker:DeleteDomain"]).toBe("Write");
  });

  it("cannot apply", () => {
    expect(denied(both("plan"), applied).length).toBeGreaterThan(50);
  });
});

describe("the apply role", () => {
  it("allows all requests of an apply, a change and a destroy", () => {
    expect(applied.needed).toHaveProperty("sagemaker:DeleteDomain");
    expect(denied(both("apply"), applied)).toEqual([]);
  });

  it("cannot access another environment's bucket", () => {
    const first = both("apply").slice(0, 1);
    expect(denied(first, applied)).toContainEqual(expect.stringContaining("marimo-closed"));
  });
});

it("has no exceptions for actions that are requested", () => {
  const asked = { ...planned.needed, ...applied.needed };
  expect(Object.keys(notRequested).filter((action) => action in asked)).toEqual([]);
  expect(Object.keys(requestedByReview).filter((action) => action in planned.needed)).toEqual([]);
});

describe.each(roles)("the %s role", (role) => {
  it("has only actions that exist in AWS", () => {
    expect(actionsOf(policyOf(role)).filter((action) => applied.levels[action] === null)).toEqual([]);
    expect(applied.levels["s3:PutObject"]).toBe("Write");
  });

  it("has only actions that are needed", () => {
    const asked = { ...planned.needed, ...requestedByReview, ...(role === "apply" ? applied.needed : {}) };
    const idle = (policy: readonly string[]) =>
      policy.filter((action) => !(action in { ...asked, ...notRequested, ...perhapsRequested }));
    expect(idle(actionsOf(policyOf(role)))).toEqual([]);
    expect(idle([...actionsOf(policyOf(role)), "ec2:RunInstances"])).toEqual(["ec2:RunInstances"]);
  });

  it("has the dependent actions of its actions", () => {
    const { needed, dependent } = role === "plan" ? planned : applied;
    const beside = [...new Set(Object.keys(needed).flatMap((action) => dependent[action] ?? []))];
    const allowed = actionsOf(policyOf(role));
    expect(beside.filter((action) => !allowed.includes(action) && !(action in unneeded))).toEqual([]);
  });
});
