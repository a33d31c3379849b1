import { setTimeout } from "node:timers/promises";
import { S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { callerAccount } from "../src/cli/caller-account.ts";
import { runCommand } from "../src/cli/command.ts";
import { type CommandLine, type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { confirmed } from "../src/cli/consent.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { Problem } from "../src/cli/problem.ts";
import { Steps } from "../src/cli/steps.ts";
import { domainIdOf, noSuchProfile, profileNamed, profileNamesOf } from "../src/people/domain.ts";
import { settingsLines } from "../src/people/settings-lines.ts";
import { describeKept, describeWork, type Person, removalSteps, workOf } from "../src/people/work.ts";
import { clientSettings } from "../src/removal/aws.ts";
import { artifactBucketName, prefixOf } from "../src/settings/basics.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";

const options = {
  ...environmentOption,
  yes: { help: "delete without confirmation" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run people -- remove NAME [options]

Lists what a person left in an environment: apps, spaces with their volumes and last backups, schedules, sweeps, running
jobs, and what they made with SageMaker's services. After you confirm with the person's name, deletes it: SageMaker deletes
a user profile only without apps and spaces. Then prints what to take away from the settings. The person's folder in the
bucket stays. Run it again to continue.

${optionsHelp(options)}

Exit status: 0 if nothing is left, 1 if something is left or for an error, 2 for an invalid command line, 130 if interrupted.
Requires the rights to list, describe, stop and delete all of these, and s3:ListBucket and s3:ListBucketVersions.`;

function problems(_: Values, { argument, operand, problems }: CommandLine): readonly string[] {
  if (problems.length > 0 || argument !== undefined) return [];
  return [operand === undefined ? "what to do is missing: remove" : "the name of a person is missing"];
}

async function main(values: Values, _: string | undefined, argument = ""): Promise<number> {
  const settings = chosenEnvironment(values);
  const environment = resolveEnvironment(settings);
  const { existing, name, region } = environment;
  if (existing.domainId !== undefined) {
    throw new Problem({
      message: `The environment "${name}" has no user profiles of its own: its domain is ${existing.domainId}.`,
      remedy: "remove the person where that domain is managed",
    });
  }
  const signal = onInterrupt({ message: "Stopping: run the same command again to continue.", cleanUp() {} });
  const config = clientSettings(region);
  const steps = new Steps();
  const sagemaker = new SageMakerClient(config);
  const s3 = new S3Client(config);
  const tools = {
    clients: { s3, sagemaker, scheduler: new SchedulerClient(config) },
    log: steps.progress,
    wait: (milliseconds: number) => setTimeout(milliseconds, undefined, { signal }),
  };
  const prefix = prefixOf(name);
  try {
    const account = await callerAccount(environment);
    const domainId = await domainIdOf(sagemaker, name);
    const profiles = await profileNamesOf(sagemaker, domainId);
    const lines = settingsLines(argument, settings);
    // The profile is gone after an apply, which must not hide the jobs that its role left.
    const profile = profileNamed(argument, profiles) ?? (lines.length > 0 ? argument : undefined);
    if (profile === undefined) throw noSuchProfile(argument, profiles, name);
    const person: Person = {
      domainId,
      profile,
      prefix,
      hasRole: existing.executionRoleArn === undefined,
      bucket: existing.bucket ?? artifactBucketName({ prefix, account, region }),
    };
    const find = () => workOf(person, tools);
    const work = await steps.run(`list what ${profile} left`, find);
    const found = describeWork(work);
    if (found.length > 0) {
      console.log(`${profile} in "${name}" (${domainId}, account ${account}, ${region}) has:`);
      console.log(listed(found));
      if (work.backups.includes(undefined))
        console.log("To back up a space, run in its terminal: marimo-backup now");
      if (work.made.spaces.some((space) => space.SpaceSharingSettingsSummary?.SharingType === "Shared"))
        console.log("A shared space has other people's files too. Have them copied first.");
    }
    if (!person.hasRole)
      console.log("Jobs and schedules are not listed: existing.executionRoleArn is everybody's role.");
    console.log(`Kept:\n${listed(await describeKept(person, tools.clients))}`);
    if (found.length > 0) {
      if (
        values.yes !== true &&
        !(await confirmed({ word: profile, to: "delete all of these", done: "deleted" }))
      )
        return 1;
      for (const [step, remove] of removalSteps(person, tools)) {
        signal.throwIfAborted();
        await steps.run(step, remove);
      }
      const left = describeWork(await find());
      if (left.length > 0) {
        console.log(`${profile} has made more meanwhile:\n${listed(left)}`);
        return 1;
      }
    }
    console.log(nextSteps(profile, name, lines));
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  }
}

const listed = (lines: readonly string[]) => lines.map((line) => `  ${line}`).join("\n");

function nextSteps(profile: string, environment: string, lines: readonly string[]): string {
  const nothing = `Nothing of ${profile} is left that keeps the user profile.`;
  if (lines.length === 0)
    return `${nothing} The settings of "${environment}" do not name ${profile}: apply them.`;
  return [
    `${nothing} Take away from "${environment}" in src/environments.ts:`,
    listed(lines),
    `Then apply: npx cdktf deploy ${environment}. Until then, ${profile} can open Studio and make spaces again.`,
  ].join("\n");
}

await runCommand({
  name: "npm run people",
  options,
  operands: ["remove"],
  takesArgument: true,
  help,
  problems,
  run: main,
});
