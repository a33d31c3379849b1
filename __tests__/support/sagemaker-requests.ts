import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { projectFolder } from "../../src/cli/paths.ts";
import { isBlock, type KnownValues } from "./known-values.ts";

/** The name of an operation and the members of its request. */
export type SageMakerRequest = readonly [operation: string, members: Readonly<Record<string, unknown>>];

/** Arguments that are not in the Create request. `retention_policy` belongs to DeleteDomain. */
const notCreated = ["//", "depends_on", "for_each", "lifecycle", "retention_policy"];

const operations: Readonly<Record<string, string>> = {
  aws_sagemaker_app_image_config: "CreateAppImageConfig",
  aws_sagemaker_domain: "CreateDomain",
  aws_sagemaker_image: "CreateImage",
  aws_sagemaker_image_version: "CreateImageVersion",
  aws_sagemaker_studio_lifecycle_config: "CreateStudioLifecycleConfig",
  aws_sagemaker_user_profile: "CreateUserProfile",
};

/** The SageMaker requests that Terraform's provider sends for a stack, derived from the stack's JSON. */
export function sagemakerRequests(values: KnownValues): readonly SageMakerRequest[] {
  const tags = Object.entries(values.stack.provider.aws[0]?.default_tags[0]?.tags ?? {});
  const Tags = tags.map(([Key, Value]) => ({ Key, Value }));
  const scheduled = values.instances("aws_scheduler_schedule").map(({ block, each }): SageMakerRequest => {
    const { input } = values.valueOf(block.target, each) as { readonly input: string };
    // EventBridge Scheduler replaces it with 36 characters.
    const id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    return ["CreateProcessingJob", JSON.parse(input.replaceAll("<aws.scheduler.execution-id>", id))];
  });
  const created = Object.entries(operations).flatMap(([type, operation]) =>
    values.instances(type).flatMap(({ block, each }) => {
      const given = Object.entries(block).filter(([key]) => !notCreated.includes(key));
      const members = awsNames(values.valueOf(Object.fromEntries(given), each)) as Record<string, unknown>;
      // A version has no tags, and the SDK adds the token.
      const added = operation === "CreateImageVersion" ? { ClientToken: "1" } : { Tags };
      const create: SageMakerRequest = [operation, { ...members, ...added }];
      if (block.retention_policy === undefined) return [create];
      const RetentionPolicy = awsNames(values.valueOf(block.retention_policy, each));
      return [create, ["DeleteDomain", { DomainId: "d-abcdefghijkl", RetentionPolicy }] as const];
    }),
  );
  return [...created, ...scheduled];
}

/** Blocks whose name is not the API's. */
const blockNames: Readonly<Record<string, string>> = {
  code_repository: "CodeRepositories",
  custom_image: "CustomImages",
  jupyter_lab_image_config: "JupyterLabAppImageConfig",
};

/** Converts names such as `vpc_id` to `VpcId`, at every depth. */
function awsNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(awsNames);
  if (!isBlock(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      blockNames[key] ?? key.replaceAll(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase()),
      awsNames(item),
    ]),
  );
}

/** Validates requests with botocore, in one process. */
export class RequestCheck {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  constructor(python: string) {
    this.child = spawn(python, [fileURLToPath(new URL("check_requests.py", import.meta.url))], {
      env: { ...process.env, PYTHONPATH: join(projectFolder, "src/local-studio/aws") },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines: Interface = createInterface({ input: this.child.stdout as NodeJS.ReadableStream });
    this.lines = lines[Symbol.asyncIterator]();
  }

  async problems(requests: readonly SageMakerRequest[]): Promise<readonly string[]> {
    this.child.stdin?.write(`${JSON.stringify(requests)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error("check_requests.py exited without an answer. Its error message is above.");
    return JSON.parse(value) as string[];
  }

  async stop(): Promise<void> {
    const ended = once(this.child, "close");
    this.child.stdin?.end();
    await ended;
  }
}
