import { describe, expect, it } from "vitest";
import { missingBoundary, roleCommands } from "../../../src/github/role-commands.ts";
import {
  type DocumentName,
  environmentEntry,
  iamPath,
  type PolicyStatement,
  policiesOf,
  policyArn,
  roleDocument,
  roleName,
  roles,
} from "../../../src/github/roles.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../../src/settings/environment.ts";
import { simulate } from "../../support/policy-simulator.ts";

const account = "123456789012";
const repository = "our/team";
const environmentOf = (settings: Partial<EnvironmentSettings> = {}) =>
  resolveEnvironment({ name: "dev", backend: { type: "s3", bucket: "our-state" }, ...settings });
const document = (name: DocumentName, settings?: Partial<EnvironmentSettings>, of = repository) =>
  roleDocument(name, { environment: environmentOf(settings), account, repository: of });
const statements = (name: DocumentName, settings?: Partial<EnvironmentSettings>) =>
  document(name, settings).Statement;
const list = (one: string | readonly string[] = []) => (typeof one === "string" ? [one] : one);

describe("the trust policy", () => {
  const issuer = "token.actions.githubusercontent.com";
  const workflow = "our/team/.github/workflows/environment.yml";
  const main = `${workflow}@refs/heads/main`;
  const assumes = (role: (typeof roles)[number], sub: string, ref: string, of = repository) =>
    simulate(
      { identity: [document(`${role}-trust`, {}, of)].map(withoutPrincipal) },
      {
        action: "sts:AssumeRoleWithWebIdentity",
        resource: `arn:aws:iam::${account}:role/x`,
        context: {
          [`${issuer}:aud`]: "sts.amazonaws.com",
          [`${issuer}:sub`]: sub,
          [`${issuer}:job_workflow_ref`]: ref,
        },
      },
    ).allowed;
  const withoutPrincipal = ({ Statement, ...rest }: ReturnType<typeof document>) => ({
    ...rest,
    Statement: Statement.map(({ Principal: _, ...one }: PolicyStatement & { Principal?: unknown }) => one),
  });

  it.each([
    ["plan", "a pull request", "repo:our/team:pull_request", `${workflow}@refs/pull/7/merge`, true],
    ["plan", "the main branch", "repo:our/team:ref:refs/heads/main", main, true],
    ["plan", "another branch", "repo:our/team:ref:refs/heads/x", `${workflow}@refs/heads/x`, false],
    [
      "plan",
      "another workflow",
      "repo:our/team:ref:refs/heads/main",
      "our/team/.github/workflows/test.yml@refs/heads/main",
      false,
    ],
    [
      "plan",
      "a fork",
      "repo:evil/team:pull_request",
      "evil/team/.github/workflows/environment.yml@refs/pull/7/merge",
      false,
    ],
    ["apply", "the environment on the main branch", "repo:our/team:environment:dev", main, true],
    [
      "apply",
      "the environment on a branch",
      "repo:our/team:environment:dev",
      `${workflow}@refs/heads/x`,
      false,
    ],
    [
      "apply",
      "the environment in a pull request",
      "repo:our/team:environment:dev",
      `${workflow}@refs/pull/7/merge`,
      false,
    ],
    [
      "apply",
      "another workflow on the main branch",
      "repo:our/team:environment:dev",
      "our/team/.github/workflows/test.yml@refs/heads/main",
      false,
    ],
    ["apply", "another environment", "repo:our/team:environment:prod", main, false],
    ["apply", "the main branch without the environment", "repo:our/team:ref:refs/heads/main", main, false],
    ["apply", "another repository that calls the workflow", "repo:our/other:environment:dev", main, false],
  ] as const)("of the %s role: %s", (role, _, sub, ref, allowed) => {
    expect(assumes(role, sub, ref)).toBe(allowed);
  });

  it("has the ids of a repository with immutable subject claims, whose workflows are without them", () => {
    const sub = "repo:our@1/team@2:environment:dev";
    expect(assumes("apply", sub, main, "our@1/team@2")).toBe(true);
    expect(assumes("apply", "repo:our@9/team@2:environment:dev", main, "our@1/team@2")).toBe(false);
    expect(assumes("apply", sub, main)).toBe(false);
  });
});

