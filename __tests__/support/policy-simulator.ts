/**
 * Evaluates IAM policies for a request in one account (IAM User Guide, "Policy evaluation logic" and "IAM JSON policy
 * element reference"). Other simulators are licensed under the AGPL (@cloud-copilot/iam-simulate, Principal Mapper),
 * and moto evaluates conditions only in trust policies. An unknown operator or element is an error.
 */
export interface PolicyDocument {
  readonly Version?: string;
  readonly Statement: PolicyStatement | readonly PolicyStatement[];
}

type OneOrMore = string | readonly string[];

export interface PolicyStatement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Action?: OneOrMore;
  readonly NotAction?: OneOrMore;
  readonly Resource?: OneOrMore;
  readonly NotResource?: OneOrMore;
  readonly Principal?: "*" | Readonly<Record<string, OneOrMore>>;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore | boolean>>>>;
}

export interface PolicyRequest {
  readonly action: string;
  readonly resource: string;
  /** ARN of a role, or name of a service. Used only for resource and trust policies. */
  readonly principal?: string;
  /**
   * Tags of the principal, which are those of its role: `aws:PrincipalTag/…` in conditions and variables (IAM User
   * Guide, "AWS global condition context keys"). The names of the tags are not case-sensitive.
   */
  readonly tags?: Readonly<Record<string, string>>;
  /** Values by condition key. The names of the keys are not case-sensitive. */
  readonly context?: Readonly<Record<string, OneOrMore>>;
}

export interface Policies {
  /** The policies of the principal. */
  readonly identity: readonly PolicyDocument[];
  /** The policies of the resource. In the same account, either can allow the request. */
  readonly resource?: readonly PolicyDocument[];
}

export interface Decision {
  readonly allowed: boolean;
  /** The statement that decides, if any. */
  readonly sid?: string | undefined;
}

/** An explicit deny overrides all allows. Without an allow, the request is denied. */
export function simulate(policies: Policies, request: PolicyRequest): Decision {
  const matching = [
    ...statementsOf(policies.identity).filter((one) => matches(one, request)),
    ...statementsOf(policies.resource ?? []).filter(
      (one) => isPrincipal(one, request) && matches(one, request),
    ),
  ];
  const deciding =
    matching.find(({ Effect }) => Effect === "Deny") ?? matching.find(({ Effect }) => Effect === "Allow");
  return { allowed: deciding?.Effect === "Allow", sid: deciding?.Sid };
}

const elements: readonly string[] = [
  "Sid",
  "Effect",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
  "Principal",
  "Condition",
];

function statementsOf(documents: readonly PolicyDocument[]): readonly PolicyStatement[] {
  const statements = documents.flatMap(({ Statement }) => Statement);
  for (const statement of statements) {
    const unknown = Object.keys(statement).find((key) => !elements.includes(key));
    if (unknown !== undefined) throw new Error(`"${unknown}" in statement ${statement.Sid} is not simulated`);
    if (!/^(Allow|Deny)$/.test(statement.Effect))
      throw new Error(`Effect must be Allow or Deny, not "${statement.Effect}"`);
  }
  return statements;
}

const list = (value: OneOrMore | undefined): readonly string[] => (value === undefined ? [] : [value].flat());

function matches(statement: PolicyStatement, request: PolicyRequest): boolean {
  const { Action, NotAction, Resource, NotResource } = statement;
  const action = (pattern: string) => like(pattern.toLowerCase(), request.action.toLowerCase());
  const resource = (pattern: string) => {
    const filled = substitute(pattern, request);
    return filled !== undefined && (filled === "*" || arnLike(filled, request.resource));
  };
  return (
    (NotAction === undefined ? list(Action).some(action) : !list(NotAction).some(action)) &&
    // A trust policy has neither element.
    (NotResource !== undefined
      ? !list(NotResource).some(resource)
      : Resource === undefined || list(Resource).some(resource)) &&
    Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
      Object.entries(keys).every(([key, values]) => holds(operator, key, list(stringsOf(values)), request)),
    )
  );
}

const stringsOf = (values: OneOrMore | boolean): OneOrMore =>
  typeof values === "boolean" ? String(values) : values;

/**
 * `"AWS": "*"` and `"*"` match everyone. The account's root does not match: it delegates to the principal's policies.
 */
function isPrincipal({ Principal }: PolicyStatement, { principal }: PolicyRequest): boolean {
  if (Principal === undefined)
    throw new Error("a statement without Principal in a resource policy is not simulated");
  if (Principal === "*") return true;
  return Object.entries(Principal).some(([type, values]) =>
    list(values).some((value) => (type === "AWS" && value === "*") || value === principal),
  );
}

