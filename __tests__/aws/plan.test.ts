import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AuthorizeSecurityGroupIngressCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import {
  AttachRolePolicyCommand,
  CreatePolicyCommand,
  DetachRolePolicyCommand,
  IAMClient,
  ListRolePoliciesCommand,
  PutRolePolicyCommand,
  TagRoleCommand,
} from "@aws-sdk/client-iam";
import {
  DeleteBucketEncryptionCommand,
  DeletePublicAccessBlockCommand,
  ListBucketsCommand,
  PutBucketVersioningCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { leaveOutLifecycleRules } from "../../src/local-studio/lifecycle-rules.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { StudioClient } from "../../src/local-studio/studio-client.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../src/settings/environment.ts";
import { lockHeader } from "../../src/settings/locks.ts";
import { Clone } from "../support/clone-fixture.ts";

const settings: EnvironmentSettings = {
  name: "dev",
  homeFileSystemRetention: "Delete",
  userProfiles: [{ name: "ana" }, { name: "bo" }],
};

const packages = { marimoVersion: "0.25.1", extraPackages: ["humanize==4.12.3"] };
const frequent: Partial<EnvironmentSettings> = {
  ...packages,
  transport: "sse",
  sampleNotebooks: false,
  idleTimeoutMinutes: 120,
  defaultInstanceType: "ml.m5.large",
  userProfiles: [{ name: "ana", defaultInstanceType: "ml.t3.large" }, { name: "bo" }, { name: "cy" }],
};

let project: Clone;
let localAws: LocalAws;
let environment: NodeJS.ProcessEnv;
let terraform: string;
const review = (...args: string[]) => project.run("scripts/plan.ts", args, environment);
const reviewOf = (changed: Partial<EnvironmentSettings>, ...args: string[]) => {
  project.settings = { ...settings, ...changed };
  return review(...args);
};
/** Runs the command with which a review ends, as printed. */
const paste = async ({ stdout }: { readonly stdout: string }) => {
  const command = /\n## Apply\n[\s\S]*```bash\n([\s\S]*)\n```\n\n$/.exec(stdout)?.[1] ?? "false";
  const options = { cwd: project.folder, env: { ...process.env, ...environment }, timeout: 500_000 };
  return { command, ...(await capture("bash", ["-c", command], options)) };
};
/** Applies the plan that the last review saved. */
const apply = () =>
  project.terraform(terraform, ["apply", join(project.folder, "cdktf.out/plan/dev.tfplan")], environment);

beforeAll(async () => {
  project = new Clone(settings);
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(project.folder, "local-aws.log") });
  terraform = (await findTerraform()).command;
  environment = {
    ...(await terraformEnvironment({ command: terraform, runFolder: project.folder })),
    ...localAws.environment,
  };
  const synthesis = await project.run("main.ts");
  expect(synthesis.status, synthesis.stderr).toBe(0);
  leaveOutLifecycleRules(project.stack);
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
});

