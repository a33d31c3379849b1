import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IAMClient } from "@aws-sdk/client-iam";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  accountUse,
  checkQuotas,
  needsOf,
  type QuotaClients,
  quotaProblems,
} from "../../../src/plan-review/quotas.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../../src/settings/environment.ts";
import { everything } from "../../support/every-environment.ts";
import { synthesize } from "../../support/synthesize.ts";

interface Account {
  readonly roles?: readonly string[];
  readonly policies?: readonly string[];
  readonly groups?: readonly string[];
  readonly summary?: Readonly<Record<string, number>>;
}

/** Clients of an account, which answer in pages of two. */
function account({ groups = [], policies = [], roles = [], summary = {} }: Account): QuotaClients {
  const page = (all: readonly string[], from: unknown) => {
    const start = Number(from ?? 0);
    return {
      items: all.slice(start, start + 2),
      next: start + 2 < all.length ? String(start + 2) : undefined,
    };
  };
  const send = async (command: { constructor: { name: string }; input: Record<string, unknown> }) => {
    const { Marker, NextToken } = command.input;
    switch (command.constructor.name) {
      case "GetAccountSummaryCommand":
        return { SummaryMap: summary };
      case "ListRolesCommand": {
        const { items, next } = page(roles, Marker);
        return {
          Roles: items.map((RoleName) => ({ RoleName })),
          Marker: next,
          IsTruncated: next !== undefined,
        };
      }
      case "ListPoliciesCommand": {
        const { items, next } = page(policies, Marker);
        return {
          Policies: items.map((PolicyName) => ({ PolicyName })),
          Marker: next,
          IsTruncated: next !== undefined,
        };
      }
      default: {
        const { items, next } = page(groups, NextToken);
        return { ScheduleGroups: items.map((Name) => ({ Name })), NextToken: next };
      }
    }
  };
  // The SDK's paginators ask for instances.
  const of = <Client extends object>(prototype: Client) => Object.assign(Object.create(prototype), { send });
  return { iam: of(IAMClient.prototype), scheduler: of(SchedulerClient.prototype) };
}

const needs = { roles: 10, policies: 5, groups: 8, workgroups: 1000, inferenceProfiles: 1000, perRole: 10 };
const use = (others: number, quota: number) => ({
  ...{ roles: { others, quota }, policies: { others, quota }, groups: { others, quota } },
  perRole: 10,
});

describe("what an environment needs of the account", () => {
  const users = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `u${index}` }));
  const needsWith = (settings: Partial<EnvironmentSettings>) => needsOf(synthesize(settings));

  it("is a role and a schedule group for each user, and the same policies however many there are", () => {
    const [one, many] = [needsWith({ userProfiles: users(1) }), needsWith({ userProfiles: users(100) })];
    expect(many.roles - one.roles).toBe(99);
    expect(many.groups - one.groups).toBe(99);
    expect(many.policies).toBe(one.policies);
    expect(many.perRole).toBe(one.perRole);
  });

  it("is a workgroup for each user who may query, and one for shared spaces", () => {
    const athena = { bytesScannedCutoffGb: 1 };
    expect(needsWith({ userProfiles: users(3), access: { athena } }).workgroups).toBe(4);
    const teams = [{ name: "a", members: ["u0"], access: { athena } }];
    expect(needsWith({ userProfiles: users(3), teams }).workgroups).toBe(1);
    expect(needsWith({}).workgroups).toBe(0);
  });

  it("is an inference profile for each user and model if AI costs are counted by user", () => {
    const ai = { chatModel: "amazon.nova-lite-v1:0", costByUser: true };
    const [one, many] = [1, 3].map(
      (count) => needsWith({ userProfiles: users(count), ai }).inferenceProfiles,
    );
    expect((many ?? 0) - (one ?? 0)).toBe(2);
    expect(needsWith({ userProfiles: users(3), ai: { ...ai, costByUser: false } }).inferenceProfiles).toBe(0);
  });

  it("is a role more for each user whose rights a schedule has", () => {
    const schedule = { notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" };
    const as = (...runAs: string[]) =>
      needsWith({
        userProfiles: users(2),
        schedules: runAs.map((one, index) => ({ ...schedule, name: `s${index}x`, runAs: one })),
      });
    expect(as("u0", "u1").roles - as("u0").roles).toBe(1);
    expect(as("u0", "u0").roles - as("u0").roles).toBe(0);
  });

  it("fits the default quota of policies for each role with the defaults, and not with every setting", () => {
    const { access, teams, schedules, ...rest } = everything;
    expect(needsWith({}).perRole).toBe(6);
    expect(needsOf(synthesize(rest)).perRole).toBe(12);
    // With grants and ten teams for a user, the quota must be raised, which it can be to 25.
    expect(needsOf(synthesize({ ...rest, access })).perRole + 10).toBeLessThanOrEqual(25);
    expect(needsOf(synthesize(everything)).perRole).toBeGreaterThan(needsWith({}).perRole);
  });
});

