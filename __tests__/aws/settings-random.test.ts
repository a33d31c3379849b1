import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { App } from "cdktf";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { resolveAi } from "../../src/settings/ai.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../src/settings/environment.ts";
import { lockFileOf, lockHeader } from "../../src/settings/locks.ts";
import { quote } from "../../src/settings/problems.ts";
import { stateObjectOf } from "../../src/settings/terraform.ts";
import { validateEnvironments } from "../../src/settings/validate.ts";
import { KnownValues, type StackJson } from "../support/known-values.ts";
import { limitProblems, nameClashes, overlaps, uniqueNames } from "../support/limits.ts";
import { ProviderSchema, type ProviderSchemas } from "../support/provider-schema.ts";
import { givenValues, locked, randomEnvironments, variedSettings } from "../support/random-settings.ts";
import { RequestCheck, sagemakerRequests } from "../support/sagemaker-requests.ts";

/** Set it to 1000 after a change of the settings: that takes some minutes. */
const runs = Number(process.env.RANDOM_SETTINGS_RUNS ?? 100);
/** The output contains the seed. `RANDOM_SETTINGS_SEED` sets another one. */
const seedOf = (environment: NodeJS.ProcessEnv) => Number(environment.RANDOM_SETTINGS_SEED ?? 20_260_730);

/** A clone with lock files for the packages of the random settings, as after `npm run lock`. */
const project = copyProject();
const { StudioStack } = (await import(
  join(project.folder, "src/stack/studio-stack.ts")
)) as typeof import("../../src/stack/studio-stack.ts");
const { checkLocks } = (await import(
  join(project.folder, "src/settings/locks.ts")
)) as typeof import("../../src/settings/locks.ts");

let folder: string;
let schema: ProviderSchema;
let botocore: RequestCheck;
let terraform: (cwd: string, ...args: string[]) => Promise<string>;

beforeAll(async () => {
  for (const marimoVersion of locked.marimoVersion) {
    for (const extraPackages of locked.extraPackages) {
      for (const ai of [undefined, resolveAi({ chatModel: "amazon.nova-lite-v1:0" }, "us-east-1")]) {
        const packages = { marimoVersion, extraPackages, ai };
        writeFileSync(
          lockFileOf(packages, join(project.folder, "src/space/locks")),
          `${lockHeader(packages)}marimo==${marimoVersion} --hash=sha256:${"0".repeat(64)}\n`,
        );
      }
    }
  }
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-random-"));
  const { command } = await findTerraform();
  const env = { ...process.env, ...(await terraformEnvironment({ command, runFolder: folder })) };
  terraform = async (cwd, ...args) => {
    const result = await capture(command, args, { cwd, env, timeout: 300_000 });
    if (result === undefined || (result.status !== 0 && args[0] !== "validate")) {
      throw new Error(`terraform ${args[0]}:\n${result?.stdout}${result?.stderr}`);
    }
    return result.stdout;
  };
  const cwd = join(folder, "schema");
  mkdirSync(cwd);
  const { stack } = synthesize([{ name: "dev" }])[0] as KnownValues;
  const { required_providers } = stack.terraform;
  // Terraform prints the schema of its built-in provider only if a resource uses it.
  const resource = { terraform_data: { any: {} } };
  writeFileSync(join(cwd, "main.tf.json"), JSON.stringify({ terraform: { required_providers }, resource }));
  await terraform(cwd, "init", "-no-color");
  schema = new ProviderSchema(
    JSON.parse(await terraform(cwd, "providers", "schema", "-json")) as ProviderSchemas,
  );
  botocore = new RequestCheck((await pythonEnvironment("aws")).python);
});
afterAll(async () => {
  await botocore?.stop();
  rmSync(folder, { recursive: true, force: true });
  project.remove();
});

