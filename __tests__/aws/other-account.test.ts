import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Ended, StackFixture } from "../support/stack-fixture.ts";

const [own, other] = ["123456789012", "222233334444"];
const flags = ["-auto-approve", "-no-color"];

let stack: StackFixture;
/** Credentials of the other account. The local AWS has the accounts of all roles that are assumed. */
let others: Record<string, string>;
/** What a command must not change: the resources of the own account, and the addresses in the state. */
let before: readonly (readonly string[])[];
const now = async () => [await stack.localAws.inventory(), await stack.state()];

const node = (args: readonly string[], environment: Record<string, string> = {}) =>
  stack.run(process.execPath, args, stack.folder, environment);
const plan = (environment: Record<string, string> = {}) =>
  node(["--import", "tsx", "scripts/plan.ts"], environment);
const deploy = (environment: Record<string, string> = {}) => {
  const cdktf = join(stack.folder, "node_modules/cdktf-cli/bundle/bin/cdktf");
  const options = ["--auto-approve", "--skip-provider-lock", "--no-color"];
  return node([cdktf, "deploy", "dev", ...options], environment);
};
/** Without Terraform's line breaks and frames. */
const inOneLine = ({ output }: Ended) => output.replaceAll(/[\s│]+/g, " ");
const belongs = `belongs to AWS account ${own}, and the credentials are for account ${other}.`;

async function setAccount(account: string): Promise<void> {
  const environments = [{ name: "dev", homeFileSystemRetention: "Delete", account }];
  const source = `export const environments = ${JSON.stringify(environments)};\n`;
  writeFileSync(join(stack.folder, "src/environments.ts"), source);
  const { code, output } = await node(["--import", "tsx", "main.ts"]);
  expect(code, output).toBe(0);
}

beforeAll(async () => {
  stack = await StackFixture.start('homeFileSystemRetention: "Delete"');
  const RoleArn = `arn:aws:iam::${other}:role/admin`;
  const sts = new STSClient(stack.client);
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "bo" }));
  others = {
    AWS_ACCESS_KEY_ID: Credentials?.AccessKeyId ?? "",
    AWS_SECRET_ACCESS_KEY: Credentials?.SecretAccessKey ?? "",
    AWS_SESSION_TOKEN: Credentials?.SessionToken ?? "",
  };
  const first = await plan();
  expect(first.code, first.output).toBe(4);
  expect(first.output).toContain(`# Plan review: \`dev\` in account \`${own}\``);
  await stack.apply();
  before = await now();
  expect(before[1]).toContain("terraform_data.state_account");
});
afterAll(() => stack?.stop());

describe("with the credentials of another account than the state's", () => {
  it("npm run plan says so, with what to do", async () => {
    const { code, output } = await plan(others);
    expect(code).toBe(1);
    expect(output).toContain(
      `The Terraform state ${belongs}\n  What to do: use credentials for account ${own}`,
    );
  });

  it("npx cdktf deploy says so, and changes nothing", async () => {
    const ended = await deploy(others);
    expect(ended.code).toBe(1);
    expect(inOneLine(ended)).toContain(belongs);
    expect(await now()).toEqual(before);
  });

  it.each([
    ["plan", "-no-color"],
    ["apply", ...flags],
    ["apply", "-refresh-only", ...flags],
    ["destroy", ...flags],
  ])("terraform %s %s says so, and changes nothing", async (...args) => {
    const ended = await stack.terraform(args, others);
    expect(ended.code, ended.output).toBe(1);
    expect(inOneLine(ended)).toContain(belongs);
    expect(await now()).toEqual(before);
  });

  it("npm run leftovers says so, and looks for nothing", async () => {
    const { code, output } = await stack.leftovers(["--remove", "--yes"], others);
    expect(code).toBe(1);
    expect(output).toContain(`The Terraform state terraform.dev.tfstate ${belongs}`);
    expect(output).not.toContain("search the account");
    expect(await now()).toEqual(before);
  });

  it("is what happened: with the own account's, a plan has no changes", async () => {
    const { code, output } = await plan();
    expect(code, output).toBe(0);
    expect(output).toContain(`# Plan review: \`dev\` in account \`${own}\`\n\nNo changes.`);
  });
});

describe("with the setting account", () => {
  it("refuses the credentials of any other account, with and without our commands", async () => {
    await setAccount(other);
    const reviewed = await plan();
    expect(reviewed.code).toBe(1);
    expect(reviewed.output).toContain(
      `The environment "dev" belongs to AWS account ${other}, and the credentials are for account ${own}.`,
    );
    const removed = await node(["--import", "tsx", "scripts/people.ts", "remove", "data-scientist", "--yes"]);
    expect(removed.code).toBe(1);
    expect(removed.output).toContain(`The environment "dev" belongs to AWS account ${other}`);
    const destroyed = await stack.terraform(["destroy", ...flags]);
    expect(destroyed.code).toBe(1);
    expect(inOneLine(destroyed)).toContain(`AWS account ID not allowed: ${own}`);
    expect(await now()).toEqual(before);
  });

  it("takes those of the account", async () => {
    await setAccount(own);
    const { code, output } = await plan();
    expect(code, output).toBe(0);
  });
});
