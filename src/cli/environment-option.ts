import { environments } from "../environments.ts";
import type { EnvironmentSettings } from "../settings/environment.ts";
import type { Options, Values } from "./command-line.ts";

const names = environments.map(({ name }) => name);

/** The option that selects an environment. It is the same in every command. */
export const environmentOption = {
  environment: {
    value: "NAME",
    among: names,
    source: "src/environments.ts",
    help: `environment of src/environments.ts: ${names.join(", ")} (default: the first)`,
  },
} as const satisfies Options;

/** The environment of `--environment`. @default the first */
export function chosenEnvironment({ environment }: Values): EnvironmentSettings {
  const chosen =
    environment === undefined ? environments[0] : environments.find(({ name }) => name === environment);
  if (chosen === undefined) throw new Error(`unknown environment "${environment}"`);
  return chosen;
}