/** Synthesizes the stacks of a settings file, like main.ts. */
function synthesize(environments: readonly EnvironmentSettings[], keepIn?: string): readonly KnownValues[] {
  const outdir = keepIn ?? mkdtempSync(join(folder, "out-"));
  mkdirSync(outdir, { recursive: true });
  // Most of the synthesis time is for the stack traces that cdktf records for every token and vitest maps. cdktf sets
  // the length limit of a stack trace itself, so this replaces the whole function.
  const { captureStackTrace } = Error;
  Error.captureStackTrace = () => {};
  const forgetTokens = tokenForgetter();
  try {
    const app = new App({ outdir });
    for (const settings of environments) new StudioStack(app, resolveEnvironment(settings));
    app.synth();
    return environments.map(({ name }) => {
      const read = (path: string) => readFileSync(join(outdir, "stacks", name, path), "utf8");
      // The only files whose content is in a request. The folder is deleted before they are read.
      const scripts = new Map<string, string>(
        ["image", "on-start"].map((script) => {
          const folder = `assets/lifecycle_configuration_script-${script}`;
          const [hash] = readdirSync(join(outdir, "stacks", name, folder));
          return [`${script}.sh`, read(`${folder}/${hash}/${script}.sh`)];
        }),
      );
      return new KnownValues(JSON.parse(read("cdk.tf.json")) as StackJson, (path) => {
        const script = scripts.get(basename(path));
        if (script === undefined) throw new Error(`unexpected read of ${path}`);
        return script;
      });
    });
  } finally {
    Error.captureStackTrace = captureStackTrace;
    forgetTokens();
    if (keepIn === undefined) rmSync(outdir, { recursive: true, force: true });
  }
}

/**
 * Returns a function that removes new tokens from cdktf's global token map (lib/tokens/private/token-map.ts). The map
 * keeps whole apps in memory, and 600 of them exceed the memory of a worker.
 */
function tokenForgetter(): () => void {
  const { __cdktfTokenMap } = globalThis as unknown as {
    readonly __cdktfTokenMap: Readonly<Record<"stringTokenMap" | "numberTokenMap", Map<unknown, unknown>>>;
  };
  const maps = [__cdktfTokenMap.stringTokenMap, __cdktfTokenMap.numberTokenMap];
  const kept = new Set(maps.flatMap((tokens) => [...tokens.keys()]));
  return () => {
    for (const tokens of maps) for (const token of tokens.keys()) if (!kept.has(token)) tokens.delete(token);
  };
}

/** The messages of main.ts about invalid settings. */
function refusals(environments: readonly unknown[]): readonly string[] {
  const wrong = validateEnvironments(environments);
  const settings = environments as readonly EnvironmentSettings[];
  return wrong.length > 0 ? wrong : checkLocks(settings.map(resolveEnvironment));
}

/** The setting in a message, such as `guardRails.budget.monthlyUsd`. */
const settingIn = (message: string) => /^[^:]*: ([\w.]+)/.exec(message.replaceAll(/\[\d+\]/g, ""))?.[1] ?? "";

/** Messages that do not quote the value of the setting, or that lack the allowed values and their source. */
function refusalProblems(environments: readonly unknown[], messages: readonly string[]): readonly string[] {
  const own = environments.flatMap((settings) => stateObjectOf(Object(settings)) ?? []);
  const given = [
    ...valuesIn(environments),
    ...valuesIn(resolveEnvironment({ name: "dev" })),
    ...own,
    undefined,
  ].map(quote);
  return messages.filter(
    (message) =>
      // A message about a lock file lists the packages of the lock file.
      !/^environments\[\d\] ".*": the lock file of \S.*Run: npm run lock \(.*\)\.$/s.test(message) &&
      (!given.some((value) => message.includes(`: ${value} `)) ||
        !/^environments\[\d\].*Allowed: \S.* \(\S.*\)\.$/s.test(message)),
  );
}

function valuesIn(value: unknown): readonly unknown[] {
  if (typeof value !== "object" || value === null) return [value];
  return [value, ...Object.keys(value), ...Object.values(value).flatMap(valuesIn)];
}

async function stackProblems(
  stacks: readonly KnownValues[],
  names: readonly string[],
): Promise<readonly string[]> {
  return [
    ...overlaps(stacks),
    ...nameClashes(stacks.flatMap((values, index) => uniqueNames(values, names[index] ?? ""))),
    ...stacks.flatMap((values) => [...schema.problems(values.stack), ...limitProblems(values)]),
    ...(await botocore.problems(stacks.flatMap(sagemakerRequests))),
  ];
}