type Test = (policyValue: string, requestValue: string) => boolean;

/** IAM User Guide, "IAM JSON policy elements: Condition operators". */
const tests: Readonly<Record<string, Test>> = {
  StringEquals: (policy, request) => literal(policy) === request,
  StringEqualsIgnoreCase: (policy, request) => literal(policy).toLowerCase() === request.toLowerCase(),
  StringLike: like,
  // ArnEquals and ArnLike are identical.
  ArnEquals: arnLike,
  ArnLike: arnLike,
  Bool: (policy, request) => policy.toLowerCase() === request.toLowerCase(),
  NumericEquals: (policy, request) => Number(request) === Number(policy),
  NumericLessThan: (policy, request) => Number(request) < Number(policy),
  NumericLessThanEquals: (policy, request) => Number(request) <= Number(policy),
  NumericGreaterThan: (policy, request) => Number(request) > Number(policy),
  NumericGreaterThanEquals: (policy, request) => Number(request) >= Number(policy),
};

function holds(operator: string, key: string, values: readonly string[], request: PolicyRequest): boolean {
  const [, set, name = "", ifExists] =
    /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(operator) ?? [];
  const found = valuesOf(key, request);
  if (name === "Null") return values.every((value) => (value === "true") === (found === undefined));
  const test = tests[name.replace(/^(String|Arn|Numeric)Not/, "$1")];
  if (test === undefined) throw new Error(`the condition operator "${operator}" is not simulated`);
  const negated = /^(String|Arn|Numeric)Not/.test(name);
  if (found === undefined)
    return ifExists !== undefined || set === "ForAllValues" || (negated && set === undefined);
  if (set === undefined && found.length !== 1) {
    throw new Error(`"${key}" has ${found.length} values, but "${operator}" requires one`);
  }
  const one = (value: string) =>
    negated !==
    values.some((wanted) => {
      const filled = substitute(wanted, request);
      return filled !== undefined && test(filled, value);
    });
  return set === "ForAnyValue" ? found.some(one) : found.every(one);
}

function valuesOf(key: string, { context = {}, tags = {} }: PolicyRequest): readonly string[] | undefined {
  const ofTags = Object.entries(tags).map(([tag, value]) => [`aws:PrincipalTag/${tag}`, value] as const);
  const values = Object.entries({ ...context, ...Object.fromEntries(ofTags) });
  const found = values.find(([name]) => name.toLowerCase() === key.toLowerCase());
  return found === undefined ? undefined : list(found[1]);
}

/**
 * Replaces policy variables (IAM User Guide, "IAM policy elements: Variables and tags"). A variable without a value and
 * without a default matches nothing. `${*}`, `${?}`, `${$}` and wildcards in values are literal, and are escaped here.
 */
function substitute(text: string, request: PolicyRequest): string | undefined {
  let missing = false;
  const filled = text.replace(/\$\{([^}]+)\}/g, (_, inside: string) => {
    if (/^[*?$]$/.test(inside)) return `\\${inside}`;
    const [key = "", fallback] = inside.split(/\s*,\s*/);
    const value = valuesOf(key, request)?.[0] ?? fallback?.replace(/^'(.*)'$/, "$1");
    if (value === undefined) missing = true;
    return (value ?? "").replace(/[*?\\]/g, "\\$&");
  });
  return missing ? undefined : filled;
}

const literal = (text: string) => text.replace(/\\([*?$\\])/g, "$1");

/** `*` matches any characters and `?` one character. A backslash escapes the next character. */
function like(pattern: string, text: string): boolean {
  const expression = pattern.replace(/\\([*?$\\])|[*?]|[.+^${}()|[\]\\]/g, (found, marked?: string) => {
    if (marked !== undefined) return `\\${marked}`;
    return found === "*" ? "[^]*" : found === "?" ? "[^]" : `\\${found}`;
  });
  return new RegExp(`^${expression}$`).test(text);
}

/** Compares each of the six parts of an ARN. The last part can contain colons. */
function arnLike(pattern: string, arn: string): boolean {
  const [wanted, found] = [partsOf(pattern), partsOf(arn)];
  if (wanted.length < 6) throw new Error(`"${pattern}" is not a complete ARN, which is not simulated`);
  return wanted.every((part, index) => like(part, found[index] ?? ""));
}

function partsOf(arn: string): readonly string[] {
  const parts = arn.split(":");
  return parts.length < 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(":")];
}
