import { existsSync, readFileSync } from "node:fs";

interface State {
  readonly outputs?: Readonly<Record<string, { readonly value: unknown }>>;
  readonly resources?: readonly {
    readonly mode: "managed" | "data";
    readonly type: string;
    readonly instances: readonly unknown[];
  }[];
}

export interface RehearsedState {
  /** Number of managed resources by Terraform resource type. */
  readonly resources: ReadonlyMap<string, number>;
  /** Value of an output, if it is a string. */
  output(name: string): string | undefined;
}

/** Reads Terraform's local state. A missing or empty file counts as an empty state. */
export function readState(path: string): RehearsedState {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const state = JSON.parse(text || "{}") as State;
  const resources = new Map<string, number>();
  for (const { mode, type, instances } of state.resources ?? []) {
    if (mode === "managed") resources.set(type, (resources.get(type) ?? 0) + instances.length);
  }
  return {
    resources,
    output: (name) => {
      const value = state.outputs?.[name]?.value;
      return typeof value === "string" ? value : undefined;
    },
  };
}
