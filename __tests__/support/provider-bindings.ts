import { join } from "node:path";
import { workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { findPython } from "../../src/cli/python/python-environment.ts";
import type { AttributeSchema, BlockSchema, NestedSchema, ProviderSchemas, Type } from "./provider-schema.ts";

/** A type of resource or data source, for example `aws_vpc`. */
export interface BoundType {
  readonly kind: "resource" | "data";
  readonly type: string;
}

/** The schema of Terraform's built-in resource, from `terraform providers schema -json` of Terraform 1.11. */
const terraformData: BlockSchema = {
  attributes: {
    id: { type: "string" },
    input: { type: "dynamic", optional: true },
    output: { type: "dynamic" },
    triggers_replace: { type: "dynamic", optional: true },
  },
};

const fileOf = ({ kind, type }: BoundType) =>
  `${kind === "data" ? "data-" : ""}${type.replaceAll("_", "-")}.d.ts`;

/**
 * The schema of provider 6.62.0 for these types, from its TypeScript declarations. It has the parts of `terraform
 * providers schema -json` that are in the declarations: names, types, required members and single blocks, but not the
 * length limits of lists. Types that the provider does not have are left out.
 */
export async function provider6Schemas(types: readonly BoundType[]): Promise<ProviderSchemas> {
  const { command } = await findPython(process.env);
  const script = join(import.meta.dirname, "provider_bindings.py");
  const names = ["aws-provider.d.ts", ...types.map(fileOf)];
  const result = await capture(command, [script, join(workFolder, "provider-bindings"), ...names], {
    timeout: 300_000,
  });
  if (result?.status !== 0) throw new Error(`provider_bindings.py: ${result?.stderr}`);
  const declared = JSON.parse(result.stdout) as Readonly<Record<string, string>>;
  const blocks = (kind: BoundType["kind"]) =>
    Object.fromEntries(
      types.flatMap((one) => {
        const text = declared[fileOf(one)];
        return one.kind === kind && text !== undefined ? [[one.type, { block: blockOf(text) }]] : [];
      }),
    );
  return {
    provider_schemas: {
      "registry.example.com/hashicorp/aws": {
        provider: { block: blockOf(declared["aws-provider.d.ts"] ?? "") },
        resource_schemas: blocks("resource"),
        data_source_schemas: blocks("data"),
      },
      "terraform.io/builtin/terraform": {
        provider: { block: {} },
        resource_schemas: { terraform_data: { block: terraformData } },
      },
    },
  };
}

/** Returns the schema of the block that a declaration file declares. */
function blockOf(declarations: string): BlockSchema {
  const interfaces = new Map(
    [...declarations.matchAll(/^( *)(?:export )?interface (\w+)[^{]*\{\n(.*?)^\1\}$/gms)].map(
      ([, , name = "", body = ""]) => [name, body],
    ),
  );
  const [, name, body = ""] =
    /^export declare class (\w+) extends cdktn\.Terraform\w+ \{\n(.*?)^\}$/ms.exec(declarations) ?? [];
  const { attributes, block_types } = membersOf(interfaces, `${name}Config`);
  // Computed attributes are only properties of the class.
  const computed = [...body.matchAll(/^ {4}get (\w+)\(\)/gm)].map(
    ([, property = ""]): [string, AttributeSchema] => [
      property.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      { type: "dynamic" },
    ],
  );
  const given = { ...attributes, ...block_types };
  return {
    attributes: { ...Object.fromEntries(computed.filter(([key]) => !(key in given))), ...attributes },
    block_types,
  };
}

function membersOf(
  interfaces: ReadonlyMap<string, string>,
  name: string,
): Required<Pick<BlockSchema, "attributes" | "block_types">> {
  const body = interfaces.get(name);
  if (body === undefined) throw new Error(`the bindings do not declare ${name}`);
  // The Terraform name is in the link to the documentation. Some names, such as `bool`, are different in TypeScript.
  const members = body.matchAll(/#(\w+) [\w.]+#\1\}.*?\*\/\s*readonly \w+(\??): (\{[^}]*\}|[^;{]+);/gs);
  const attributes: Record<string, AttributeSchema> = {};
  const block_types: Record<string, NestedSchema> = {};
  for (const [, key = "", mark, declared = ""] of members) {
    const required = mark === "";
    const type = declared.replaceAll(/\s*\|\s*cdktn\.IResolvable|[()]/g, "").trim();
    const [, block = "", list] = /^(?:\w+\.)?(\w+)(\[\])?$/.exec(type) ?? [];
    if (interfaces.has(block)) {
      block_types[key] = {
        nesting_mode: list ? "list" : "single",
        block: membersOf(interfaces, block),
        min_items: required ? 1 : 0,
        ...(list ? {} : { max_items: 1 }),
      };
    } else attributes[key] = { type: terraformType(type), ...(required ? { required } : { optional: true }) };
  }
  return { attributes, block_types };
}

function terraformType(declared: string): Type {
  const simple = { string: "string", number: "number", boolean: "bool", any: "dynamic" } as const;
  const list = /^(.+)\[\]$/s.exec(declared)?.[1];
  if (list !== undefined) return ["list", terraformType(list)];
  const map = /^\{\s*\[key: string\]: (.+?);?\s*\}$/s.exec(declared)?.[1];
  if (map !== undefined) return ["map", terraformType(map)];
  if (declared in simple) return simple[declared as keyof typeof simple];
  throw new Error(`${declared} is not a Terraform type`);
}
