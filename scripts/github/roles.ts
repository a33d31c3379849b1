import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { prefixOf } from "../../src/settings/names.ts";
import { partitionOf } from "../../src/settings/regions.ts";
import type { ResolvedEnvironment } from "../../src/settings/types.ts";
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

/** In a policy, what a state without a KMS key of its own has no use for. */
const stateKeySid = "StateEncryption";

/** A document of `.github/roles`, filled in for an environment. */
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
    if (value === undefined) throw new Error(`${role}-${kind}.json has an unknown ${placeholder}`);
    return JSON.stringify(value).slice(1, -1);
  });
  const document = JSON.parse(filled) as PolicyDocument;
  const kept = document.Statement.filter(({ Sid }) => Sid !== stateKeySid || kmsKeyId !== undefined);
  return { ...document, Statement: kept };
}

export const roleName = (role: RoleName, { name }: ResolvedEnvironment) => `${prefixOf(name)}-${role}`;