describe("npm run plan", () => {
  it("prints and saves the review of the first plan, and applies nothing", async () => {
    const { status, stdout, stderr } = await review("--environment", "dev");
    expect(status, stderr).toBe(4);
    expect(stdout).toContain("No risks found. Fixed monthly cost: +37.50.");
    expect(stdout).toContain("- add user profile `ana`");
    expect(readFileSync(join(project.folder, "cdktf.out/plan/dev.md"), "utf8")).toBe(stdout.slice(0, -1));
    expect(await localAws.inventory()).toEqual([]);
  });

  it("ends with a command that applies the saved plan, and finds no changes afterwards", async () => {
    const { command, status, stderr } = await paste(await review("--environment", "dev"));
    expect(command).toBe("npm run apply -- --environment dev --plan cdktf.out/plan/dev.tfplan");
    expect(status, stderr).toBe(0);
    const again = await project.run("scripts/apply.ts", command.split(" ").slice(4), environment);
    expect(again.status).toBe(1);
    expect(again.stderr).toContain("The state has changed since this plan was made: nothing was applied.");
    const after = await review();
    expect(after.status, after.stderr).toBe(0);
    expect(after.stdout).toBe("# Plan review: `dev` in account `123456789012`\n\nNo changes.\n\n");
  });

  it("shows what was changed outside of Terraform, and reverts all but managed policies on roles", async () => {
    const clients = localAws.clientSettings();
    const [iam, ec2] = [new IAMClient(clients), new EC2Client(clients)];
    const s3 = new S3Client({ ...clients, forcePathStyle: true });
    const everything = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
    });
    const roles = ["marimo-dev-execution", "marimo-dev-user-ana", "marimo-dev-vpc-flow-logs"];
    for (const RoleName of roles)
      await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: "evil", PolicyDocument: everything }));
    const RoleName = "marimo-dev-user-bo";
    await iam.send(new TagRoleCommand({ RoleName, Tags: [{ Key: "StudioUser", Value: "ana" }] }));
    const { Policy } = await iam.send(
      new CreatePolicyCommand({ PolicyName: "by-hand", PolicyDocument: everything }),
    );
    const attachment = { RoleName, PolicyArn: Policy?.Arn };
    await iam.send(new AttachRolePolicyCommand(attachment));
    const groups = await ec2.send(
      new DescribeSecurityGroupsCommand({
        Filters: [{ Name: "group-name", Values: ["marimo-dev-everyone", "marimo-dev-user-ana"] }],
      }),
    );
    expect(groups.SecurityGroups).toHaveLength(2);
    const ssh = {
      ...{ IpProtocol: "tcp", FromPort: 22, ToPort: 22 },
      IpRanges: [{ CidrIp: "0.0.0.0/0" }],
    };
    for (const { GroupId } of groups.SecurityGroups ?? [])
      await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [ssh] }));
    const { Buckets } = await s3.send(new ListBucketsCommand({}));
    const Bucket = Buckets?.map(({ Name }) => Name).find((name) => name?.startsWith("marimo-dev-"));
    await s3.send(
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } }),
    );
    await s3.send(new DeletePublicAccessBlockCommand({ Bucket }));
    await s3.send(new DeleteBucketEncryptionCommand({ Bucket }));

    const found = await review();
    expect(found.status, found.stderr).toBe(3);
    expect([...found.stdout.matchAll(/`--accept (\S+)`/g)].map(([, name]) => name)).toEqual([
      "wider-permissions:users_role.bo",
    ]);
    expect(found.stdout).toContain(
      "run `aws iam detach-role-policy --role-name marimo-dev-user-bo --policy-arn arn:aws:iam::123456789012:policy/by-hand`",
    );
    const [, section = ""] = /## Changed outside of Terraform\n\n([\s\S]*?)\n\n## /.exec(found.stdout) ?? [];
    const short = section.replaceAll(/ \(`aws_[^`]+`\)/g, "").replaceAll(/`\{"Version[^`]+`/g, "DOCUMENT");
    expect(short.split("\n- ").map((item, index) => (index === 0 ? item : `- ${item}`))).toEqual([
      `- 3 roles: \`marimo-dev-execution\`; \`marimo-dev-vpc-flow-logs\`; \`marimo-dev-user-ana\`
  - \`inline_policy.name\`: \`nothing\` → \`evil\`. This plan reverts it.
  - \`inline_policy.policy\`: \`nothing\` → DOCUMENT. This plan reverts it.
  - **Risk until then** (\`wider-permissions\`): It \`allows * on *\`.`,
      `- role \`marimo-dev-user-bo\`
  - \`managed_policy_arns\`: adds \`arn:aws:iam::123456789012:policy/by-hand\`. This plan keeps it.`,
      `- role \`marimo-dev-user-bo\`
  - \`tags.StudioUser\`: \`bo\` → \`ana\`. This plan reverts it.`,
      `- public access block \`${Bucket}\`
  - deleted. This plan creates it again.
  - **Risk until then** (\`public-exposure\`): The bucket is no longer protected from public access.`,
      `- S3 bucket server side encryption configuration \`${Bucket}\`
  - deleted. This plan creates it again.
  - **Risk until then** (\`lost-protection\`): New objects are encrypted with the key of Amazon S3 and not with yours.`,
      `- S3 bucket versioning \`${Bucket}\`
  - \`versioning_configuration.status\`: \`Enabled\` → \`Suspended\`. This plan reverts it.
  - **Risk until then** (\`weaker-retention\`): Versioning is no longer enabled: overwritten or deleted objects cannot be restored.`,
      `- security group \`marimo-dev-everyone\`
  - \`ingress.cidr_blocks\`: \`nothing\` → \`["0.0.0.0/0"]\`. This plan reverts it.
  - \`ingress.from_port\`: \`nothing\` → \`22\`. This plan reverts it.
  - \`ingress.protocol\`: \`nothing\` → \`tcp\`. This plan reverts it.
  - \`ingress.to_port\`: \`nothing\` → \`22\`. This plan reverts it.
  - **Risk until then** (\`public-exposure\`): It allows inbound traffic from everywhere: \`tcp port 22 from 0.0.0.0/0\`.`,
      `- security group \`marimo-dev-user-ana\`
  - \`ingress\`: adds \`{"cidr_blocks":["0.0.0.0/0"],"from_port":22,"protocol":"tcp","to_port":22}\`. This plan reverts it.
  - **Risk until then** (\`public-exposure\`): It allows inbound traffic from everywhere: \`tcp port 22 from 0.0.0.0/0\`.`,
    ]);

    await iam.send(new DetachRolePolicyCommand(attachment));
    const rest = await review();
    expect(rest.status, rest.stderr).toBe(4);
    expect(rest.stdout).toContain("8 changes outside of Terraform made a resource less safe");
    expect(rest.stdout).toContain("No other risks found.");
    const { status, output } = await apply();
    expect(status, output).toBe(0);
    for (const name of [...roles, RoleName]) {
      const { PolicyNames } = await iam.send(new ListRolePoliciesCommand({ RoleName: name }));
      expect(PolicyNames, name).not.toContain("evil");
    }
    expect((await review()).stdout).toBe("# Plan review: `dev` in account `123456789012`\n\nNo changes.\n\n");
  });

  it("reports what users lose if the domain is replaced, until the risk is accepted", async () => {
    const out = join(project.folder, "review.md");
    const moved = { vpcCidr: "10.9.0.0/16" };
    const first = await reviewOf(moved, "--out", out);
    expect(first.status, first.stderr).toBe(3);
    expect(first.stdout).toContain("2 people (`ana`, `bo`)");
    expect(first.stdout).toContain("`--accept replaced-domain:studio_domain`");
    expect(readFileSync(out, "utf8")).toBe(first.stdout.slice(0, -1));

    const saved = join(project.folder, "cdktf.out/plan/dev.tfplan");
    const names = [...first.stdout.matchAll(/`--accept (\S+)`/g)].flatMap(([, name = ""]) => name);
    // The policies of jobs contain the private subnets, which this plan replaces.
    const unknown = names.filter((name) => name.startsWith("unknown-permissions:"));
    expect(names).toEqual(["replaced-domain:studio_domain", ...unknown]);
    expect(unknown.length).toBeLessThanOrEqual(3);
    const accepted = await review(
      "--plan",
      saved,
      "--in",
      project.stack,
      ...names.flatMap((name) => ["--accept", name]),
    );
    expect(accepted.status, accepted.stderr).toBe(4);
    const mistyped = await review("--plan", saved, "--in", project.stack, "--accept", "replaced-domain:dev");
    expect(mistyped.status).toBe(1);
    expect(mistyped.stderr).toContain(
      "no risk `replaced-domain:dev`; its risks are:\n    replaced-domain:studio_domain",
    );
  });

  it("finds an app that blocks a change, and reports if running apps were not checked", async () => {
    const client = new SageMakerClient(localAws.clientSettings());
    const studio = await StudioClient.find(client, "dev", 100, "bo");
    await studio.createSpace("notes");
    await studio.createApp("notes");
    const blocked = await reviewOf({ idleTimeoutMinutes: 120 });
    expect(blocked.status, blocked.stderr).toBe(3);
    expect(blocked.stdout).toContain("`JupyterLab` in space `notes` of `bo`");
    expect(blocked.stdout).toContain("running-app:studio_profiles.bo");
    expect(blocked.stdout).not.toContain("running-app:studio_profiles.ana");
    const saved = join(project.folder, "cdktf.out/plan/dev.tfplan");
    const unchecked = await review("--plan", saved, "--in", project.stack);
    expect(unchecked.status, unchecked.stderr).toBe(4);
    expect(unchecked.stdout).toContain(
      "were not checked (they can block a change): `--ask-aws was not given`",
    );
    const asked = await review("--plan", saved, "--in", project.stack, "--ask-aws");
    expect(asked.status, asked.stderr).toBe(3);
    await studio.delete("notes");
  });

  it("finds no update of the domain in frequent changes, which can be applied", async () => {
    const usual = readFileSync(project.lockFile(settings), "utf8");
    const lock =
      lockHeader(resolveEnvironment({ ...settings, ...packages })) + usual.split("\n").slice(1).join("\n");
    writeFileSync(project.lockFile({ ...settings, ...packages }), lock);
    const { status, stdout, stderr } = await reviewOf(frequent);
    expect(status, stderr + stdout).toBe(4);
    expect(stdout).toContain("No risks found.");
    expect(stdout).toMatch(/- change the payload from version `[0-9a-f]{16}` to version `[0-9a-f]{16}`/);
    expect(stdout).toContain("instance type of new spaces");
    expect(stdout).toContain("- add user profile `cy`");
    expect(stdout).not.toContain("aws_sagemaker_domain");
    const { status: applied, output } = await apply();
    expect(applied, output).toBe(0);
  });

  it("ends with a command that accepts the risks, without which nothing is applied", async () => {
    const removed = await reviewOf({ ...frequent, userProfiles: frequent.userProfiles?.slice(0, 2) ?? [] });
    expect(removed.status, removed.stderr).toBe(3);
    const name = "replaced-user-profile:studio_profiles.cy";
    const json = JSON.parse(readFileSync(join(project.folder, "cdktf.out/plan/dev.json"), "utf8"));
    expect(json.risks.map((risk: { name: string }) => risk.name)).toContain(name);
    const refused = await project.run("scripts/apply.ts", ["--plan", json.apply.split(" ")[7]], environment);
    expect(refused.status, refused.stderr).toBe(3);
    expect(refused.stderr).toContain("Nothing was applied.");
    const { command, status, stderr } = await paste(removed);
    expect(command).toBe(json.apply);
    expect(command).toContain(`--plan cdktf.out/plan/dev.tfplan --accept ${name}`);
    expect(status, stderr).toBe(0);
    const after = await review();
    expect(after.status, after.stdout).toBe(0);
  });

  it("leaves no change behind after types are shown again", async () => {
    const { status, stderr } = await reviewOf({ guardRails: { allowedInstanceTypes: "any" } });
    expect(status, stderr).toBe(3);
    expect((await apply()).status).toBe(0);
    expect((await review()).stdout).toBe("# Plan review: `dev` in account `123456789012`\n\nNo changes.\n\n");
  });

  it("predicts an update of the domain that the provider cannot make", async () => {
    const { status, stdout } = await reviewOf({
      homeFileSystemRetention: "Retain",
      removalProtection: false,
      bucketForceDestroy: true,
    });
    expect(status).toBe(3);
    expect(stdout).toContain("refused-domain-update:studio_domain");
    const { status: applied, output } = await apply();
    expect(applied).toBe(1);
    expect(output).toContain("VpcId and Subnet IDs are required");
  });

  it("rejects an invalid command line with status 2", async () => {
    const wrong = await review("dev", "--in", "x", "--acept", "--accept", "replaced-domain");
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('unexpected argument "dev", did you mean --environment dev?');
    expect(wrong.stderr).toContain("unknown option --acept");
    expect(wrong.stderr).toContain("--accept must be a name from a review");
    expect(wrong.stderr).toContain("--in requires --plan");
    const both = await review("--plan", "no-such-file", "--environment", "dev");
    expect(both.status).toBe(2);
    expect(both.stderr).toContain("--environment cannot be combined with --plan");
    const missing = await review("--plan", "no-such-file");
    expect(missing.status).toBe(1);
    expect(missing.stderr).toContain("no-such-file");
    const help = await review("--help");
    expect(help.status).toBe(0);
    expect(help.stdout).toContain("3 for changes with a risk that was not accepted");
  });
});
