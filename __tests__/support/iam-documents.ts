import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { startLocalAws } from "../../src/local-studio/local-aws.ts";
import type { PolicyDocument } from "./policy-simulator.ts";
import type { Synthesized } from "./synthesize.ts";

export interface IamDocument {
  /** For example `aws_iam_role_policy.execution_spaces`. */
  readonly address: string;
  readonly attribute: string;
  readonly document: PolicyDocument;
}

/** The part of `terraform show -json` that is used here. */
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
 * Returns every IAM document as sent by Terraform. Applies the resources with IAM documents, and their dependencies, to
 * a separate local AWS. A plan is not sufficient, because most documents contain ARNs that are known only after the
 * apply.
 */
export async function appliedIamDocuments(stack: Synthesized): Promise<readonly IamDocument[]> {
  mkdirSync(workFolder, { recursive: true });
  const folder = mkdtempSync(join(workFolder, "test-iam-"));
  const { python } = await pythonEnvironment("aws");
  const localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
  try {
    const { command } = await findTerraform();
    const cwd = join(folder, "stack");
    for (const [path, content] of stack.files) {
      mkdirSync(dirname(join(cwd, path)), { recursive: true });
      writeFileSync(join(cwd, path), content);
    }
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