describe(`${runs} random settings`, () => {
  it("are rejected with a reason, or synthesize to stacks that Terraform and AWS accept", async () => {
    const seed = seedOf(process.env);
    const accepted: EnvironmentSettings[] = [];
    let refused = 0;
    const wrongAt = new Set<string>();
    const names = new Map<string, ReturnType<typeof uniqueNames>>();
    await fc.assert(
      fc.asyncProperty(randomEnvironments, async (environments) => {
        const messages = refusals(environments);
        if (messages.length > 0) {
          refused += 1;
          for (const message of messages) wrongAt.add(settingIn(message));
          expect(refusalProblems(environments, messages)).toEqual([]);
          return;
        }
        const settings = environments as unknown as EnvironmentSettings[];
        accepted.push(...settings);
        const stacks = synthesize(settings);
        expect(
          await stackProblems(
            stacks,
            settings.map(({ name }) => name),
          ),
        ).toEqual([]);
        for (const [index, { name }] of settings.entries()) {
          names.set(name, uniqueNames(stacks[index] as KnownValues, name));
        }
      }),
      { numRuns: runs, seed, interruptAfterTimeLimit: 800_000, markInterruptAsFailure: true },
    );
    console.log(`seed ${seed}: ${refused} rejected, ${accepted.length} environments synthesized`);
    expect(nameClashes([...names.values()].flat())).toEqual([]);
    expect(refused / runs).toBeGreaterThan(0.1);
    expect(refused / runs).toBeLessThan(0.7);

    // 100 runs are too few for two valid values and an invalid one of each setting.
    if (runs < 1000) return;
    const values = new Map<string, Set<string>>();
    for (const [path, value] of accepted.flatMap((settings) => givenValues(settings))) {
      values.set(path, (values.get(path) ?? new Set()).add(JSON.stringify(value)));
    }
    expect(variedSettings.filter((path) => (values.get(path)?.size ?? 0) < 2)).toEqual([]);
    expect(variedSettings.filter((path) => !wrongAt.has(path))).toEqual([]);
  }, 900_000);
});

/** Settings with all optional resources, as a base for broken stacks. */
const whole: EnvironmentSettings = {
  name: "whole",
  egress: "endpoints-only",
  userProfiles: [{ name: "ana" }, { name: "bo" }],
  packageIndexUrl: "https://team-111122223333.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/",
  tags: { Team: "x" },
  guardRails: {
    allowedInstanceTypes: ["ml.t3.medium"],
    maximumSpacesPerUser: 40,
    requiredTags: ["Team"],
    budget: { monthlyUsd: 500, alertAddresses: ["team@example.com"], stopAtPercent: 100 },
  },
};

