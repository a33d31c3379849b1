import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { prefixOf } from "../settings/basics.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { partitionOf } from "../settings/reference/regions.ts";
import { stateBackend } from "./saved-plan.ts";

export const roles = ["plan", "apply"] as const;
export type RoleName = (typeof roles)[number];

/** The documents of `.github/roles` that are the permissions of each role: a managed policy for each. */
export const policiesOf = {
  plan: ["read", "plan"],
  apply: ["read", "apply-access", "apply-resources", "apply-alerts", "apply-services"],
} as const satisfies Record<RoleName, readonly string[]>;

export type DocumentName = (typeof policiesOf)[RoleName][number] | `${RoleName}-trust` | "boundary";

export interface RolesProps {
  readonly environment: ResolvedEnvironment;
  readonly account: string;
  /**
   * As `owner/name`, or as `owner@id/name@id` for a repository with immutable subject claims, which all have that were
   * created since 15 July 2026 (GitHub changelog, 2026-04-23).
   */
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

/**
 * IAM path of the roles, of their policies and of the boundary. The roles may change what is named `marimo-…` and has no
 * path, so no role can change itself, the other one, or the boundary.
 */
export const iamPath = "/github/";

const iamArn = (
  kind: "policy" | "role",
  name: string,
  { environment, account }: Omit<RolesProps, "repository">,
) => `arn:${partitionOf(environment.region)}:iam::${account}:${kind}${iamPath}${name}`;

/** Name of the managed policy that a document becomes. */
export const policyName = (document: DocumentName, { name }: ResolvedEnvironment) =>
  `${prefixOf(name)}-${document}`;

export const policyArn = (document: DocumentName, props: Omit<RolesProps, "repository">) =>
  iamArn("policy", policyName(document, props.environment), props);

/** The boundary that each role of the stack must have: the one of the settings, or the one of `.github/roles`. */
export const boundaryOf = (props: Omit<RolesProps, "repository">) =>
  props.environment.permissionsBoundaryArn ?? policyArn("boundary", props);

/** The repository without the ids of immutable subject claims. */
export const repositoryName = (repository: string) => repository.replaceAll(/@\d+/g, "");

/** A document of `.github/roles` with the values of an environment. */
export function roleDocument(document: DocumentName, props: RolesProps): PolicyDocument {
  const { environment, account, repository } = props;
  const { bucket, key, kmsKeyId } = stateBackend(environment);
  const values: Readonly<Record<string, string | undefined>> = {
    Partition: partitionOf(environment.region),
    Region: environment.region,
    Account: account,
    Subject: `repo:${repository}`,
    Repository: repositoryName(repository),
    Environment: environment.name,
    Boundary: boundaryOf(props),
    StateBucket: bucket,
    StateKey: key,
    StateKmsKey: kmsKeyId ?? "",
  };
  const text = readFileSync(join(projectFolder, ".github/roles", `${document}.json`), "utf8");
  const filled = text.replace(/\$\{(\w+)\}/g, (placeholder, name: string) => {
    const value = values[name];
    if (value === undefined)
      throw new Error(`${document}.json contains the unknown placeholder ${placeholder}`);
    return JSON.stringify(value).slice(1, -1);
  });
  const parsed = JSON.parse(filled) as PolicyDocument;
  const kept = parsed.Statement.filter(({ Sid }) => Sid !== stateKeySid || kmsKeyId !== undefined);
  return { ...parsed, Statement: kept };
}

export const roleName = (role: RoleName, { name }: ResolvedEnvironment) => `${prefixOf(name)}-${role}`;

/** Name of GitHub's repository variable with the roles of all environments: a JSON list of `EnvironmentEntry`. */
export const environmentsVariable = "MARIMO_ENVIRONMENTS";

/** The entry of the workflow's matrix for one environment. */
export interface EnvironmentEntry {
  readonly environment: string;
  readonly region: string;
  readonly planRole: string;
  readonly applyRole: string;
}

export function environmentEntry(props: Omit<RolesProps, "repository">): EnvironmentEntry {
  const { name, region } = props.environment;
  const arn = (role: RoleName) => iamArn("role", roleName(role, props.environment), props);
  return { environment: name, region, planRole: arn("plan"), applyRole: arn("apply") };
}
