import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { App, TerraformAsset } from "cdktf";
import { vi } from "vitest";
import { type EnvironmentSettings, resolveEnvironment } from "../../src/settings/environment.ts";
import { StudioStack } from "../../src/stack/studio-stack.ts";

export type Block = Readonly<Record<string, unknown>>;
type Blocks = Readonly<Record<string, Readonly<Record<string, Block>>>>;

export interface Synthesized {
  /** The files of the stack's folder, including `cdk.tf.json`, by relative path. The folder has been removed. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly text: string;
  readonly terraform: Block;
  readonly provider: { readonly aws: readonly Block[] };
  readonly resource: Blocks;
  readonly data: Blocks;
  readonly locals: Block;
  readonly output: Readonly<Record<string, { readonly value: unknown; readonly description: string }>>;
}

const cache = new Map<string, Synthesized>();

/** Synthesizes one environment (default: `dev`) like main.ts. The results are cached by settings. */
export function synthesize(settings: Partial<EnvironmentSettings> = {}): Synthesized {
  const key = JSON.stringify(settings);
  const known = cache.get(key);
  if (known) return known;
  const environment = resolveEnvironment({ name: "dev", ...settings });
  const filesWith = (options: { readonly assets: boolean }) =>
    synthesizeApp(
      (app) => new StudioStack(app, environment),
      (outdir) => readFiles(join(outdir, "stacks", environment.name)),
      options,
    );
  const text = String(filesWith({ assets: false }).get("cdk.tf.json"));
  let files: Synthesized["files"] | undefined;
  const stack: Synthesized = {
    ...JSON.parse(text),
    text,
    get files() {
      files ??= filesWith({ assets: true });
      return files;
    },
  };
  cache.set(key, stack);
  return stack;
}

/**
 * Synthesizes the stacks that `define` adds to an app, and returns the result of `read` for the output folder. Two slow
 * parts that few tests need are left out: cdktf's stack trace of every token, which vitest maps to the sources, and,
 * without `assets`, the copies of the scripts.
 */
export function synthesizeApp<T>(
  define: (app: App) => void,
  read: (outdir: string) => T,
  { assets = true } = {},
): T {
  const outdir = mkdtempSync(join(tmpdir(), "sagemaker-marimo-unit-"));
  const { captureStackTrace } = Error;
  Error.captureStackTrace = () => {};
  const copies = vi.spyOn(TerraformAsset.prototype as unknown as { _onSynthesize(): void }, "_onSynthesize");
  if (!assets) copies.mockReturnValue();
  try {
    const app = new App({ outdir });
    define(app);
    app.synth();
    return read(outdir);
  } finally {
    Error.captureStackTrace = captureStackTrace;
    copies.mockRestore();
    rmSync(outdir, { recursive: true, force: true });
  }
}

/** Reads every file in a folder, by relative path. */
const readFiles = (folder: string): ReadonlyMap<string, Buffer> =>
  new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [relative(folder, path), readFileSync(path)]),
  );

/** Returns a resource by type and name. An unknown name is an error. */
export function resource(stack: Synthesized, type: string, name: string): Block {
  const found = stack.resource[type]?.[name];
  if (!found)
    throw new Error(
      `There is no ${type}.${name}, only ${Object.keys(stack.resource[type] ?? {}).join(", ")}.`,
    );
  return found;
}

export function resourceNames(stack: Synthesized, type: string): string[] {
  return Object.keys(stack.resource[type] ?? {}).sort();
}

export interface Statement {
  readonly sid: string;
  readonly effect?: string;
  readonly actions: readonly string[];
  readonly resources?: readonly string[];
  readonly principals?: readonly { readonly type: string; readonly identifiers: readonly string[] }[];
  readonly condition?: readonly {
    readonly test: string;
    readonly variable: string;
    readonly values: readonly string[];
  }[];
}

/** Returns the statements of a policy document by sid. */
export function statements(stack: Synthesized, document: string): Record<string, Statement> {
  const found = stack.data.aws_iam_policy_document?.[document];
  if (!found) throw new Error(`There is no policy document ${document}.`);
  return Object.fromEntries((found.statement as Statement[]).map((statement) => [statement.sid, statement]));
}

/** The document as IAM counts its characters: Terraform merges conditions with the same operator. */
export function asIam(document: readonly Statement[]): string {
  const one = (values: readonly string[]) => (values.length === 1 ? values[0] : values);
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: document.map(
      ({ actions, condition = [], effect = "Allow", principals, resources = [], sid }) => {
        const conditions: Record<string, Record<string, unknown>> = {};
        for (const { test, values, variable } of condition)
          conditions[test] = { ...conditions[test], [variable]: one(values) };
        return {
          Sid: sid,
          Effect: effect,
          Action: one(actions),
          ...(principals === undefined
            ? { Resource: one(resources) }
            : {
                Principal: Object.fromEntries(
                  principals.map(({ identifiers, type }) => [type, one(identifiers)]),
                ),
              }),
          Condition: conditions,
        };
      },
    ),
  });
}

/** Formats a Terraform expression in a JSON string. */
export const expression = (text: string) => `\${${text}}`;

export const accountId = expression("data.aws_caller_identity.account_identity.account_id");
export const partition = expression("data.aws_partition.account_partition.partition");
export const dnsSuffix = expression("data.aws_partition.account_partition.dns_suffix");
export const keyArn = expression("aws_kms_key.encryption_key.arn");
/** The principal of a service in the stack's partition. */
export const servicePrincipal = (service: string) =>
  expression(`data.aws_service_principal.account_service_${service.replaceAll(/[.-]/g, "_")}.name`);
/** The ARN of a resource in the account and in us-east-1. */
export const arn = (service: string, rest: string) =>
  `arn:${partition}:${service}:us-east-1:${accountId}:${rest}`;
