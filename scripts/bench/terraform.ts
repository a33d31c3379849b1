import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EC2Client } from "@aws-sdk/client-ec2";
import { CreateUserProfileCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { projectFolder } from "../../src/cli/paths.ts";
import { runProgram } from "../../src/cli/program.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { Steps } from "../../src/cli/steps.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { startLocalAws } from "../../src/local-studio/local-aws.ts";
import { noOtherAws } from "../../src/local-studio/rehearsal.ts";
import { StudioClient } from "../../src/local-studio/studio-client.ts";
import { consentVariable } from "../../src/removal/guard.ts";
import { deleteGroups, nfsGroups } from "../../src/removal/home-file-systems.ts";
import { secondsOf } from "./critical-path.ts";
import { copyProject } from "./project-copy.ts";
import { type Benchmark, type BenchmarkProps, median, type Report, table } from "./report.ts";
import { Stack, type StackProps, type Timed } from "./stack.ts";
import { environmentsOf } from "./synthesis.ts";

const spacesLeft = 10;
const manyProfiles = 1_000;
/** Shorter parts of a critical path are reported as one sum. */
const shortSeconds = 0.5;

interface Setup {
  readonly ours: Stack;
  readonly many: Stack;
  readonly article: Stack;
  readonly ec2: EC2Client;
  readonly sagemaker: SageMakerClient;
  readonly steps: Steps;
  readonly signal: AbortSignal;
}

async function run({ runs, folder, signal }: BenchmarkProps): Promise<Report> {
  const steps = new Steps();
  const { command: terraform } = await findTerraform();
  const { python } = await steps.run("prepare the virtual environment", () =>
    pythonEnvironment("aws", { onProgress: steps.progress, signal }),
  );
  const localAws = await startLocalAws({ python, log: join(folder.logs, "local-aws.log") });
  try {
    const common: Omit<StackProps, "name" | "folder"> = {
      ...{ terraform, python, logs: folder.logs, steps, signal },
      environment: {
        ...process.env,
        ...(await terraformEnvironment({ command: terraform, runFolder: folder.path })),
        ...noOtherAws(),
        ...localAws.environment,
      },
    };
    const ourStack = async (name: string, users: number) => {
      const synthesized = () => synthesize(users, join(folder.path, name), signal);
      return Stack.prepare({
        ...{ ...common, name },
        folder: await steps.run(`${name}: synthesize`, synthesized),
      });
    };
    const setup: Setup = {
      ...{ steps, signal },
      ours: await ourStack("ours", 1),
      many: await ourStack("many", manyProfiles),
      article: await Stack.prepare({ ...common, name: "article", folder: articleStack(folder.path) }),
      ec2: new EC2Client(localAws.clientSettings()),
      sagemaker: new SageMakerClient(localAws.clientSettings()),
    };
    const rounds: Round[] = [];
    for (let index = 0; index < runs; index++) rounds.push(await measure(setup, `${index + 1}/${runs}`));
    return report(rounds);
  } finally {
    // The local AWS keeps everything in memory, so nothing must be destroyed first.
    await localAws.stop();
  }
}

/** Synthesizes a copy of a version of the project with other settings. Resolves to the stack's folder. */
export async function synthesize(
  users: number,
  folder: string,
  signal: AbortSignal,
  from?: string,
  teams?: number,
): Promise<string> {
  const copy = copyProject(environmentsOf(users, teams), from);
  try {
    const output = join(folder, "cdktf.out");
    mkdirSync(folder, { recursive: true });
    const { status, stderr } = await runProgram({
      command: [process.execPath, "--import", "tsx", "main.ts"],
      cwd: copy.folder,
      environment: { ...process.env, CDKTF_OUTDIR: output },
      signal,
    });
    if (status !== 0) throw new Error(`main.ts failed with status ${status}:\n${stderr}`);
    return join(output, "stacks/dev");
  } finally {
    copy.remove();
  }
}

function articleStack(runFolder: string): string {
  const folder = join(runFolder, "article");
  mkdirSync(folder);
  for (const name of ["article.tf.json", "article-on-start.sh"])
    cpSync(join(projectFolder, "scripts/bench", name), join(folder, name));
  cpSync(join(projectFolder, "sample-notebooks"), join(folder, "sample-notebooks"), {
    recursive: true,
    // The payload has no README.md either.
    filter: (path) => !path.endsWith("README.md"),
  });
  return folder;
}

interface Side {
  readonly apply: Timed;
  readonly plan: Timed;
  readonly destroy: Timed;
}

interface Round {
  readonly ours: Side;
  readonly article: Side;
  readonly leftovers: Timed;
  /** Plans of an environment that is not deployed. */
  readonly first: Readonly<Record<"one" | "many", Timed>>;
}

/** Measures all cases in each round, so that a slow phase of the machine affects all of them. */
async function measure(setup: Setup, round: string): Promise<Round> {
  const { ours, many, article } = setup;
  const label = (what: string) => ({ label: `${what}, ${round}` });
  const side = async (stack: Stack, destroy: () => Promise<Timed>): Promise<Side> => ({
    apply: await stack.apply(label("apply")),
    plan: await stack.plan(false, label("second plan")),
    destroy: await destroy(),
  });
  const found = {
    ours: await side(ours, () => ours.destroy(label("destroy"))),
    article: await side(article, () => destroyArticle(setup, label("destroy").label)),
  };
  await ours.apply(label("apply again"));
  const domainId = await setup.steps.run(`create ${spacesLeft} spaces and a profile`, () =>
    createLeftovers(setup),
  );
  const leftovers = await ours.destroy({
    ...label("destroy with leftovers"),
    environment: { [consentVariable]: domainId },
  });
  const first = {
    one: await ours.plan(true, label("first plan with 1 profile")),
    many: await many.plan(true, label(`first plan with ${manyProfiles.toLocaleString("en")} profiles`)),
  };
  return { ...found, leftovers, first };
}

/** Creates resources that Terraform does not manage. Resolves to the domain's ID. */
async function createLeftovers({ sagemaker, signal }: Setup): Promise<string> {
  const studio = await StudioClient.find(sagemaker, "dev", 100);
  const { domainId } = studio.user;
  await Promise.all(
    Array.from({ length: spacesLeft }, async (_, index) => {
      await studio.createSpace(`space-${index}`, signal);
      await studio.createApp(`space-${index}`, signal);
    }),
  );
  await sagemaker.send(
    new CreateUserProfileCommand({ DomainId: domainId, UserProfileName: "made-in-the-console" }),
  );
  return domainId;
}

/**
 * Terraform cannot destroy the article's stack, because the domain leaves two security groups in the VPC that refer to
 * each other. This function deletes them as soon as the domain is deleted.
 */
async function destroyArticle({ article, ec2, signal }: Setup, label: string): Promise<Timed> {
  let groupRemoval: Promise<void> | undefined;
  const removeGroups = async (vpcId: string) => {
    const groups = (await nfsGroups(vpcId, ec2)).map(({ group }) => group);
    const wait = (milliseconds: number) => sleep(milliseconds, undefined, { signal });
    await deleteGroups(groups, { clients: { ec2 }, log: () => {}, wait });
  };
  let vpcId = "";
  const destroyed = await article.destroy({
    label,
    onMessage: ({ type, hook }) => {
      if (hook?.resource.resource_type === "aws_vpc") vpcId = hook.id_value ?? vpcId;
      if (type !== "apply_complete" || hook?.resource.resource_type !== "aws_sagemaker_domain") return;
      groupRemoval = removeGroups(vpcId);
      // Awaited below. Without this handler, an earlier failure would end the process.
      groupRemoval.catch(() => {});
    },
  });
  await groupRemoval;
  return destroyed;
}

function report(rounds: readonly Round[]): Report {
  const s = (seconds: number) => `${seconds.toFixed(1)} s`;
  const ratio = (a: Timed, b: Timed) => (a.seconds / b.seconds).toFixed(2);
  /** The measurement with the median time. */
  const middle = (of: (round: Round) => Timed): Timed => {
    const all = rounds.map(of);
    const seconds = median(all.map((timed) => timed.seconds));
    return all.find((timed) => timed.seconds === seconds) as Timed;
  };
  const side = (of: "ours" | "article"): Side => ({
    apply: middle((round) => round[of].apply),
    plan: middle((round) => round[of].plan),
    destroy: middle((round) => round[of].destroy),
  });
  const [ours, article] = [side("ours"), side("article")];
  const leftovers = middle((round) => round.leftovers);
  const first = { one: middle((round) => round.first.one), many: middle((round) => round.first.many) };
  const profiles = manyProfiles.toLocaleString("en");
  const row = (name: string, a: Timed, b: Timed) => [name, s(a.seconds), s(b.seconds), ratio(a, b)];
  const text = [
    "## This stack compared to the article's list",
    "",
    `The article's list has ${article.apply.resources} resources in hand-written Terraform JSON, and ours has ${ours.apply.resources}. Both run on one local AWS, in turns.`,
    "Terraform cannot destroy the article's stack, because the home file system's two security groups block its VPC. The",
    "benchmark deletes them as soon as the domain is deleted.",
    "",
    table(
      ["median", "ours", "article", "ours to article"],
      [
        row("apply", ours.apply, article.apply),
        row("second plan, no changes", ours.plan, article.plan),
        row("destroy", ours.destroy, article.destroy),
      ],
    ),
    "",
    "## Destroy with leftovers, plan with many profiles",
    "",
    `Leftovers: ${spacesLeft} spaces with one app each and one profile that Terraform does not manage, deleted with consent. First plans: nothing is deployed.`,
    "",
    table(
      ["median", "many", "few", "many to few"],
      [
        row("destroy with leftovers, without", leftovers, ours.destroy),
        row(`first plan with ${profiles} profiles, with 1`, first.many, first.one),
      ],
    ),
    "",
    "## Critical paths",
    "",
    "The longest chain of resources in which each one waits for the one before.",
    "",
    pathOf("our apply", ours.apply),
    pathOf("the article's apply", article.apply),
    pathOf("our destroy", ours.destroy),
    pathOf("our destroy with leftovers", leftovers),
    pathOf("the article's destroy", article.destroy),
  ].join("\n");
  const targets = [
    {
      target: "destroy with leftovers within 1.3x of a clean one",
      value: leftovers.seconds / ours.destroy.seconds,
      limit: 1.3,
    },
  ];
  return { text, targets, results: rounds };
}

function pathOf(what: string, { seconds, path }: Timed): string {
  const long = path.filter((link) => link.seconds >= shortSeconds);
  const rest = secondsOf(path) - secondsOf(long);
  return [
    `${what}: ${secondsOf(path).toFixed(1)} of ${seconds.toFixed(1)} s`,
    ...long.map((link) => `${link.seconds.toFixed(1).padStart(7)} s  ${link.resource}`),
    `${rest.toFixed(1).padStart(7)} s  ${path.length - long.length} others`,
    "",
  ].join("\n");
}

export const terraform: Benchmark = {
  about:
    "apply, second plan and destroy compared to the article's list in hand-written JSON, with their critical\npaths; destroy with users' leftovers compared to a clean one; plan with 1,000 profiles compared to 1;\ntakes about 5 minutes per run",
  defaultRuns: 3,
  run,
};
