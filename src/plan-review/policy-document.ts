import {
  after,
  configurationOf,
  hasMark,
  isUnknown,
  type Plan,
  type ResourceChange,
  text,
  type Values,
  valuesOf,
} from "./plan.ts";

/** The policy of a resource after the apply, if the plan contains it. */
export function policyAfter(plan: Plan, one: ResourceChange, attribute: string): string | undefined {
  return isUnknown(one, attribute) ? pendingDocument(plan, one, attribute) : text(after(one)[attribute]);
}

/**
 * Terraform defers reading a data source while anything it refers to changes, even a tag ("JSON Output Format",
 * `read_because_dependency_pending`). The plan still contains the statements of such an `aws_iam_policy_document`.
 */
function pendingDocument(plan: Plan, one: ResourceChange, attribute: string): string | undefined {
  const policy = valuesOf(configurationOf(plan, one.address)?.expressions?.[attribute]).constant_value;
  // Only a plain reference: a function could change the document.
  const [, address] =
    /^\$\{(data\.aws_iam_policy_document\.[^.[\]{}]+)\.json\}$/.exec(text(policy) ?? "") ?? [];
  const document = plan.resource_changes?.find((other) => other.address === address);
  if (document === undefined) return undefined;
  const { statement } = after(document);
  const others = ["source_policy_documents", "override_policy_documents", "source_json", "override_json"];
  const isWhole =
    Array.isArray(statement) &&
    !hasMark(valuesOf(document.change.after_unknown).statement) &&
    !hasMark(document.change.after_sensitive) &&
    others.every((name) => !after(document)[name] && !isUnknown(document, name));
  return isWhole ? JSON.stringify({ Statement: statement.map(valuesOf).map(statementOf) }) : undefined;
}

/** A statement in the JSON that the data source writes. */
function statementOf(statement: Values): Readonly<Record<string, unknown>> {
  const conditions: Record<string, Record<string, unknown>> = {};
  for (const { test, variable, values } of blocks(statement.condition)) {
    const operator = String(test);
    conditions[operator] = { ...conditions[operator], [String(variable)]: strings(values) };
  }
  return {
    ...(text(statement.sid) ? { Sid: statement.sid } : {}),
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

/** The data source writes IAM's `${…}` as `&{…}` (Terraform provider documentation, `aws_iam_policy_document`). */
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
