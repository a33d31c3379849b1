import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { Problem } from "../src/cli/problem.ts";
import { Steps } from "../src/cli/steps.ts";
import { localState, remoteState } from "../src/leftovers/terraform-state.ts";
import { text } from "../src/plan-review/plan.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";
import { movedFileOf } from "../src/settings/state-file.ts";
import {
  checkLock,
  copyState,
  describe,
  forgetBackend,
  found,
  setAside,
  stepOf,
} from "../src/state/migration.ts";

const options = {
  ...environmentOption,
  from: {
    value: "s3://BUCKET/KEY",
    help: "copy the state from this object, which is kept (default: terraform.ENVIRONMENT.tfstate)",
  },
  "from-region": {
    value: "REGION",
    help: "with --from: Region of its bucket (default: that of the new one)",
  },
  yes: { help: "copy the state; without it, nothing is changed" },
  help: { help: "show this help" },
} as const satisfies Options;

const operands = ["migrate"];

const help = `usage: npm run state -- migrate [options]

Moves the Terraform state of an environment of src/environments.ts to the S3 backend of its settings. Without --yes, it
shows what it would do. With --yes, it takes Terraform's lock, copies the state byte for byte, reads the copy, and then
renames the file to terraform.ENVIRONMENT.tfstate.moved-to-s3. It never deletes a state, and never overwrites one that has
resources of its own. Run it again to continue after an interruption.

${optionsHelp(options)}

Exit status: 0 if the state is in the backend of the settings, 1 if it is not or for an error, 2 for an invalid command
line, 130 if interrupted.
Requires s3:ListBucket on the bucket, s3:GetObject, s3:PutObject and s3:DeleteObject on the state and its lock, and
kms:Decrypt and kms:GenerateDataKey on the key of kmsKeyId.`;

const object = /^s3:\/\/([^/]+)\/(.+)$/;

function problems(values: Values): readonly string[] {
  const { from, "from-region": region } = values;
  return [
    ...(from !== undefined && !object.test(String(from))
      ? [`--from must be s3://BUCKET/KEY, got "${from}"`]
      : []),
    ...(region !== undefined && from === undefined ? ["--from-region requires --from"] : []),
  ];
}

async function main(values: Values, operand: string | undefined): Promise<number> {
  if (operand === undefined) {
    console.error(`- expected one of ${operands.join(", ")}\nSee npm run state -- --help`);
    return 2;
  }
  const { name, backend } = resolveEnvironment(chosenEnvironment(values));
  if (backend.type === "local") {
    throw new Problem({
      message: `The setting backend of "${name}" is a local file, so there is nowhere to move its state.`,
      remedy: 'set backend: { type: "s3", bucket: "…" } in src/environments.ts, then run this command again',
    });
  }
  const [, bucket = "", key = ""] = object.exec(text(values.from) ?? "") ?? [];
  const isFile = bucket === "";
  const region = text(values["from-region"]) ?? backend.region;
  const source = isFile ? localState(name) : await remoteState({ bucket, key, region });
  const [from, to] = [found(source), found(await remoteState(backend))];
  const step = stepOf(from, to);
  if (step === "nothing") {
    console.log(`${from.place} has no resources, so there is nothing to move. ${describe(to)}.`);
    return 0;
  }
  if (isFile) checkLock(name);
  console.log(`${describe(from)}.\n${describe(to)}.`);
  if (values.yes !== true) {
    const copy = step === "copied" ? "" : `copy ${from.place} to ${to.place}, compare the copy, and `;
    const rest = isFile ? `keep the file as ${movedFileOf(name)}` : `keep ${from.place} as it is`;
    console.log(`Nothing was changed. To ${copy}${rest}: add --yes`);
    return 1;
  }
  onInterrupt({ message: "The copy takes a second, and ends first.", cleanUp: () => {} });
  await new Steps().run(`copy the state to ${to.place}`, () => copyState(source, backend));
  const kept = isFile ? setAside(name) : from.place;
  forgetBackend(name);
  console.log(`The state of "${name}" is in ${to.place}. The old one is kept as ${kept}.`);
  console.log(`See that nothing changes: npm run plan -- --environment ${name}`);
  return 0;
}

await runCommand({ name: "npm run state", options, operands, help, problems, run: main });
