import { beforeAll, describe, expect, it } from "vitest";
import { synthesizeEvery } from "../support/every-environment.ts";
import type { StackJson } from "../support/known-values.ts";
import { type BoundType, provider6Schemas } from "../support/provider-bindings.ts";
import { ProviderSchema } from "../support/provider-schema.ts";

/** A mutable stack, for broken copies. */
interface Stack {
  readonly resource: Record<string, Record<string, Record<string, unknown>>>;
  readonly data: Record<string, Record<string, Record<string, unknown>>>;
}

const every = [...synthesizeEvery()].map(
  ([name, { text }]) => [name, JSON.parse(text) as StackJson] as const,
);
const types = [
  ...new Map(
    every.flatMap(([, stack]) =>
      (["resource", "data"] as const).flatMap((kind) =>
        Object.keys(stack[kind] ?? {}).map((type): [string, BoundType] => [
          `${kind} ${type}`,
          { kind, type },
        ]),
      ),
    ),
  ).values(),
].filter(({ type }) => type !== "terraform_data");
const [, dev] = every[0] as (typeof every)[number];

let schema: ProviderSchema;
beforeAll(async () => {
  schema = new ProviderSchema(await provider6Schemas(types));
});

describe("the schema of the AWS provider 6.62.0", () => {
  it.each(every)("has each type, attribute and reference of the environment %s", (_, stack) => {
    expect(schema.problems(stack)).toEqual([]);
  });

  it.each<readonly [string, (stack: Stack) => void, string]>([
    // Provider 6 removed this argument (its upgrade guide, "aws_eip").
    ["a removed argument", at("aws_eip", "vpc", true), "vpc: no such argument"],
    [
      "an argument of the wrong type",
      at("aws_vpc", "enable_dns_support", "yes"),
      'support: "yes" is not of type "bool"',
    ],
    ["a read-only argument", at("aws_vpc", "arn", "arn"), "arn: is read-only"],
    ["a missing argument", at("aws_subnet", "vpc_id", undefined), "vpc_id: is missing"],
    [
      "a missing block",
      at("aws_sagemaker_domain", "default_user_settings", undefined),
      "settings: is missing",
    ],
    [
      "an unknown argument of a block",
      at("aws_sagemaker_domain", "default_user_settings", { execution_role: "r", security_group: "sg" }),
      "default_user_settings.security_group: no such argument",
    ],
    [
      "an unknown reference",
      at("aws_subnet", "vpc_id", `\${aws_vpc.network_vpc.vpc_arn}`),
      "is not an attribute",
    ],
    [
      "a removed type",
      ({ resource }) => Object.assign(resource, { aws_opsworks_stack: { s: {} } }),
      "no such type",
    ],
  ])("reports %s", (_, change, problem) => {
    const stack = structuredClone(dev) as unknown as Stack;
    change(stack);
    const problems = schema.problems(stack as unknown as StackJson);
    expect(problems).not.toEqual([]);
    for (const one of problems) expect(one).toContain(problem);
  });
});

/** Returns a function that sets or removes an argument of each resource of a type. */
function at(type: string, argument: string, value: unknown): (stack: Stack) => void {
  return ({ resource }) => {
    const blocks = Object.values(resource[type] ?? {});
    if (blocks.length === 0) throw new Error(`the stack has no ${type}`);
    for (const block of blocks) {
      if (value === undefined) delete block[argument];
      else block[argument] = value;
    }
  };
}
