import { createInterface } from "node:readline/promises";
import { setTimeout } from "node:timers/promises";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Problem } from "../src/local-studio/problem.ts";
import { Steps } from "../src/local-studio/steps.ts";
import { artifactBucketName, prefixOf } from "../src/settings/names.ts";
import { resolveEnvironment } from "../src/settings/resolve.ts";
import { clientSettings, whyItStopped } from "../src/studio-removal/aws.ts";
import { consentVariable } from "../src/studio-removal/guard.ts";
import { findLeftovers, type Leftover, leftoversClients } from "../src/studio-removal/leftovers.ts";
import { runCommand } from "./lib/command.ts";
import { type Options, optionsHelp, type Values } from "./lib/command-line.ts";
import { chosenEnvironment, environmentProblems } from "./lib/environment-option.ts";
import { managedIds } from "./lib/terraform-state.ts";

const options = {
  environment: { value: "NAME", help: "which of src/environments.ts (default: the first)" },
  remove: { help: "delete what Terraform's state does not manage; asks for the environment's name first" },
  yes: { help: "with --remove: do not ask" },
  help: { help: "show this" },
} as const satisfies Options;

const help = `usage: npm run leftovers -- [options]

Lists what an environment has in the account, by its tags and names, and which of it Terraform's state manages. The rest
is what an interrupted apply or a failed destroy left behind: --remove deletes it. What the state manages goes with
npx cdktf destroy. A Studio domain that is alive, and a home file system with people's files, are deleted only where
${consentVariable} holds the id of the domain; without it they stay, and so does their key.

${optionsHelp(options)}

Exit status: 0 when nothing is left over (any more), 1 when something is, 2 for a wrong command line.`;

function problems(values: Values): readonly string[] {
  const alone = values.yes === true && values.remove !== true;
  return [...environmentProblems(values), ...(alone ? ["--yes goes with --remove"] : [])];
}

async function main(values: Values): Promise<number> {
  const environment = resolveEnvironment(chosenEnvironment(values));
  const { name, region } = environment;
  const prefix = prefixOf(name);
  const sts = new STSClient(clientSettings(region));
  const { Account: account = "" } = await sts.send(new GetCallerIdentityCommand({}));
  const state = await managedIds(environment);
  const tools = {
    clients: leftoversClients(region),
    log: (line: string) => console.error(line),
    wait: (milliseconds: number) => setTimeout(milliseconds),
  };
  const names = { environment: name, prefix, bucket: artifactBucketName({ prefix, account, region }) };
  const found = await new Steps().run("look through the account", () => findLeftovers(names, tools));
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
    console.log(`${count} things of "${name}" are in ${state.place}: npx cdktf destroy ${name} removes them`);
  }
  if (left.length === 0) {
    console.log(`nothing of "${name}" is left over in account ${account}, ${region}`);
    return 0;
  }
  console.log(`Left over of "${name}" in account ${account}, ${region}, unknown to ${state.place}:`);
  console.log(left.map(describe).join("\n"));
  if (values.remove !== true) return 1;
  if (values.yes !== true && !(await confirmed(name))) return 1;
  return removeAll(left);
}

const describe = ({ kind, id, note }: Leftover) => `  ${kind} ${id}${note ? ` (${note})` : ""}`;

async function confirmed(name: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new Problem({
      message: "There is no terminal to ask on, and nothing was deleted.",
      remedy: "add --yes once you have read the list",
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Type ${name} to delete all of these: `);
  terminal.close();
  if (answer === name) return true;
  console.log(`"${answer}" is not ${name}: nothing was deleted`);
  return false;
}

async function removeAll(left: readonly Leftover[]): Promise<number> {
  const consent = process.env[consentVariable];
  const kept = left.filter(({ domainId, work }) => work && domainId !== consent);
  // Nothing around a domain that lives: it would stop working, and still be there.
  const alive = kept.find(({ id, domainId }) => id === domainId);
  if (alive !== undefined) {
    throw new Problem({
      message: `Studio domain ${alive.id} is alive, with its people's work. Nothing was deleted.`,
      remedy:
        `run npx cdktf destroy where its Terraform state is, or, where that is lost, set ${consentVariable}=${alive.id} ` +
        "and run this again",
    });
  }
  const neededKeys = kept.flatMap(({ keyId }) => keyId ?? []);
  const stays = (one: Leftover) => kept.includes(one) || neededKeys.includes(one.id);
  let failures = 0;
  for (const one of left) {
    if (stays(one)) {
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
    console.log(`To delete people's files too: ${consentVariable}=${domainId}`);
  }
  if (failures > 0) console.error(`${failures} could not be deleted: run this again in some minutes`);
  return failures > 0 || kept.length > 0 ? 1 : 0;
}

await runCommand({ name: "npm run leftovers", options, help, problems, run: main });
