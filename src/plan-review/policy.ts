/**
 * What one IAM policy document allows that another does not, by the rules of the IAM User Guide ("IAM JSON policy
 * elements reference", "Policy evaluation logic"). If the comparison is uncertain, the result is "wider", so that a
 * person checks.
 */

interface Statement {
  readonly effect: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly principals: readonly string[];
  readonly conditions: ReadonlyMap<string, readonly string[]>;
}

/** One action on one resource by one principal. */
interface Grant extends Omit<Statement, "actions" | "resources" | "principals"> {
  readonly action: string;
  readonly resource: string;
  readonly principal: string;
}

/** Stands for a missing policy. */
export const noPolicy = '{"Statement":[]}';

/** What `after` allows and `before` does not, one line each. Empty if `after` allows nothing more. */
export function widenings(before: string, after: string): readonly string[] {
  const [old, now] = [grantsOf(before), grantsOf(after)];
  if (old === undefined || now === undefined) {
    return before === after ? [] : ["has a policy document that cannot be compared"];
  }
  const allowed = now.filter(
    (grant) => grant.effect === "Allow" && !old.some((one) => one.effect === "Allow" && covers(one, grant)),
  );
  const denied = old.filter(
    (grant) => grant.effect === "Deny" && !now.some((one) => one.effect === "Deny" && covers(one, grant)),
  );
  return [
    ...allowed.map((grant) => `allows ${describe(grant)}`),
    ...denied.map((grant) => `no longer denies ${describe(grant)}`),
  ];
}

/** The grants of a document to everyone, and its grants of every action on every resource. */
export function unrestrictedGrants(
  policy: string,
  { exceptOfAnAccount = false }: { readonly exceptOfAnAccount?: boolean } = {},
): readonly string[] {
  return (grantsOf(policy) ?? [])
    .filter(({ resource }) => !(exceptOfAnAccount && /^arn:[^:]*:[^:]*:[^:]*:\d{12}:/.test(resource)))
    .filter(({ effect }) => effect === "Allow")
    .filter(
      ({ principal, action, resource, conditions }) =>
        (isEveryone(principal) && conditions.size === 0) ||
        // A document without principals is an identity policy, where `*` on `*` gives administrator access.
        (principal === "" && action === "*" && resource === "*"),
    )
    .map((grant) => `allows ${describe(grant)}`);
}

const isEveryone = (principal: string) => principal === "*" || principal === "AWS:*";

function grantsOf(policy: string): readonly Grant[] | undefined {
  const statements = statementsOf(policy);
  return statements?.flatMap(({ actions, resources, principals, ...rest }) =>
    principals.flatMap((principal) =>
      actions.flatMap((action) => resources.map((resource) => ({ ...rest, principal, action, resource }))),
    ),
  );
}

function statementsOf(policy: string): readonly Statement[] | undefined {
  try {
    const { Statement } = JSON.parse(policy) as { Statement?: unknown };
    return (Array.isArray(Statement) ? Statement : [Statement]).map(readStatement);
  } catch {
    return undefined;
  }
}

function readStatement(statement: Readonly<Record<string, unknown>>): Statement {
  const conditions = new Map<string, readonly string[]>();
  for (const [operator, byKey] of Object.entries(statement.Condition ?? {})) {
    for (const [key, values] of Object.entries(byKey as object))
      conditions.set(`${operator} ${key.toLowerCase()}`, listOf(values).toSorted());
  }
  return {
    effect: String(statement.Effect),
    // Action names are case-insensitive ("IAM JSON policy elements: Action").
    actions: elementOf(statement, "Action").map((action) => action.toLowerCase()),
    resources: elementOf(statement, "Resource"),
    principals: principalsOf(statement),
    conditions,
  };
}

/** `NotAction` and `NotResource` are compared as text: only the same list covers them. */
function elementOf(statement: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  const not = statement[`Not${name}`];
  if (not !== undefined) return [`all except ${listOf(not).toSorted().join(", ")}`];
  // A role's trust policy has no Resource element.
  return statement[name] === undefined ? [""] : listOf(statement[name]);
}

function principalsOf(statement: Readonly<Record<string, unknown>>): readonly string[] {
  const { Principal, NotPrincipal } = statement;
  const flat = (principal: unknown) =>
    typeof principal === "object" && principal !== null
      ? Object.entries(principal).flatMap(([type, values]) =>
          listOf(values).map((value) => `${type}:${value}`),
        )
      : [String(principal)];
  if (NotPrincipal !== undefined) return [`all except ${flat(NotPrincipal).toSorted().join(", ")}`];
  return Principal === undefined ? [""] : flat(Principal);
}

const listOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value : [value]).map(String);

/** Whether the first grant includes the second. */
function covers(wide: Grant, narrow: Grant): boolean {
  return (
    (isEveryone(wide.principal) ? narrow.principal !== "" : wide.principal === narrow.principal) &&
    matches(wide.action, narrow.action) &&
    matches(wide.resource, narrow.resource) &&
    [...wide.conditions].every(([test, values]) => isNarrower(test, narrow.conditions.get(test), values))
  );
}

/** Whether a condition holds in no more cases than another with the same operator and key. */
function isNarrower(test: string, narrow: readonly string[] | undefined, wide: readonly string[]): boolean {
  if (narrow === undefined) return false;
  const within = (some: readonly string[], all: readonly string[]) => some.every((one) => all.includes(one));
  // More values widen a positive operator and narrow a negated one ("IAM JSON policy elements: Condition").
  return /Not/.test(test.split(" ")[0] ?? "") ? within(wide, narrow) : within(narrow, wide);
}

/** Whether a pattern with `*` and `?` covers another. Only `*` covers a `*`. */
function matches(wide: string, narrow: string): boolean {
  if (wide.startsWith("all except ") || narrow.startsWith("all except "))
    return wide === narrow || wide === "*";
  const pattern = wide
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", "[^*]");
  return new RegExp(`^${pattern}$`, "s").test(narrow);
}

function describe({ principal, action, resource, conditions }: Grant): string {
  const who = principal === "" ? "" : ` to ${principal}`;
  const where = resource === "" ? "" : ` on ${resource}`;
  const when = [...conditions].map(([test, values]) => `${test} ${values.join(" or ")}`).join(" and ");
  return `${action}${where}${who}${when === "" ? "" : ` when ${when}`}`;
}
