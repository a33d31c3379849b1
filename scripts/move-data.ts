import { S3Client } from "@aws-sdk/client-s3";
import { callerAccount } from "../src/cli/caller-account.ts";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { findMoves, type Move, moveAll } from "../src/move-data/move.ts";
import { clientSettings } from "../src/removal/aws.ts";
import { artifactBucketName, prefixOf } from "../src/settings/basics.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";

const options = {
  ...environmentOption,
  yes: { help: "move what is listed; without it, nothing is changed" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run move-data -- [options]

Lists what a deployment from before each user had a part of the bucket left there, and where it belongs now: results of
jobs in people/NAME by the names of the jobs, everything that is of no user in shared/. With existing.bucket, only
objects below marimo/jobs and marimo/job-sources. With --yes, it copies them inside the bucket, with their encryption,
compares each copy, and then deletes the originals. Run it again to continue, or to move what running jobs wrote since.

${optionsHelp(options)}

Exit status: 0 if everything is where it belongs, 1 if objects are left or for an error, 2 for an invalid command line.
Requires s3:ListBucket, s3:GetObject, s3:GetObjectTagging, s3:PutObject, s3:PutObjectTagging and s3:DeleteObject on the
bucket, and kms:Decrypt and kms:GenerateDataKey on its key.`;

async function main(values: Values): Promise<number> {
  const environment = resolveEnvironment(chosenEnvironment(values));
  const { existing, name, region, userProfiles } = environment;
  const settings = clientSettings(region);
  const prefix = prefixOf(name);
  const account = await callerAccount(environment);
  const bucket = existing.bucket ?? artifactBucketName({ prefix, account, region });
  const place = { s3: new S3Client(settings), bucket };
  const moves = await findMoves(place, {
    prefix,
    users: userProfiles.map((user) => user.name.toLowerCase()),
    isExistingBucket: existing.bucket !== undefined,
  });
  if (moves.length === 0) {
    console.log(`Everything in s3://${bucket} is where it belongs.`);
    return 0;
  }
  console.log(`Objects in s3://${bucket}:\n${table(moves)}`);
  if (values.yes !== true) {
    console.log("Nothing was changed. To move them: add --yes");
    return 1;
  }
  const problems = await moveAll(place, moves, (line) => console.error(line));
  for (const problem of problems) console.error(`not moved: ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

/** Number and size of the objects, by the first two folders of both places. */
function table(moves: readonly Move[]): string {
  const folder = (key: string) => key.split("/").slice(0, -1).slice(0, 2).join("/");
  const groups = new Map<string, { count: number; bytes: number }>();
  for (const { bytes, from, to } of moves) {
    const group = `${folder(from) || "(top)"} → ${folder(to)}`;
    const { count = 0, bytes: before = 0 } = groups.get(group) ?? {};
    groups.set(group, { count: count + 1, bytes: before + bytes });
  }
  return [...groups]
    .map(([group, { bytes, count }]) => `  ${group}: ${count} objects, ${(bytes / 1e6).toFixed(1)} MB`)
    .join("\n");
}

await runCommand({ name: "npm run move-data", options, help, run: main });
