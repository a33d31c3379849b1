import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { resolveEnvironment } from "../../../src/settings/environment.ts";
import { RemovedStack } from "../../../src/stack/removed-stack.ts";
import { StudioStack } from "../../../src/stack/studio-stack.ts";
import { removedEnvironments, removedWarning } from "../../../src/state/removed.ts";
import { plan, review } from "../../support/plan-fixture.ts";
import { resource, type Synthesized, synthesizeApp } from "../../support/synthesize.ts";

const vpc = (region: string) => ({ arn: `arn:aws-cn:ec2:${region}:123456789012:vpc/vpc-1` });
const resources = [
  { mode: "data", type: "aws_region", name: "r", instances: [{ attributes: { id: "us-east-1" } }] },
  {
    mode: "managed",
    type: "aws_iam_role",
    name: "r",
    instances: [{ attributes: { arn: "arn:aws-cn:iam::123456789012:role/r" } }],
  },
  { mode: "managed", type: "aws_vpc", name: "v", instances: [{ attributes: vpc("cn-north-1") }] },
  {
    mode: "managed",
    type: "terraform_data",
    name: "removal_guard_step",
    instances: [{ attributes: { input: { value: { region: "cn-north-1" }, type: ["object", {}] } } }],
  },
];
const text = JSON.stringify({ version: 4, resources });

function removedIn(files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-removed-"));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const found = removedEnvironments([{ name: "dev", awsProviderVersion: "~> 5.101" }], folder);
  rmSync(folder, { recursive: true });
  return found;
}

describe("a state file that no environment owns", () => {
  it("is a removed environment, with what its destroy needs", () => {
    expect(removedIn({ "terraform.prod.tfstate": text })).toEqual([
      {
        name: "prod",
        settings: { name: "prod", region: "cn-north-1", awsProviderVersion: "~> 5.101" },
        resources: 3,
        account: "123456789012",
        steps: { removal_guard_step: { region: "cn-north-1" } },
      },
    ]);
  });

  it("is none if it has no resources, belongs to an environment, or is another file", () => {
    expect(
      removedIn({
        "terraform.dev.tfstate": text,
        "terraform.empty.tfstate": "",
        "terraform.destroyed.tfstate": '{ "version": 4, "resources": [] }',
        "terraform.moved.tfstate.moved-to-s3": text,
        "terraform.tfstate": text,
        "terraform.prod.tfstate.backup": text,
      }),
    ).toEqual([]);
  });

  it("is named in a warning, also if it is broken", () => {
    expect(
      removedIn({ "terraform.a.tfstate": text, "terraform.b.tfstate": "{" }).map(removedWarning),
    ).toEqual([
      'warning: terraform.a.tfstate has 3 resources, and no environment in src/environments.ts has the name "a". If you ' +
        "renamed it, undo that, because a name cannot change. To destroy it, run npm run plan -- --environment a, then " +
        "npx cdktf destroy a.",
      'warning: terraform.b.tfstate is broken, and no environment in src/environments.ts has the name "b". If it has a ' +
        "terraform.b.tfstate.backup, copy that over it.",
    ]);
  });

  it("is a risk of every plan, until it is accepted", () => {
    const removed = removedIn({ "terraform.prod.tfstate": text });
    const accept = ["removed-environment:terraform.prod.tfstate"];
    expect(review(plan([]), { removed }).risks.map(({ name }) => name)).toEqual(accept);
    expect(review(plan([]), { removed, accept }).risks).toMatchObject([{ accepted: true }]);
    expect(review(plan([])).risks).toEqual([]);
  });
});

describe("the stack of a removed environment", () => {
  const read = (name: string) => (outdir: string) =>
    JSON.parse(readFileSync(join(outdir, "stacks", name, "cdk.tf.json"), "utf8")) as Synthesized;
  const own = synthesizeApp(
    (app) => new StudioStack(app, resolveEnvironment({ name: "prod" })),
    read("prod"),
    {
      assets: false,
    },
  );
  const names = ["home_file_system_cleanup_step", "home_file_system_key_step", "removal_guard_step"];
  const inputOf = (name: string) => resource(own, "terraform_data", name).input as Record<string, string>;
  const [environment] = removedIn({ "terraform.prod.tfstate": text });
  const stack = synthesizeApp(
    (app) => {
      if (environment === undefined) throw new Error("there is no removed environment");
      const steps = Object.fromEntries(names.map((name) => [name, inputOf(name)]));
      new RemovedStack(app, { ...environment, steps });
    },
    read("prod"),
    { assets: false },
  );

  it("has the steps of the removal as the environment's own stack has them", () => {
    for (const name of names) {
      const { provisioner } = resource(own, "terraform_data", name);
      // Another input keeps the order that is in the state.
      expect(resource(stack, "terraform_data", name), name).toMatchObject({
        provisioner,
        input: "from the state",
      });
    }
    // A new step must be here too.
    const steps = Object.entries(own.resource.terraform_data ?? {}).filter(
      ([, { provisioner }]) => provisioner,
    );
    expect(steps.map(([name]) => name).sort()).toEqual(names);
  });

  it("has nothing else, the state's Region and account, and refuses every apply", () => {
    expect(Object.keys(stack.resource)).toEqual(["terraform_data"]);
    expect(stack.provider.aws).toMatchObject([
      { region: "cn-north-1", allowed_account_ids: ["123456789012"] },
    ]);
    expect(stack.terraform.backend).toEqual({ local: { path: "../../../terraform.prod.tfstate" } });
    const { lifecycle } = resource(stack, "terraform_data", "only_destroy");
    expect(lifecycle).toEqual({
      precondition: [
        {
          condition: `\${terraform.workspace == ""}`,
          error_message: expect.stringContaining('"prod" is not in src/environments.ts any more'),
        },
      ],
    });
  });
});