/** A copy of a stack in which the argument at a path is replaced or removed. */
function broken(stack: StackJson, path: string, value?: unknown): StackJson {
  const copy = structuredClone(stack);
  const keys = path.split("/");
  const last = keys.pop() ?? "";
  let at = copy as unknown as Record<string, unknown>;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

/** Mistakes by path in the JSON. */
const mistakes: readonly (readonly [string, unknown?])[] = [
  ["resource/aws_vpc/network_vpc/cidr", "10.0.0.0/16"],
  ["resource/aws_vpc/network_vpc/arn", "arn"],
  ["resource/aws_vpc/network_vpc/enable_dns_support", "yes"],
  ["resource/aws_vpc/network_vpc/tags", ["Name"]],
  ["resource/aws_subnet/network_private_us-east-1a/vpc_id"],
  ["resource/aws_subnet/network_private_us-east-1a/vpc_id", `\${aws_vpc.none.id}`],
  ["resource/aws_subnet/network_private_us-east-1a/vpc_id", `\${aws_vpc.network_vpc.ids}`],
  ["resource/aws_sagemaker_domain/studio_domain/subnet_ids", "subnet-1"],
  ["resource/aws_sagemaker_domain/studio_domain/default_user_settings"],
  [
    "resource/aws_sagemaker_domain/studio_domain/default_space_settings",
    [{ execution_role: "r" }, { execution_role: "r" }],
  ],
  ["resource/aws_sagemaker_domain/studio_domain/default_user_settings/execution_role"],
  ["resource/aws_sagemaker_domain/studio_domain/default_user_settings/space_storage_settings/size", 5],
  ["resource/aws_sagemaker_domain/studio_domain/lifecycle/ignore_changes", ["nothing"]],
  ["resource/aws_sagemaker_user_profile/studio_profiles/user_settings/security_groups", [`\${local.none}`]],
  ["resource/aws_kms_key/encryption_key/deletion_window_in_days", "soon"],
  ["resource/aws_budgets_budget/budget_budget/notification", [{ threshold: 1 }]],
  ["resource/aws_budgets_budget/budget_budget/name", `\${x}`],
  ["resource/aws_flow_log/network_flow_logs_log/depends_on", ["aws_iam_role.none"]],
  ["resource/aws_nothing", { at_all: {} }],
  ["data/aws_iam_policy_document/execution_trust/statement/0/condition/0/values"],
  ["provider/aws/0/regions", ["us-east-1"]],
];

describe("the checks of random settings", () => {
  it("find the same errors in a stack's JSON as terraform validate", async () => {
    const stacks = new Map<string, StackJson>();
    const cwd = join(folder, "validate");
    // The stacks are modules of one configuration, so that one run of Terraform validates all of them.
    const sample = fc
      .sample(randomEnvironments, { numRuns: 200, seed: seedOf(process.env) })
      .filter((environments) => refusals(environments).length === 0)
      .map(([settings]) => settings as unknown as EnvironmentSettings)
      .slice(0, 6);
    for (const [index, settings] of sample.entries()) {
      const [values] = synthesize([settings], join(cwd, `right-${index}`));
      stacks.set(`right-${index}/stacks/${settings.name}`, (values as KnownValues).stack);
    }
    const [{ stack }] = synthesize([whole], join(cwd, "whole")) as [KnownValues];
    stacks.set("whole/stacks/whole", stack);
    for (const [index, [path, value]] of mistakes.entries()) {
      const module = `wrong-${index}`;
      mkdirSync(join(cwd, module));
      stacks.set(module, broken(stack, path, value));
      symlinkSync(join(cwd, "whole/stacks/whole/assets"), join(cwd, module, "assets"));
      writeFileSync(join(cwd, module, "cdk.tf.json"), JSON.stringify(stacks.get(module)));
    }
    const modules = [...stacks.keys()].map((source, index) => [`module_${index}`, { source: `./${source}` }]);
    writeFileSync(join(cwd, "main.tf.json"), JSON.stringify({ module: Object.fromEntries(modules) }));
    await terraform(cwd, "init", "-no-color");
    const { diagnostics } = JSON.parse(await terraform(cwd, "validate", "-json")) as {
      readonly diagnostics: readonly {
        severity: string;
        summary: string;
        detail: string;
        range?: { filename: string };
      }[];
    };
    const errors = diagnostics.filter(({ severity }) => severity === "error");
    const described = (source: string, problems: readonly string[]) =>
      [source, mistakes[Number(source.split("-")[1])]?.[0], problems.length > 0] as const;
    const ofTerraform = [...stacks.keys()].map((source) =>
      described(
        source,
        errors.filter(({ range }) => range?.filename.startsWith(`${source}/`)).map(({ summary }) => summary),
      ),
    );
    expect(errors.filter(({ range }) => range === undefined)).toEqual([]);
    expect([...stacks].map(([source, json]) => described(source, schema.problems(json)))).toEqual(
      ofTerraform,
    );
    expect(ofTerraform.map(([source, , wrong]) => [source, wrong])).toEqual(
      [...stacks.keys()].map((source) => [source, source.startsWith("wrong-")]),
    );
  });

  let values: KnownValues;
  beforeAll(() => {
    values = synthesize([whole])[0] as KnownValues;
  });
  const withBroken = (path: string, value?: unknown) =>
    new KnownValues(broken(values.stack, path, value), () => "");

  it("find no problems in a stack with all resources", async () => {
    expect(await stackProblems([values], ["whole"])).toEqual([]);
  });

  it("find overlapping subnets, subnets outside of the VPC, and overlapping VPCs", () => {
    const subnet = "resource/aws_subnet/network_private_us-east-1a/cidr_block";
    expect(overlaps([withBroken(subnet, "10.0.128.0/18")])).toHaveLength(1);
    expect(overlaps([withBroken(subnet, "10.1.0.0/17")])).toHaveLength(1);
    expect(overlaps([withBroken(subnet, "10.0.0.0/29")])).toHaveLength(1);
    expect(overlaps([values, values])).toHaveLength(1);
  });

  it("find names that two environments share", () => {
    const names = (name: string) => uniqueNames(values, name);
    expect(nameClashes(names("one"))).toEqual([]);
    expect(nameClashes([...names("one"), ...names("two")]).join()).toMatch(
      /aws_iam_role .* and two: aws_iam_role/,
    );
  });

  it.each([
    [
      "a bucket name in capitals",
      "resource/aws_s3_bucket/storage_artifacts_bucket/bucket",
      "Upper",
      /refuses/,
    ],
    [
      "a role name of 65 characters",
      "resource/aws_iam_role/execution_role/name",
      "r".repeat(65),
      /65 characters \(limit: 64\)/,
    ],
    ["a tag key of 129 characters", "provider/aws/0/default_tags/0/tags", { ["k".repeat(129)]: "" }, /^tag/],
    ["a reserved tag key", "provider/aws/0/default_tags/0/tags", { "AWS:x": "" }, /^tag/],
    [
      "51 tags",
      "resource/aws_vpc/network_vpc/tags",
      Object.fromEntries(Array.from({ length: 48 }, (_, index) => [index, ""])),
      /51 tags \(limit: 50\)/,
    ],
    [
      "11 tags on an object",
      "resource/aws_s3_object/payload_current/tags",
      Object.fromEntries([..."abcdefghijk"].map((key) => [key, ""])),
      /11 tags \(limit: 10\)/,
    ],
    [
      "a managed policy of 7000 characters",
      "data/aws_iam_policy_document/guard_rails_tags_document/statement/0/sid",
      "s".repeat(7000),
      /limit: 6144/,
    ],
    [
      "inline policies of 11000 characters",
      "data/aws_iam_policy_document/network_flow_logs_write_document/statement/0/sid",
      "s".repeat(11_000),
      /inline policies .*limit: 10240/,
    ],
    [
      "a trust policy of 2100 characters",
      "data/aws_iam_policy_document/execution_trust/statement/0/sid",
      "s".repeat(2100),
      /limit: 2048/,
    ],
    [
      "an endpoint policy of 21000 characters",
      "data/aws_iam_policy_document/network_sts_endpoint_policy/statement/0/sid",
      "s".repeat(21_000),
      /limit: 20480/,
    ],
    [
      "a policy with Greek letters",
      "data/aws_iam_policy_document/execution_artifacts_document/statement/0/sid",
      "Λ",
      /characters/,
    ],
    [
      "11 budget notifications",
      "resource/aws_budgets_budget/budget_budget/notification",
      Array(11).fill({ threshold: 1, subscriber_email_addresses: ["a"] }),
      /11 notifications \(limit: 10\)/,
    ],
    [
      "61 rules of a security group",
      "resource/aws_vpc_security_group_egress_rule",
      Object.fromEntries(Array.from({ length: 61 }, (_, index) => [index, { security_group_id: "sg-1" }])),
      /61 egress rules \(limit: 60\)/,
    ],
  ] as const)("find %s", (_, path, value, message) => {
    expect(limitProblems(withBroken(path, value))).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    [
      "a short idle time-out",
      "default_user_settings/jupyter_lab_app_settings/app_lifecycle_management/idle_settings/idle_timeout_in_minutes",
      59,
    ],
    [
      "a string instead of a number",
      "default_space_settings/space_storage_settings/default_ebs_storage_settings/maximum_ebs_volume_size_in_gb",
      "many",
    ],
    [
      "an unknown instance type",
      "default_user_settings/jupyter_lab_app_settings/default_resource_spec/instance_type",
      "ml.none",
    ],
    ["six security groups", "default_user_settings/security_groups", Array(6).fill("sg-1")],
    ["a domain without a name", "domain_name", undefined],
    ["an unknown member", "favourite_colour", "green"],
    ["an unknown retention", "retention_policy/home_efs_file_system", "Perhaps"],
  ] as const)("find, with botocore, %s", async (_, path, value) => {
    const domain = withBroken(`resource/aws_sagemaker_domain/studio_domain/${path}`, value);
    expect(await botocore.problems(sagemakerRequests(domain))).not.toEqual([]);
  });

  it("find a message that lacks the value or the allowed values", () => {
    const settings = [{ name: "dev", region: "mars" }];
    const [message = ""] = validateEnvironments(settings);
    expect(refusalProblems(settings, [message])).toEqual([]);
    for (const wrong of [message.replace('"mars"', "it"), message.replace(/Allowed.*/s, ""), ""]) {
      expect(refusalProblems(settings, [wrong])).toEqual([wrong]);
    }
  });
});
