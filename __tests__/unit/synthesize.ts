import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "cdktf";
import { afterAll } from "vitest";
import { resolveEnvironment } from "../../src/settings/resolve.ts";
import type { EnvironmentSettings } from "../../src/settings/types.ts";
import { StudioStack } from "../../src/studio-stack.ts";

export type Block = Readonly<Record<string, unknown>>;
type Blocks = Readonly<Record<string, Readonly<Record<string, Block>>>>;

export interface Synthesized {
  /** The stack's folder, gone when the test file has finished. */
  readonly folder: string;
  readonly text: string;
  readonly terraform: Block;
  readonly provider: { readonly aws: readonly Block[] };
  readonly resource: Blocks;
  readonly data: Blocks;
  readonly locals: Block;
  readonly output: Readonly<Record<string, { readonly value: unknown; readonly description: string }>>;
}

const made = new Map<string, Synthesized>();
const outdirs: string[] = [];
afterAll(() => {
  for (const outdir of outdirs) rmSync(outdir, { recursive: true, force: true });
});

/** Synthesizes one environment, `dev` unless told otherwise, as main.ts does; the same settings only once. */
export function synthesize(settings: Partial<EnvironmentSettings> = {}): Synthesized {
  const known = made.get(JSON.stringify(settings));
  if (known) return known;
  const outdir = mkdtempSync(join(tmpdir(), "sagemaker-marimo-unit-"));
  outdirs.push(outdir);
  const environment = resolveEnvironment({ name: "dev", ...settings });
  const app = new App({ outdir });
  new StudioStack(app, environment);
  app.synth();
  const folder = join(outdir, "stacks", environment.name);
  const text = readFileSync(join(folder, "cdk.tf.json"), "utf8");
  const stack = { ...JSON.parse(text), folder, text };
  made.set(JSON.stringify(settings), stack);
  return stack;
}

/** One resource by type and name; a name that is not there is an error, not a vacuous success. */
export function resource(stack: Synthesized, type: string, name: string): Block {
  const found = stack.resource[type]?.[name];
  if (!found)
    throw new Error(`no ${type}.${name}, but ${Object.keys(stack.resource[type] ?? {}).join(", ")}`);
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

/** The statements of a policy document, by their sid. */
export function statements(stack: Synthesized, document: string): Record<string, Statement> {
  const found = stack.data.aws_iam_policy_document?.[document];
  if (!found) throw new Error(`no policy document ${document}`);
  return Object.fromEntries((found.statement as Statement[]).map((statement) => [statement.sid, statement]));
}

/** A Terraform expression in a string of the JSON. */
export const expression = (text: string) => `\${${text}}`;

export const accountId = expression("data.aws_caller_identity.account_identity.account_id");
export const partition = expression("data.aws_partition.account_partition.partition");
export const dnsSuffix = expression("data.aws_partition.account_partition.dns_suffix");
export const keyArn = expression("aws_kms_key.encryption_key.arn");
/** Principal of a service, as the provider knows it in the stack's partition. */
export const servicePrincipal = (service: string) =>
  expression(`data.aws_service_principal.account_service_${service.replaceAll(/[.-]/g, "_")}.name`);
/** ARN of something in the account and in us-east-1. */
export const arn = (service: string, rest: string) =>
  `arn:${partition}:${service}:us-east-1:${accountId}:${rest}`;