describe("the account's quotas", () => {
  it("are enough up to the last one", () => {
    expect(quotaProblems("dev", needs, use(990, 1000))).toEqual([]);
    expect(quotaProblems("dev", needs, use(991, 1000))).toHaveLength(1);
  });

  it("of Athena workgroups are not adjustable, so fewer users get one", () => {
    expect(quotaProblems("dev", { ...needs, workgroups: 1001 }, use(0, 1000))).toEqual([
      expect.stringMatching(/^dev needs 1001 Athena workgroups, .* by teams$/),
    ]);
  });

  it("of inference profiles name what needs fewer", () => {
    expect(quotaProblems("dev", { ...needs, inferenceProfiles: 1001 }, use(0, 1000))).toEqual([
      expect.stringMatching(/^dev needs 1001 inference profiles, .* name fewer models$/),
    ]);
  });

  it("are named with what is needed, what there is, and where to raise them", () => {
    const problems = quotaProblems("dev", { ...needs, perRole: 11 }, use(996, 1000));
    expect(problems.map((one) => one.replace(/,.*/, ""))).toEqual([
      "dev needs 10 roles",
      "dev needs 5 customer managed policies",
      "dev needs 8 schedule groups",
      "dev attaches 11 managed policies to a user's role",
    ]);
    expect(problems[0]).toMatch(/996 others: 1006 of 1000 .* "Roles per account" of IAM in Service Quotas/);
  });

  it("are counted over all pages, without the environment's own", async () => {
    const clients = account({
      roles: ["admin", "marimo-dev-user-ana", "marimo-dev-execution", "marimo-device-x", "x"],
      policies: ["marimo-dev-spaces", "a", "b"],
      groups: ["default", "marimo-dev", "marimo-dev-user-ana", "y"],
      summary: { RolesQuota: 5000, AttachedPoliciesPerRoleQuota: 20 },
    });
    expect(await accountUse("marimo-dev", clients)).toEqual({
      roles: { others: 3, quota: 5000 },
      policies: { others: 2, quota: 1500 },
      groups: { others: 2, quota: 500 },
      perRole: 20,
    });
  });
});

describe("the check before a plan", () => {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-quotas-"));
  beforeAll(() => writeFileSync(join(folder, "cdk.tf.json"), synthesize().text));
  afterAll(() => rmSync(folder, { recursive: true }));
  const environment = resolveEnvironment({ name: "dev" });

  it("reports what the stack would exceed", async () => {
    const full = account({ roles: ["a", "b"], summary: { RolesQuota: 3 } });
    expect(await checkQuotas(environment, folder, full)).toEqual({
      problems: [expect.stringMatching(/^dev needs \d roles/)],
    });
    expect(await checkQuotas(environment, folder, account({}))).toEqual({ problems: [] });
  });

  it("says why it was not made where the caller may not read them", async () => {
    const send = () => Promise.reject(Object.assign(new Error("no"), { name: "AccessDenied" }));
    const clients = { iam: { send }, scheduler: { send } } as unknown as QuotaClients;
    expect(await checkQuotas(environment, folder, clients)).toEqual({ notChecked: "AccessDenied: no" });
  });
});
