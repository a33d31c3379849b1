import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { withoutLifecycleRules } from "./lifecycle-rules.ts";

/** The parts of the stack's JSON that a rehearsal needs. */
interface SynthesizedStack {
  readonly provider: {
    readonly aws: readonly { readonly region: string; readonly allowed_account_ids?: readonly string[] }[];
  };
  readonly resource: Readonly<Record<string, Readonly<Record<string, SynthesizedResource>>>>;
}

interface SynthesizedResource {
  readonly lifecycle?: { readonly prevent_destroy?: boolean };
  readonly retention_policy?: { readonly home_efs_file_system?: string };
}

/** The variable that makes `main.ts` synthesize for a rehearsal: the path of a JSON file of `SynthesisProps`. */
export const rehearsalVariable = "SAGEMAKER_MARIMO_REHEARSAL";

/** Input of a synthesis that the rehearsal, `npm run plan` or cdktf in another terminal starts. */
export interface SynthesisProps {
  readonly environmentName: string;
  readonly statePath: string;
  readonly complete?: boolean | undefined;
}

/** Makes `main.ts` synthesize the rehearsed environment only, and write `rehearsalOverride` next to it. */
export function rehearsedSynthesis(props: {
  readonly file: string;
  readonly output: string | undefined;
  readonly environments: readonly { readonly name: string }[];
}) {
  const { file, output = "cdktf.out", environments } = props;
  const ended = !existsSync(file);
  const { environmentName, statePath, complete } = ended
    ? { environmentName: "", statePath: "", complete: false }
    : (JSON.parse(readFileSync(file, "utf8")) as SynthesisProps);
  const problems = [
    ...(ended ? [`the rehearsal in ${rehearsalVariable} (${file}) has ended: use another terminal`] : []),
    ...(ended || environments.some(({ name }) => name === environmentName)
      ? []
      : [`the rehearsed environment "${environmentName}" is not in src/environments.ts`]),
    // A later deployment to AWS from that folder would use the rehearsal's state.
    ...(resolve(output) === join(projectFolder, "cdktf.out")
      ? [
          `a rehearsal cannot be synthesized to ${resolve(output)}, the folder for deployments to AWS: use ` +
            "npm run plan -- --rehearsal, or a terminal without the exports of the rehearsal",
        ]
      : []),
  ];
  return {
    problems,
    leavesOut: (name: string) => name !== environmentName,
    writeOverride: () => {
      const folder = join(output, "stacks", environmentName);
      const override = rehearsalOverride(synthesizedStack(folder), statePath, complete);
      writeFileSync(
        join(folder, "rehearsal_override.tf.json"),
        `${JSON.stringify(override, undefined, 2)}\n`,
      );
    },
  };
}

/** Reads the JSON of a synthesized stack from its folder. */
export function synthesizedStack(folder: string): SynthesizedStack {
  return JSON.parse(readFileSync(join(folder, "cdk.tf.json"), "utf8")) as SynthesizedStack;
}

/** The differences from a deployment to AWS, as an override file that Terraform merges into the synthesized one. */
export function rehearsalOverride(
  stack: Pick<SynthesizedStack, "resource"> & Partial<SynthesizedStack>,
  statePath: string,
  complete = false,
): object {
  const resource: Record<string, Record<string, object>> = {};
  for (const [type, byName] of Object.entries(stack.resource)) {
    for (const [name, { lifecycle }] of Object.entries(byName)) {
      const overrides = {
        ...(lifecycle?.prevent_destroy ? { lifecycle: { prevent_destroy: false } } : {}),
        ...(type === "aws_s3_bucket" ? { force_destroy: true } : {}),
      };
      if (Object.keys(overrides).length > 0) resource[type] = { ...resource[type], [name]: overrides };
    }
  }
  if (!complete) Object.assign(resource, withoutLifecycleRules(stack.resource));
  const terraform = { backend: { local: { path: statePath } } };
  // The local AWS has an account of its own.
  const provider = stack.provider?.aws.some((one) => one.allowed_account_ids)
    ? { provider: { aws: [{ allowed_account_ids: [] }] } }
    : {};
  // Terraform rejects an empty `resource`.
  return { terraform, ...provider, ...(Object.keys(resource).length === 0 ? {} : { resource }) };
}
