import {
  after,
  configurationOf,
  holdsTrue,
  isUnknown,
  type Plan,
  type ResourceChange,
  text,
  type Values,
  valuesOf,
} from "./plan.ts";

/** The policy that a resource has after the apply, where the plan tells it. */
export function policyAfter(plan: Plan, one: ResourceChange, attribute: string): string | undefined {
  return isUnknown(one, attribute) ? pendingDocument(plan, one, attribute) : text(after(one)[attribute]);
}

/**
 * Terraform puts off reading a data source while anything it refers to changes, if only a tag ("JSON Output Format",
 * `read_because_dependency_pending`). The statements of such an `aws_iam_policy_document` are in the plan all the same.
 */
function pendingDocument(plan: Plan, one: ResourceChange, attribute: string): string | undefined {
  const policy = valuesOf(configurationOf(plan, one.address)?.expressions?.[attribute]).constant_value;
  // Nothing but that document: a function around it might say something else.
  const [, address] =
    /^\$\{(data\.aws_iam_policy_document\.[^.[\]{}]+)\.json\}$/.exec(text(policy) ?? "") ?? [];
  const document = plan.resource_changes?.find((other) => other.address === address);
  if (document === undefined) return undefined;
  const { statement } = after(document);
  const others = ["source_policy_documents", "override_policy_documents", "source_json", "override_json"];
  const isWhole =
    Array.isArray(statement) &&
    !holdsTrue(valuesOf(document.change.after_unknown).statement) &&
    !holdsTrue(document.change.after_sensitive) &&
    others.every((name) => !after(document)[name] && !isUnknown(document, name));
  return isWhole ? JSON.stringify({ Statement: statement.map(valuesOf).map(statementOf) }) : undefined;
}

/** As the data source writes a statement of its own into JSON. */
function statementOf(statement: Values): Readonly<Record<string, unknown>> {
  const conditions: Record<string, Record<string, unknown>> = {};
  for (const { test, variable, values } of blocks(statement.condition)) {
    const operator = String(test);
    conditions[operator] = { ...conditions[operator], [String(variable)]: strings(values) };
  }
  return {
    Effect: text(statement.effect) ?? "Allow",
    ...element("Action", statement.actions),
    ...element("NotAction", statement.not_actions),
    ...element("Resource", statement.resources),
    ...element("NotResource", statement.not_resources),
    ...principals("Principal", statement.principals),
    ...principals("NotPrincipal", statement.not_principals),
    ...(Object.keys(conditions).length > 0 ? { Condition: conditions } : {}),
  };
}

const blocks = (value: unknown): readonly Values[] => (Array.isArray(value) ? value.map(valuesOf) : []);

/** IAM's own `${…}` is written with `&` there (Terraform provider's documentation, `aws_iam_policy_document`). */
const strings = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : []).map((one) => String(one).replaceAll("&{", "${"));

const element = (name: string, value: unknown) =>
  strings(value).length > 0 ? { [name]: strings(value) } : {};

function principals(name: string, value: unknown): Readonly<Record<string, unknown>> {
  const byType: Record<string, readonly string[]> = {};
  for (const { type, identifiers } of blocks(value))
    byType[String(type)] = [...(byType[String(type)] ?? []), ...strings(identifiers)];
  if (Object.keys(byType).length === 0) return {};
  return { [name]: "*" in byType ? "*" : byType };
}
