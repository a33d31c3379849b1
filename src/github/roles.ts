import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { prefixOf } from "../settings/basics.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { partitionOf } from "../settings/reference/regions.ts";
import { stateBackend } from "./saved-plan.ts";

export const roles = ["plan", "apply"] as const;
export type RoleName = (typeof roles)[number];

export interface RolesProps {
  readonly environment: ResolvedEnvironment;
  readonly account: string;
  /** As `owner/name`. */
  readonly repository: string;
}

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly PolicyStatement[];
}

/** The statement for the state's KMS key. It is left out if the state has none. */
const stateKeySid = "StateEncryption";

/** A document of `.github/roles` with the values of an environment. */
export function roleDocument(
  role: RoleName,
  kind: "policy" | "trust",
  { environment, account, repository }: RolesProps,
): PolicyDocument {
  const { bucket, key, kmsKeyId } = stateBackend(environment);
  const values: Readonly<Record<string, string | undefined>> = {
    Partition: partitionOf(environment.region),
    Region: environment.region,
    Account: account,
    Repository: repository,
    Environment: environment.name,
    StateBucket: bucket,
    StateKey: key,
    StateKmsKey: kmsKeyId ?? "",
  };
  const text = readFileSync(join(projectFolder, ".github/roles", `${role}-${kind}.json`), "utf8");
  const filled = text.replace(/\$\{(\w+)\}/g, (placeholder, name: string) => {
    const value = values[name];
    if (value === undefined)
      throw new Error(`${role}-${kind}.json contains the unknown placeholder ${placeholder}`);
    return JSON.stringify(value).slice(1, -1);
  });
  const document = JSON.parse(filled) as PolicyDocument;
  const kept = document.Statement.filter(({ Sid }) => Sid !== stateKeySid || kmsKeyId !== undefined);
  return { ...document, Statement: kept };
}

export const roleName = (role: RoleName, { name }: ResolvedEnvironment) => `${prefixOf(name)}-${role}`;

/** Names of GitHub's repository variables with the roles of all environments: a JSON list of `RoleEntry`. */
export const roleVariables = { plan: "MARIMO_PLAN_ROLES", apply: "MARIMO_APPLY_ROLES" } as const;

/** The entry of a workflow's matrix for one environment. */
export interface RoleEntry {
  readonly environment: string;
  readonly region: string;
  readonly role: string;
}

export function roleEntry(
  role: RoleName,
  { environment, account }: Pick<RolesProps, "environment" | "account">,
): RoleEntry {
  const { name, region } = environment;
  const arn = `arn:${partitionOf(region)}:iam::${account}:role/${roleName(role, environment)}`;
  return { environment: name, region, role: arn };
}
