import { Problem } from "../cli/problem.ts";

/**
 * The parts of `terraform show -json PLAN` that a review reads (Terraform documentation, "JSON Output Format";
 * OpenTofu's is the same). Other properties are ignored, as that page requires.
 */
export interface Plan {
  readonly format_version: string;
  /** Terraform 1.8 and later: whether an apply would change anything, and whether the plan is complete. */
  readonly applyable?: boolean;
  readonly complete?: boolean;
  readonly errored?: boolean;
  readonly resource_changes?: readonly ResourceChange[];
  /** What differs from the state that the last apply left. Much of it is what AWS computes. */
  readonly resource_drift?: readonly ResourceChange[];
  /** The attributes that cause this plan's changes. */
  readonly relevant_attributes?: readonly {
    readonly resource: string;
    readonly attribute: readonly unknown[];
  }[];
  readonly output_changes?: Readonly<Record<string, Change>>;
  /** The state after the refresh. */
  readonly prior_state?: { readonly values?: { readonly root_module?: Module } };
  readonly configuration?: {
    readonly provider_config?: Readonly<
      Record<string, { readonly full_name?: string; readonly expressions?: Values }>
    >;
    readonly root_module?: ConfigurationModule;
  };
}

export type Action = "no-op" | "create" | "read" | "update" | "delete" | "forget";

export type Values = Readonly<Record<string, unknown>>;

export interface Change {
  readonly actions: readonly Action[];
  readonly before: unknown;
  readonly after?: unknown;
  /** `true` in place of each value that is known only after the apply. */
  readonly after_unknown?: unknown;
  /** `true` in place of each value that must not be shown. */
  readonly before_sensitive?: unknown;
  readonly after_sensitive?: unknown;
  readonly replace_paths?: readonly (readonly (string | number)[])[];
  readonly importing?: unknown;
}

export interface ResourceChange {
  readonly address: string;
  readonly previous_address?: string;
  readonly mode?: "managed" | "data";
  readonly type: string;
  readonly name: string;
  readonly index?: string | number;
  /** Set for the old object of an earlier replacement that did not finish. */
  readonly deposed?: string;
  readonly action_reason?: string;
  readonly change: Change;
}

export interface StateResource {
  readonly address: string;
  readonly mode?: "managed" | "data";
  readonly type: string;
  readonly values?: Values;
}

interface Module {
  readonly resources?: readonly StateResource[];
  readonly child_modules?: readonly Module[];
}

interface ConfigurationModule {
  readonly resources?: readonly { readonly address: string; readonly expressions?: Values }[];
}

/** Reads a plan's JSON. `from` names the plan in messages. */
export function readPlan(text: string, from: string): Plan {
  const remedy = "pass a file from `terraform plan -out`, or the output of `terraform show -json` for it";
  const problem = (message: string) => new Problem({ message: `${from} ${message}.`, remedy });
  let plan: Partial<Plan> | null;
  try {
    plan = JSON.parse(text);
  } catch (error) {
    throw problem(`is not valid JSON: ${error instanceof Error ? error.message : error}`);
  }
  const version = plan?.format_version;
  if (typeof version !== "string") throw problem("is not a Terraform plan: it has no format_version");
  // Minor versions are backward compatible, major versions are not (Terraform documentation, "JSON Output Format").
  if (!/^[01]\.\d+$/.test(version))
    throw problem(`has format_version "${version}". The review supports 0.x and 1.x`);
  // The JSON of a state also has a format_version.
  if (plan === null || !("planned_values" in plan || "resource_changes" in plan))
    throw problem(
      "is not a plan: it has neither planned_values nor resource_changes. The JSON of a state has neither",
    );
  const changes = [...(plan.resource_changes ?? []), ...(plan.resource_drift ?? [])];
  const invalid = changes.find(
    ({ address, type, change }) => !address || !type || !Array.isArray(change?.actions),
  );
  if (invalid)
    throw problem(`has a resource change without address, type or actions: ${JSON.stringify(invalid)}`);
  if (plan.errored || plan.complete === false) {
    throw new Problem({
      message: `${from} is not a complete plan: Terraform stopped with an error or deferred a part.`,
      remedy: "plan again without -target until Terraform reports no error, then review the new plan",
    });
  }
  return plan as Plan;
}

