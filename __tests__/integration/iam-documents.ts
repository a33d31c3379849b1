import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startLocalAws } from "../../src/local-studio/local-aws.ts";
import { workFolder } from "../../src/local-studio/paths.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/local-studio/terraform-cli.ts";
import type { PolicyDocument } from "../policy-simulator.ts";
import type { Synthesized } from "../unit/synthesize.ts";

export interface IamDocument {
  /** Such as `aws_iam_role_policy.execution_spaces`. */
  readonly address: string;
  readonly attribute: string;
  readonly document: PolicyDocument;
}

/** The part of `terraform show -json` that is read here. */
interface State {
  readonly values: {
    readonly root_module: {
      readonly resources: readonly {
        readonly address: string;
        readonly mode: string;
        readonly values: Readonly<Record<string, unknown>>;
      }[];
    };
  };
}

/**
 * Every IAM document as Terraform sent it: whatever refers to one, and what that needs, applied to a local AWS of its own.
 * A plan would not do, since most of them hold ARNs that are known only after it.
 */
export async function appliedIamDocuments(stack: Synthesized): Promise<readonly IamDocument[]> {
  mkdirSync(workFolder, { recursive: true });
  const folder = mkdtempSync(join(workFolder, "test-iam-"));
  const { python } = await pythonEnvironment("aws");
  const localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
  try {
    const { command } = await findTerraform();
    const cwd = join(folder, "stack");
    cpSync(stack.folder, cwd, { recursive: true });
    writeFileSync(
      join(cwd, "local_override.tf.json"),
      JSON.stringify({ terraform: { backend: { local: { path: "iam.tfstate" } } } }),
    );
    const env = {
      ...process.env,
      ...(await terraformEnvironment({ command, runFolder: folder })),
      ...localAws.environment,
    };
    const terraform = async (...args: string[]) => {
      const result = await capture(command, args, { cwd, env, timeout: 300_000 });
      if (result?.status !== 0) throw new Error(`terraform ${args[0]}:\n${result?.stdout}${result?.stderr}`);
      return result.stdout;
    };
    await terraform("init", "-no-color");
    const targets = Object.entries(stack.resource).flatMap(([type, blocks]) =>
      Object.entries(blocks)
        .filter(([, block]) => JSON.stringify(block).includes("data.aws_iam_policy_document."))
        .map(([name]) => `-target=${type}.${name}`),
    );
    await terraform("apply", "-no-color", "-auto-approve", ...targets);
    return documentsIn(JSON.parse(await terraform("show", "-json")) as State);
  } finally {
    await localAws.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function documentsIn(state: State): readonly IamDocument[] {
  return state.values.root_module.resources
    .filter(({ mode }) => mode === "managed")
    .flatMap(({ address, values }) =>
      Object.entries(values).flatMap(([attribute, value]) => {
        if (typeof value !== "string" || !/^\{.*"Statement"/s.test(value)) return [];
        return [{ address, attribute, document: JSON.parse(value) as PolicyDocument }];
      }),
    );
}
