import { setTimeout } from "node:timers/promises";
import { callerAccount, wrongAccount } from "../src/cli/caller-account.ts";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { confirmed } from "../src/cli/consent.ts";
import { chosenEnvironment, environmentOrRemovedOption, removed } from "../src/cli/environment-option.ts";
import { Problem } from "../src/cli/problem.ts";
import { Steps } from "../src/cli/steps.ts";
import { environments } from "../src/environments.ts";
import { leftoversClients } from "../src/leftovers/clients.ts";
import type { Leftover } from "../src/leftovers/leftover.ts";
import { findLeftovers } from "../src/leftovers/leftovers.ts";
import { managedIds } from "../src/leftovers/terraform-state.ts";
import { clientSettings, whyItStopped } from "../src/removal/aws.ts";
import { consentVariable } from "../src/removal/guard.ts";
import { artifactBucketName, prefixOf } from "../src/settings/basics.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";
import { removedInBuckets } from "../src/state/buckets.ts";
import { removedWarning } from "../src/state/removed.ts";

const options = {
  ...environmentOrRemovedOption,
  remove: { help: "delete the leftovers, after you confirm with the environment's name" },
  yes: { help: "with --remove: delete without confirmation" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run leftovers -- [options]

Finds an environment's resources in the account by their tags and names, and lists those that are not in Terraform's state.
An interrupted apply or a failed destroy leaves them behind, and --remove deletes them. To delete the resources in the
state, run npx cdktf destroy. An existing Studio domain and a home file system with files are deleted only if
${consentVariable} is set to the domain's ID. Otherwise they are kept, with their KMS key.

${optionsHelp(options)}

Exit status: 0 if there are no leftovers, 1 if there are or for an error, 2 for an invalid command line.`;

function problems(values: Values): readonly string[] {
  return values.yes === true && values.remove !== true ? ["--yes requires --remove"] : [];
}

async function main(values: Values): Promise<number> {
  const environment = resolveEnvironment(chosenEnvironment(values));
  const { name, region } = environment;
  for (const other of removed) if (other.name !== name) console.warn(removedWarning(other));
  for (const warning of await removedInBuckets(environments)) console.warn(warning);
  const prefix = prefixOf(name);
  const account = await callerAccount(environment);
  const state = await managedIds(environment);
  if (state.account !== undefined && state.account !== account)
    throw wrongAccount(`The Terraform state ${state.place}`, state.account, account);
  const tools = {
    clients: leftoversClients(clientSettings(region)),
    log: (line: string) => console.error(line),
    wait: (milliseconds: number) => setTimeout(milliseconds),
  };
  const names = {
    account,
    environment: name,
    prefix,
    bucket: artifactBucketName({ prefix, account, region }),
  };
  const found = await new Steps().run("search the account", () => findLeftovers(names, tools));
  const managed = ({ id, type, domainId }: Leftover) =>
    state.ids.has(type === undefined ? id : `${type} ${id}`) ||
    (domainId !== undefined && state.ids.has(domainId));
  const left = found.filter(
    (one) =>
      !managed(one) &&
      (one.partOf === undefined || state.ids.has(one.partOf)) &&
      (one.madeWith === undefined || !state.ids.has(one.madeWith)),
  );
  const count = found.filter(managed).length;
  if (count > 0) {
    console.log(
      `${count} resources of "${name}" are in ${state.place}. To delete them, run npx cdktf destroy ${name}`,
    );
  }
  if (left.length === 0) {
    console.log(`no leftovers of "${name}" in account ${account}, ${region}`);
    return 0;
  }
  console.log(`Leftovers of "${name}" in account ${account}, ${region}, which are not in ${state.place}:`);
  console.log(left.map(describe).join("\n"));
  if (values.remove !== true) return 1;
  if (values.yes !== true && !(await confirmed({ word: name, to: "delete all of these", done: "deleted" })))
    return 1;
  return removeAll(left);
}

const describe = ({ kind, id, note }: Leftover) => `  ${kind} ${id}${note ? ` (${note})` : ""}`;

async function removeAll(left: readonly Leftover[]): Promise<number> {
  const consent = process.env[consentVariable];
  const kept = left.filter(({ domainId, work }) => work && domainId !== consent);
  // An existing domain needs the resources around it, so none of them is deleted.
  const alive = kept.find(({ id, domainId }) => id === domainId);
  if (alive !== undefined) {
    throw new Problem({
      message: `Studio domain ${alive.id} still exists and contains users' work: nothing was deleted.`,
      remedy:
        `run npx cdktf destroy with its Terraform state. If the state is lost, set ${consentVariable}=${alive.id} ` +
        "and run this command again",
    });
  }
  const neededKeys = kept.flatMap(({ keyId }) => keyId ?? []);
  const isKept = (one: Leftover) => kept.includes(one) || neededKeys.includes(one.id);
  let failures = 0;
  for (const one of left) {
    if (isKept(one)) {
      console.log(`kept: ${describe(one).trim()}`);
      continue;
    }
    try {
      await one.remove();
      console.log(`deleted: ${one.kind} ${one.id}`);
    } catch (error) {
      failures += 1;
      console.error(`not deleted: ${one.kind} ${one.id}: ${whyItStopped(error)}`);
    }
  }
  for (const { domainId } of kept) {
    console.log(`To delete users' files too, set ${consentVariable}=${domainId}`);
  }
  if (failures > 0)
    console.error(`${failures} could not be deleted: run this command again in a few minutes`);
  return failures > 0 || kept.length > 0 ? 1 : 0;
}

await runCommand({ name: "npm run leftovers", options, help, problems, run: main });