describe.each([...roles.flatMap((role) => policiesOf[role]), "boundary"] as const)(
  "the policy %s",
  (name) => {
    it("fits with the longest names (IAM User Guide, quotas: 6,144 characters without white space)", () => {
      const longest = document(name, {
        name: "e".repeat(20),
        region: "ap-northeast-1",
        backend: {
          type: "s3",
          bucket: "b".repeat(63),
          key: "k".repeat(120),
          kmsKeyId: `arn:aws:kms:ap-northeast-1:${account}:key/12345678-1234-1234-1234-123456789012`,
        },
      });
      expect(JSON.stringify(longest).length).toBeLessThanOrEqual(6144);
    });

    it("contains the region's partition, and no placeholder", () => {
      const text = JSON.stringify(document(name, { region: "cn-north-1" }));
      expect(text).toContain("arn:aws-cn:");
      expect(text).not.toContain("arn:aws:");
      expect(text).not.toMatch(/\$\{/);
    });
  },
);

describe.each(roles)("the %s role", (role) => {
  const all = (settings?: Partial<EnvironmentSettings>) =>
    policiesOf[role].flatMap((name) => statements(name, settings));

  it("includes the state's KMS key if there is one", () => {
    const kmsKeyId = `arn:aws:kms:us-east-1:${account}:key/12345678-1234-1234-1234-123456789012`;
    const backend = { type: "s3", bucket: "our-state", kmsKeyId } as const;
    expect(all().map(({ Sid }) => Sid)).not.toContain("StateEncryption");
    expect(all({ backend }).find(({ Sid }) => Sid === "StateEncryption")?.Resource).toBe(kmsKeyId);
  });

  it("can change neither role, their policies nor the boundary", () => {
    const identity = policiesOf[role].map((name) => document(name));
    const props = { environment: environmentOf(), account };
    const own = [
      ...roles.map((one) => `arn:aws:iam::${account}:role${iamPath}${roleName(one, environmentOf())}`),
      ...(["read", "apply-access", "boundary"] as const).map((name) => policyArn(name, props)),
    ];
    const actions = [
      "PutRolePolicy",
      "AttachRolePolicy",
      "TagRole",
      "CreatePolicyVersion",
      "DeletePolicy",
      "PassRole",
      "UpdateAssumeRolePolicy",
    ];
    const boundary = policyArn("boundary", props);
    const context = {
      "aws:ResourceTag/Environment": "dev",
      "iam:PermissionsBoundary": boundary,
      "iam:PassedToService": "sagemaker.amazonaws.com",
    };
    const allowed = (resource: string) =>
      actions.filter(
        (action) => simulate({ identity }, { action: `iam:${action}`, resource, context }).allowed,
      );
    for (const resource of own) expect(allowed(resource), resource).toEqual([]);
    expect(allowed(`arn:aws:iam::${account}:role/marimo-dev-execution`).length > 0).toBe(role === "apply");
  });

  it("allows a plan to be written only once", () => {
    const writing = all().filter(
      ({ Action, Resource }) =>
        list(Action).includes("s3:PutObject") && list(Resource).some((one) => one.includes(".plans/")),
    );
    expect(writing.map(({ Condition }) => Condition)).toEqual(
      role === "plan" ? [{ Null: { "s3:if-none-match": "false" } }] : [],
    );
  });
});

it("creates roles only with the boundary and the environment's tag", () => {
  const boundary = policyArn("boundary", { environment: environmentOf(), account });
  const request = { action: "iam:CreateRole", resource: `arn:aws:iam::${account}:role/marimo-dev-execution` };
  const creates = (context: Readonly<Record<string, string>>) =>
    simulate({ identity: [document("apply-access")] }, { ...request, context }).allowed;
  const tag = { "aws:RequestTag/Environment": "dev" };
  expect(creates({ ...tag, "iam:PermissionsBoundary": boundary })).toBe(true);
  expect(creates(tag)).toBe(false);
  expect(creates({ ...tag, "iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess" })).toBe(
    false,
  );
  expect(creates({ "iam:PermissionsBoundary": boundary })).toBe(false);
});

describe("the commands", () => {
  const commands = (settings: Partial<EnvironmentSettings> = {}) =>
    roleCommands({
      ...{ environment: environmentOf(settings), account, repository: "our@1/team@2" },
      ...{ reviewers: ["ana", "our/platform"], file: (name) => `dev-${name}.json` },
    }).join("\n");
  const permissionsBoundaryArn = `arn:aws:iam::${account}:policy/github/marimo-dev-boundary`;

  it("begin with the environment, its branch rule and its reviewers", () => {
    const text = commands({ permissionsBoundaryArn });
    const positions = [
      "environments/dev --input",
      "deployment-branch-policies -f name=main",
      "create-open-id",
      "create-policy ",
      "create-role",
      "gh variable set MARIMO_ENVIRONMENTS",
    ].map((part) => text.indexOf(part));
    expect(positions).not.toContain(-1);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(text).toContain(
      '{"type": "User", "id": $(gh api users/ana --jq .id)}, {"type": "Team", "id": $(gh api orgs/our/teams/platform --jq .id)}',
    );
    expect(text).toContain("repos/our/team/environments/dev");
  });

  it("create the boundary that the settings name, unless it is another one", () => {
    expect(commands({ permissionsBoundaryArn })).toContain("--policy-name marimo-dev-boundary");
    expect(commands({ permissionsBoundaryArn: `arn:aws:iam::${account}:policy/ours` })).not.toContain(
      "marimo-dev-boundary",
    );
    expect(missingBoundary({ environment: environmentOf(), account })).toBe(
      `permissionsBoundaryArn: "${permissionsBoundaryArn}"`,
    );
    expect(
      missingBoundary({ environment: environmentOf({ permissionsBoundaryArn }), account }),
    ).toBeUndefined();
  });
});

it("returns an entry for the workflow's matrix, in the partition of the region", () => {
  expect(environmentEntry({ environment: environmentOf({ region: "cn-north-1" }), account })).toEqual({
    environment: "dev",
    region: "cn-north-1",
    planRole: `arn:aws-cn:iam::${account}:role/github/marimo-dev-plan`,
    applyRole: `arn:aws-cn:iam::${account}:role/github/marimo-dev-apply`,
  });
});

it("rejects a local state file", () => {
  expect(() => document("plan", { backend: { type: "local" } })).toThrow("local file");
});
