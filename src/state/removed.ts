import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { basicDefaults } from "../settings/basics.ts";
import type { EnvironmentSettings } from "../settings/environment.ts";
import { stateFileOf } from "../settings/state-file.ts";
import { terraformDefaults } from "../settings/terraform.ts";
import { countOf, managedIn, parsed, type State } from "./state.ts";

/** An environment that is not in the settings, but whose state file has resources: it was renamed or removed. */
export interface RemovedEnvironment {
  readonly name: string;
  /** Settings with which it can be destroyed. The provider is the first environment's: a renamed one keeps it. */
  readonly settings: EnvironmentSettings;
  /** Number of resources in its state. Undefined if the file is broken. */
  readonly resources: number | undefined;
  /** Undefined if no resource in the state names it. */
  readonly account: string | undefined;
  /** The inputs of the steps of its removal, by the step's name. */
  readonly steps: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** The environments whose state file is in a folder, but which are not in the settings. */
export function removedEnvironments(
  environments: readonly EnvironmentSettings[],
  folder = projectFolder,
): readonly RemovedEnvironment[] {
  const kept = new Set(environments.map(({ name }) => stateFileOf(name)));
  const { awsProviderVersion = terraformDefaults.awsProviderVersion } = environments[0] ?? {};
  return readdirSync(folder)
    .sort()
    .flatMap((file) => {
      const name = /^terraform\.([a-z][a-z0-9-]*)\.tfstate$/.exec(file)?.[1];
      const text = name === undefined || kept.has(file) ? "" : readFileSync(join(folder, file), "utf8");
      if (name === undefined || text === "") return [];
      const state = parsed(text);
      const resources = state && countOf(state);
      if (resources === 0) return [];
      const { region = basicDefaults.region, account } = placeOf(state ?? {});
      const settings = { name, region, awsProviderVersion };
      return [{ name, settings, resources, account, steps: stepsOf(state ?? {}) }];
    });
}

/** The Region and account of the first resource whose ARN names both. Without one, no resource is in a Region. */
function placeOf(state: State): { readonly region?: string; readonly account?: string } {
  const arns = managedIn(state).flatMap(({ instances }) =>
    instances.map(({ attributes }) => String(attributes?.arn)),
  );
  const [, region, account] =
    arns.map((arn) => /^arn:[^:]+:[^:]+:([^:]+):(\d{12}):/.exec(arn)).find((match) => match !== null) ?? [];
  return region === undefined || account === undefined ? {} : { region, account };
}

/** In a state, the input of a `terraform_data` has its type beside it. */
const stepsOf = (state: State): RemovedEnvironment["steps"] =>
  Object.fromEntries(
    managedIn(state)
      .filter(({ type }) => type === "terraform_data")
      .flatMap(({ name = "", instances }) => {
        const input = instances[0]?.attributes?.input as { value?: Record<string, string> } | undefined;
        return input?.value === undefined ? [] : [[name, input.value]];
      }),
  );

const counted = (resources: number) => (resources === 1 ? "1 resource" : `${resources} resources`);

/** What to do with such a state, for a terminal. */
export const removedWarning = (environment: RemovedEnvironment): string =>
  `warning: ${removedProblem(environment)} ${removedRemedy(environment)}.`;

export const removedProblem = ({ name, resources }: RemovedEnvironment): string =>
  `${stateFileOf(name)} ${resources === undefined ? "is broken" : `has ${counted(resources)}`}, and no environment in ` +
  `src/environments.ts has the name "${name}".`;

export const removedRemedy = ({ name, resources }: RemovedEnvironment): string =>
  resources === undefined
    ? `If it has a ${stateFileOf(name)}.backup, copy that over it`
    : "If you renamed it, undo that, because a name cannot change. To destroy it, run " +
      `npm run plan -- --environment ${name}, then npx cdktf destroy ${name}`;