/** The changes to managed resources, without no-ops. */
export const changesOf = (plan: Plan): readonly ResourceChange[] =>
  (plan.resource_changes ?? []).filter(
    ({ mode, change, previous_address }) =>
      mode !== "data" &&
      (!only(change, "no-op", "read") || Boolean(change.importing) || previous_address !== undefined),
  );

const only = ({ actions }: Change, ...harmless: readonly Action[]) =>
  actions.every((action) => harmless.includes(action));

export const isDestroyed = ({ change }: ResourceChange) => change.actions.includes("delete");
export const isCreated = ({ change }: ResourceChange) => change.actions.includes("create");
export const isReplaced = (one: ResourceChange) => isDestroyed(one) && isCreated(one);
/** Deleted, and not created again. */
export const isRemoved = (one: ResourceChange) => isDestroyed(one) && !isCreated(one);
export const isUpdated = ({ change }: ResourceChange) => change.actions.includes("update");

export const valuesOf = (value: unknown): Values =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Values) : {};

export const before = ({ change }: ResourceChange): Values => valuesOf(change.before);
export const after = ({ change }: ResourceChange): Values => valuesOf(change.after);
export const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** Whether all or part of an attribute is known only after the apply. */
export const isUnknown = ({ change }: ResourceChange, attribute: string): boolean =>
  hasMark(valuesOf(change.after_unknown)[attribute]);

export const isSensitive = ({ change }: ResourceChange, attribute: string): boolean =>
  [change.before_sensitive, change.after_sensitive].some(
    (marks) => marks === true || hasMark(valuesOf(marks)[attribute]),
  );

/** Whether any of the marks (`after_unknown`, `before_sensitive`, `after_sensitive`) is set. */
export function hasMark(marks: unknown): boolean {
  if (typeof marks === "object" && marks !== null) return Object.values(marks).some(hasMark);
  return marks === true;
}

/** The resources in the prior state, of a type or of all types, in all modules. */
export function priorResources(
  plan: Plan,
  type?: string,
  mode: "managed" | "data" = "managed",
): readonly StateResource[] {
  const found: StateResource[] = [];
  const visit = (module: Module | undefined) => {
    for (const resource of module?.resources ?? []) {
      const isOfType = type === undefined || resource.type === type;
      if (isOfType && (resource.mode ?? "managed") === mode) found.push(resource);
    }
    for (const child of module?.child_modules ?? []) visit(child);
  };
  visit(plan.prior_state?.values?.root_module);
  return found;
}

/** The account of the credentials that made the plan, if its configuration reads it. */
export const accountOf = (plan: Plan): string | undefined =>
  priorResources(plan, "aws_caller_identity", "data")
    .map(({ values }) => text(values?.account_id))
    .find(Boolean);

/**
 * Whether the configuration sets an attribute, rather than the provider. True if the resource is not in the root
 * module, because its configuration is not read.
 */
export function isConfigured(plan: Plan, { address }: ResourceChange, attribute: string): boolean {
  const expressions = configurationOf(plan, address)?.expressions;
  return expressions === undefined || attribute in expressions;
}

/** A resource in the root module of the configuration. All its instances share one entry. */
export const configurationOf = (plan: Plan, address: string) =>
  plan.configuration?.root_module?.resources?.find((one) => one.address === address.replace(/\[.*$/s, ""));

/** The region of the AWS provider, if the configuration has it as a constant. */
export function regionOf(plan: Plan): string | undefined {
  for (const { full_name, expressions } of Object.values(plan.configuration?.provider_config ?? {})) {
    if (full_name?.endsWith("/hashicorp/aws")) return text(valuesOf(expressions?.region).constant_value);
  }
  return undefined;
}
