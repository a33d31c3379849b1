import { describe, expect, it } from "vitest";
import {
  accountUse,
  checkQuotas,
  type QuotaClients,
  quotaProblems,
} from "../../../src/plan-review/quotas.ts";
import { resolveEnvironment } from "../../../src/settings/environment.ts";

const use = (roles: number, groups: number, own = 0) => ({
  roles: { used: roles, own, quota: 1000 },
  groups: { used: groups, own, quota: 500 },
});

/** An account with these roles and schedule groups, in pages of two. */
function account(roles: readonly string[], groups: readonly string[]): QuotaClients {
  const page = (all: readonly string[], from: number) => ({
    items: all.slice(from, from + 2),
    next: from + 2 < all.length ? String(from + 2) : undefined,
  });
  const send = async (command: { constructor: { name: string }; input: Record<string, unknown> }) => {
    const { Marker, NextToken } = command.input;
    if (command.constructor.name === "GetAccountSummaryCommand")
      return { SummaryMap: { Roles: roles.length, RolesQuota: 4 } };
    if (command.constructor.name === "ListRolesCommand") {
      const { items, next } = page(roles, Number(Marker ?? 0));
      return {
        Roles: items.map((RoleName) => ({ RoleName })),
        Marker: next,
        IsTruncated: next !== undefined,
      };
    }
    const { items, next } = page(groups, Number(NextToken ?? 0));
    return { ScheduleGroups: items.map((Name) => ({ Name })), NextToken: next };
  };
  return { iam: { send }, scheduler: { send } } as unknown as QuotaClients;
}

describe("the account's quotas", () => {
  it("are enough up to the last role and schedule group", () => {
    expect(quotaProblems("dev", 300, use(700, 200))).toEqual([]);
    // The environment's own count once.
    expect(quotaProblems("dev", 500, use(1000, 500, 500))).toEqual([]);
  });

  it("are named with what the users need, what there is, and where to raise them", () => {
    const [roles, groups, ...others] = quotaProblems("dev", 501, use(700, 200, 100));
    expect(roles).toMatch(
      /^dev needs 501 roles, .* 600 others: 1101 of 1000 .* "Roles per account" of IAM in Service/,
    );
    expect(groups).toMatch(/^dev needs 501 schedule groups, .* 100 others: 601 of 500 /);
    expect(others).toEqual([]);
  });

  it("are counted over all pages", async () => {
    const roles = ["admin", "marimo-dev-user-ana", "marimo-dev-execution", "marimo-dev-user-bo", "x"];
    expect(
      await accountUse("marimo-dev-user-", account(roles, ["default", "marimo-dev-user-ana", "y"])),
    ).toEqual({
      roles: { used: 5, own: 2, quota: 4 },
      groups: { used: 3, own: 1, quota: 500 },
    });
  });

  it("are checked for an environment with a role for each user, and not with one role for all", async () => {
    const clients = account(["a", "b", "c", "d"], []);
    const environment = resolveEnvironment({ name: "dev" });
    expect(await checkQuotas(environment, clients)).toMatchObject({
      problems: [expect.stringMatching(/^dev needs 1 roles/)],
    });
    const existing = { executionRoleArn: "arn:aws:iam::123456789012:role/studio" };
    expect(await checkQuotas({ ...environment, existing }, clients)).toEqual({ problems: [] });
  });

  it("are not checked where the caller may not read them, and the reason is said", async () => {
    const send = () => Promise.reject(Object.assign(new Error("no"), { name: "AccessDenied" }));
    const clients = { iam: { send }, scheduler: { send } } as unknown as QuotaClients;
    expect(await checkQuotas(resolveEnvironment({ name: "dev" }), clients)).toEqual({
      notChecked: "AccessDenied: no",
    });
  });
});
