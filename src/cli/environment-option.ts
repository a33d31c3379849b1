import { environments } from "../environments.ts";
import type { EnvironmentSettings } from "../settings/environment.ts";
import { validateEnvironments } from "../settings/validate.ts";
import { removedEnvironments } from "../state/removed.ts";
import type { Options, Values } from "./command-line.ts";
import { Problem } from "./problem.ts";

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

/** Environments that are not in the settings any more, but in a state file. */
export const removed = removedEnvironments(environments);
const removedNames = removed.map(({ name }) => name);

/** The same for commands that also take a removed environment. */
export const environmentOrRemovedOption = {
  environment: {
    ...environmentOption.environment,
    among: [...names, ...removedNames],
    help:
      environmentOption.environment.help +
      (removed.length > 0 ? `,\nor a removed one: ${removedNames.join(", ")}` : ""),
  },
} as const satisfies Options;

/** The environment of `--environment`. @default the first. Throws a Problem if its settings are not valid. */
export function chosenEnvironment({ environment }: Values): EnvironmentSettings {
  const name = environment ?? environments[0]?.name;
  const old = removed.find((one) => one.name === name);
  if (old !== undefined) return old.settings;
  const chosen = environments.filter((one) => one.name === name);
  const wrong = validateEnvironments(chosen);
  const [found] = chosen;
  if (found === undefined || wrong.length > 0) {
    throw new Problem({
      message: `The settings are not valid:\n- ${wrong.join("\n- ")}`,
      remedy: "correct src/environments.ts",
    });
  }
  return found;
}
