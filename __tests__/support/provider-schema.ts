import { type Block, isBlock, type StackJson } from "./known-values.ts";

/** The part of `terraform providers schema -json` that is used here. */
export interface ProviderSchemas {
  readonly provider_schemas: Readonly<
    Record<
      string,
      {
        readonly provider: { readonly block: BlockSchema };
        readonly resource_schemas?: Readonly<Record<string, { readonly block: BlockSchema }>>;
        readonly data_source_schemas?: Readonly<Record<string, { readonly block: BlockSchema }>>;
      }
    >
  >;
}

export interface BlockSchema {
  readonly attributes?: Readonly<Record<string, AttributeSchema>>;
  readonly block_types?: Readonly<Record<string, NestedSchema>>;
}
export interface AttributeSchema {
  readonly type: Type;
  readonly required?: boolean;
  readonly optional?: boolean;
}
export interface NestedSchema {
  readonly nesting_mode: "single" | "list" | "set" | "map";
  readonly block: BlockSchema;
  readonly min_items?: number;
  readonly max_items?: number;
}
export type Type =
  | "string"
  | "number"
  | "bool"
  | "dynamic"
  | readonly ["list" | "set" | "map", Type]
  | readonly ["object", Readonly<Record<string, Type>>];

/** Arguments that every resource can have (Terraform documentation, "Resource block reference"). */
const metaArguments = ["count", "depends_on", "for_each", "lifecycle", "provider", "provisioner"];
const conditions = ["precondition", "postcondition"];
const lifecycleArguments = ["create_before_destroy", "ignore_changes", "prevent_destroy", ...conditions];
/** Identifiers (Terraform documentation, "Syntax"). */
const identifier = /^[A-Za-z_][\w-]*$/;

/** Validates a stack's JSON like `terraform validate`, but only with the providers' schemas: thousands per minute. */
export class ProviderSchema {
  private readonly resources: Readonly<Record<string, { readonly block: BlockSchema }>>;
  private readonly dataSources: Readonly<Record<string, { readonly block: BlockSchema }>>;
  private readonly provider: BlockSchema;

  constructor({ provider_schemas }: ProviderSchemas) {
    const schemas = Object.entries(provider_schemas);
    this.resources = Object.assign({}, ...schemas.map(([, { resource_schemas }]) => resource_schemas));
    this.dataSources = Object.assign(
      {},
      ...schemas.map(([, { data_source_schemas }]) => data_source_schemas),
    );
    const aws = schemas.find(([name]) => name.endsWith("/hashicorp/aws"))?.[1];
    if (aws === undefined) throw new Error("The schemas do not contain the AWS provider.");
    this.provider = aws.provider.block;
  }

  problems(stack: StackJson): readonly string[] {
    const blocks = (kind: "resource" | "data", schemas: typeof this.resources) =>
      Object.entries(stack[kind]).flatMap(([type, named]) =>
        Object.entries(named).flatMap(([name, block]) => {
          const at = `${kind === "data" ? "data." : ""}${type}.${name}`;
          const schema = schemas[type];
          if (schema === undefined) return [`${at}: no such type`];
          const own = Object.fromEntries(
            Object.entries(block).filter(([key]) => !metaArguments.includes(key)),
          );
          return [
            ...(identifier.test(name) ? [] : [`${at}: not a valid identifier`]),
            ...this.blockProblems(own, schema.block, at),
            ...lifecycleProblems(block.lifecycle, schema.block, at),
            ...this.references(stack, block, at),
          ];
        }),
      );
    return [
      ...stack.provider.aws.flatMap((provider) =>
        this.blockProblems(provider, this.provider, "provider.aws"),
      ),
      ...blocks("resource", this.resources),
      ...blocks("data", this.dataSources),
      ...this.references(stack, stack.provider, "provider"),
      ...this.references(stack, stack.locals, "local"),
      ...this.references(stack, stack.output, "output"),
    ];
  }

  private blockProblems(block: Block, schema: BlockSchema, at: string): readonly string[] {
    const { attributes = {}, block_types = {} } = schema;
    const given = Object.entries(block).flatMap(([key, value]) => {
      const path = `${at}.${key}`;
      const attribute = attributes[key];
      if (attribute !== undefined) {
        if (attribute.required !== true && attribute.optional !== true) return [`${path}: is read-only`];
        return value === null ? [] : typeProblems(attribute.type, value, path);
      }
      const nested = block_types[key];
      if (nested !== undefined) return this.nestedProblems(nested, value, path);
      // Terraform's JSON configuration syntax, "Comment Properties".
      return key === "//" ? [] : [`${path}: no such argument`];
    });
    const missing = [
      ...Object.entries(attributes).filter(
        ([key, { required }]) => required && (block[key] ?? null) === null,
      ),
      ...Object.entries(block_types).filter(
        ([key, { min_items = 0 }]) => min_items > 0 && block[key] === undefined,
      ),
    ];
    return [...given, ...missing.map(([key]) => `${at}.${key}: is missing`)];
  }

  private nestedProblems(schema: NestedSchema, value: unknown, at: string): readonly string[] {
    const blocks = Array.isArray(value) ? value : [value];
    const { min_items = 0, max_items = Number.POSITIVE_INFINITY } = schema;
    return [
      ...(blocks.length < min_items || blocks.length > max_items ? [`${at}: ${blocks.length} blocks`] : []),
      ...blocks.flatMap((block) =>
        isBlock(block)
          ? this.blockProblems(block, schema.block, at)
          : [`${at}: ${JSON.stringify(block)} is not a block`],
      ),
    ];
  }

