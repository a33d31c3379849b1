import { CloudTrailClient } from "@aws-sdk/client-cloudtrail";
import { S3Client } from "@aws-sdk/client-s3";
import { dataEvents, managementEvents } from "../src/audit/events.ts";
import { auditTable, inOrder } from "../src/audit/record.ts";
import { roleNamesOf } from "../src/audit/who.ts";
import { callerAccount } from "../src/cli/caller-account.ts";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { clientSettings } from "../src/removal/aws.ts";
import { prefixOf, trailBucketName } from "../src/settings/basics.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";

const options = {
  ...environmentOption,
  person: { value: "NAME", help: "the person, by the name of their user profile" },
  days: { value: "NUMBER", help: "how many days back, 1 to 90 (default: 7)" },
  json: { help: "print a JSON list" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run audit -- --person NAME [options]

Lists what a person's role did in an environment, and the role of the schedules that run as them, oldest first: management events from CloudTrail's event history, and
writes to the environment's bucket from the trail that the stack creates. It does not list reads of objects, which no
trail of the stack records, and it has nothing of the last minutes, which CloudTrail has not delivered yet.

${optionsHelp(options)}

Exit status: 0 if the events were read, also if there are none, 1 for an error, 2 for an invalid command line.
Requires cloudtrail:LookupEvents, and s3:ListBucket and s3:GetObject on the trail's bucket. CloudTrail takes two
requests a second, each with 50 events of everyone in the account.`;

const defaultDays = 7;

function problems({ days = String(defaultDays), person = "" }: Values): readonly string[] {
  const rules = [
    // Not only those in the settings: an audit may be about a person who has left.
    [
      "person",
      person,
      /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/,
      "a name of 1 to 63 letters, digits and hyphens (SageMaker API, UserProfileName)",
    ],
    [
      "days",
      days,
      /^([1-9]|[1-8]\d|90)$/,
      "a whole number, 1 to 90 (AWS CloudTrail API Reference, LookupEvents)",
    ],
  ] as const;
  return rules.flatMap(([name, value, pattern, allowed]) =>
    pattern.test(String(value)) ? [] : [`--${name} must be ${allowed}, got "${value}"`],
  );
}

async function main(values: Values): Promise<number> {
  const environment = resolveEnvironment(chosenEnvironment(values));
  const { audit, existing, name, region } = environment;
  const person = String(values.person);
  const to = new Date();
  const from = new Date(to.getTime() - Number(values.days ?? defaultDays) * 86_400_000);
  const query = { roleNames: roleNamesOf(environment, person), from, to };
  const settings = clientSettings(region);
  const account = await callerAccount(environment);
  const bucket = trailBucketName({ prefix: prefixOf(name), account, region });
  const management = await managementEvents(query, new CloudTrailClient(settings));
  const data =
    audit === undefined
      ? undefined
      : await dataEvents(query, { account, bucket, region }, new S3Client(settings));
  const records = inOrder([...management, ...(data ?? [])]);
  if (existing.executionRoleArn !== undefined) {
    console.error(
      `The role ${query.roleNames} is not ${person}'s only: everyone's requests with it are listed.`,
    );
  }
  if (data === undefined) {
    const why = audit === undefined ? "`audit` is false" : `there is no bucket ${bucket}`;
    console.error(`Writes to the bucket are not listed: ${why}.`);
  }
  console.error(
    `${records.length} events of ${query.roleNames.join(" and ")} since ${from.toISOString().slice(0, 19)}Z`,
  );
  if (records.length === 0 && process.env.AWS_ENDPOINT_URL !== undefined) {
    console.error("A rehearsal's requests have roles only if it was started by `npm start -- --iam`.");
  }
  if (values.json) console.log(JSON.stringify(records, undefined, 2));
  else if (records.length > 0) console.log(auditTable(records));
  return 0;
}

await runCommand({ name: "npm run audit", options, help, problems, run: main });
