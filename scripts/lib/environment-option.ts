import { environments } from "../../src/environments.ts";
import type { EnvironmentSettings } from "../../src/settings/types.ts";
import type { Values } from "./command-line.ts";

/** The environment that `--environment` names; without it, the first. */
export function chosenEnvironment({ environment }: Values): EnvironmentSettings {
  const chosen =
    environment === undefined ? environments[0] : environments.find(({ name }) => name === environment);
  if (chosen === undefined) throw new Error(`there is no environment "${environment}"`);
  return chosen;
}

export function environmentProblems({ environment }: Values): readonly string[] {
  const names = environments.map(({ name }) => name);
  if (environment === undefined || names.includes(String(environment))) return [];
  return [`--environment takes one of ${names.join(", ")} (src/environments.ts), got "${environment}"`];
}