  /** Checks that every expression in a value and every address in `depends_on` refers to something that is declared. */
  private references(stack: StackJson, value: unknown, at: string): readonly string[] {
    if (Array.isArray(value)) return value.flatMap((item) => this.references(stack, item, at));
    if (isBlock(value)) {
      return Object.entries(value).flatMap(([key, item]) => {
        // Conditions are complex expressions. Only Terraform validates them, for a sample of stacks.
        if (key === "//" || conditions.includes(key)) return [];
        if (key !== "depends_on") return this.references(stack, item, at);
        return [item].flat().flatMap((address) => this.reference(stack, String(address), at));
      });
    }
    if (typeof value !== "string") return [];
    // `$${` and `%%{` are escaped (Terraform documentation, "Strings and Templates").
    const templates = value.replaceAll(/\$\$\{|%%\{/g, "");
    if (templates.includes("%{")) return [`${at}: ${JSON.stringify(value)} has a template directive`];
    const expressions = [...templates.matchAll(/\$\{([^}]*)(\}?)/g)];
    return expressions.flatMap(([, expression = "", end]) => {
      if (end === "") return [`${at}: ${JSON.stringify(value)} has an expression without an end`];
      const names = expression
        // A string may end with an expression of its own.
        .replaceAll(/"[^"]*("|$)/g, "")
        .replaceAll(/ for key, val in ([\w.-]+): (val\.name|(?:lower\(key\)|key) => val\.\w+)/g, "$1")
        .match(/(?<![\w.-])(?!\d)[\w-]+(\[[^\]]*\])?(\.[\w-]+(\[[^\]]*\])?)*(?!\w*\()/g);
      // A function of literals, such as toset(["ana"]), refers to nothing.
      const others = /^\w+\(/.test(expression) ? [] : [`"${expression}"`];
      return (names ?? others).flatMap((name) => this.reference(stack, name, at));
    });
  }

  private reference(stack: StackJson, name: string, at: string): readonly string[] {
    const path = name.replaceAll(/\[[^\]]*\]/g, "").split(".");
    const [head = "", second = ""] = path;
    if (head === "local") return second in stack.locals ? [] : [`${at}: ${name} is not declared`];
    if (["each", "self"].includes(head) || name === "path.module") return [];
    const isData = head === "data";
    const [type = "", id = "", attribute] = isData ? path.slice(1) : path;
    if (stack[isData ? "data" : "resource"][type]?.[id] === undefined)
      return [`${at}: ${name} is not declared`];
    const { block } = (isData ? this.dataSources : this.resources)[type] ?? {};
    const known = attribute === undefined || attribute in { ...block?.attributes, ...block?.block_types };
    return known ? [] : [`${at}: ${name} is not an attribute`];
  }
}

function lifecycleProblems(lifecycle: unknown, schema: BlockSchema, at: string): readonly string[] {
  if (lifecycle === undefined) return [];
  if (!isBlock(lifecycle)) return [`${at}.lifecycle: is not a block`];
  const ignored = [lifecycle.ignore_changes ?? []].flat().map(String);
  return [
    ...Object.keys(lifecycle).filter((key) => !lifecycleArguments.includes(key)),
    ...ignored.filter(
      (path) => !(path.replace(/[[.].*/, "") in { ...schema.attributes, ...schema.block_types }),
    ),
  ].map((wrong) => `${at}.lifecycle: no such argument ${wrong}`);
}

/** Checks that Terraform can convert a value to a type (its documentation, "Types and Values", "Type Conversion"). */
function typeProblems(type: Type, value: unknown, at: string): readonly string[] {
  // A missing value and a value that is one expression can have any type.
  if (
    value === null ||
    type === "dynamic" ||
    (typeof value === "string" && /^\$\{(?:[^{}]|\{[^{}]*\})*\}$/.test(value))
  )
    return [];
  const wrong = [`${at}: ${JSON.stringify(value)} is not of type ${JSON.stringify(type)}`];
  if (typeof type === "string") {
    if (type === "string") return ["string", "number", "boolean"].includes(typeof value) ? [] : wrong;
    if (type === "bool") return ["true", "false"].includes(String(value)) ? [] : wrong;
    const number = typeof value === "number" || (typeof value === "string" && value.trim() !== "");
    return number && Number.isFinite(Number(value)) ? [] : wrong;
  }
  const [kind, of] = type;
  if (kind === "object") {
    if (!isBlock(value)) return wrong;
    const keys = new Set([...Object.keys(of), ...Object.keys(value)]);
    return [...keys].flatMap((key) => {
      const wanted = of[key];
      if (wanted === undefined || !(key in value)) return [`${at}.${key}: is missing or unknown`];
      return typeProblems(wanted, value[key], `${at}.${key}`);
    });
  }
  if (kind === "map") {
    if (!isBlock(value)) return wrong;
    return Object.entries(value).flatMap(([key, item]) =>
      typeProblems(of, item, `${at}[${JSON.stringify(key)}]`),
    );
  }
  return Array.isArray(value)
    ? value.flatMap((item, index) => typeProblems(of, item, `${at}[${index}]`))
    : wrong;
}
