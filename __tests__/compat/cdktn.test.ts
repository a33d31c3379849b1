import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { projectFolder } from "../../src/cli/paths.ts";
import { type Captured, capture } from "../../src/cli/processes.ts";
import { everyEnvironment } from "../support/every-environment.ts";
import { nodeInstallation } from "../support/node-versions.ts";

/** The instructions for the move to cdktn, which this test follows. */
const record = readFileSync(join(projectFolder, "src/stack/cdktn.md"), "utf8");

function commands(name: "packages" | "imports"): string {
  const block = new RegExp(`^\`\`\`bash ${name}\n(.*?)^\`\`\``, "ms").exec(record)?.[1];
  if (block === undefined) throw new Error(`cdktn.md does not contain the block "${name}"`);
  return block;
}

/** Environments in one region, whose VPCs do not overlap. */
const environments = everyEnvironment.map((settings, index) => ({
  ...settings,
  ...(settings.existing?.network || settings.existing?.domainId ? {} : { vpcCidr: `10.${index}.0.0/16` }),
}));

/** The different values by path. A missing key is `undefined`. */
function differences(before: unknown, after: unknown, path = ""): Record<string, readonly unknown[]> {
  if (isDeepStrictEqual(before, after)) return {};
  if (!isObject(before) || !isObject(after)) return { [path]: [before, after] };
  return Object.assign(
    {},
    ...[...new Set([...Object.keys(before), ...Object.keys(after)])].map((key) =>
      differences(before[key], after[key], path === "" ? key : `${path}.${key}`),
    ),
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

describe("the sources, moved to cdktn as described in cdktn.md", () => {
  let project: ReturnType<typeof copyProject>;
  let unmoved: Captured;

  async function run(command: string, ...args: string[]): Promise<Captured> {
    const result = await capture(command, args, { cwd: project.folder, timeout: 300_000 });
    if (result === undefined) throw new Error(`${command} was not found`);
    return result;
  }

  async function succeed(command: string, ...args: string[]): Promise<void> {
    const { status, stdout, stderr } = await run(command, ...args);
    expect(status, `${command} ${args.join(" ")}\n${stdout}${stderr}`).toBe(0);
  }

  const synthesis = ["--import", import.meta.resolve("tsx"), "main.ts"];
  const stack = (output: string, name: string): unknown =>
    JSON.parse(readFileSync(join(project.folder, output, "stacks", name, "cdk.tf.json"), "utf8"));
  const files = (output: string) =>
    readdirSync(join(project.folder, output), { recursive: true, encoding: "utf8" }).sort();

  beforeAll(async () => {
    project = copyProject(JSON.stringify(environments));
    await succeed(process.execPath, ...synthesis);
    await succeed("mv", "cdktf.out", "with-cdktf");

    unlinkSync(join(project.folder, "node_modules"));
    writeFileSync(join(project.folder, "package.json"), '{ "private": true, "type": "module" }\n');
    const packages = commands("packages").match(/\S+@\d\S+/g) ?? [];
    // This test does not run the command line.
    const wanted = packages.filter((name) => !name.startsWith("cdktn-cli@"));
    const { node, npm } = await nodeInstallation("22");
    await succeed(node, npm, "install", "--save-exact", ...wanted);

    unmoved = await run(node, ...synthesis);
    await succeed("bash", "-c", commands("imports"));
    await succeed(node, ...synthesis);
  });
  afterAll(() => project?.remove());

  it("synthesize the same stacks, except for the names of the library and the provider", () => {
    expect(files("cdktf.out")).toEqual(files("with-cdktf"));
    for (const { name } of environments) {
      expect(differences(stack("with-cdktf", name), stack("cdktf.out", name)), name).toEqual({
        "//.metadata.version": ["0.21.0", "0.24.0"],
        "terraform.required_providers.aws.source": ["aws", "hashicorp/aws"],
      });
    }
  });

  it("compile", async () => {
    mkdirSync(join(project.folder, "node_modules/@types"));
    symlinkSync(
      join(projectFolder, "node_modules/@types/node"),
      join(project.folder, "node_modules/@types/node"),
    );
    symlinkSync(
      join(projectFolder, "node_modules/undici-types"),
      join(project.folder, "node_modules/undici-types"),
    );
    // JSON has no literal types, so use the project's own environments.
    cpSync(join(projectFolder, "src/environments.ts"), join(project.folder, "src/environments.ts"));
    const settings = { extends: "./tsconfig.json", include: ["main.ts"] };
    writeFileSync(join(project.folder, "tsconfig.synthesis.json"), JSON.stringify(settings));
    const check = [join(projectFolder, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.synthesis.json"];
    await succeed(process.execPath, ...check);

    // Control: the same check of a stack with a value that cdktn's provider does not accept.
    writeFileSync(
      join(project.folder, "main.ts"),
      'import { Vpc } from "@cdktn/provider-aws/lib/vpc/index.js";\nexport const props: ConstructorParameters<typeof Vpc>[2] = { cidrBlock: 1 };\n',
    );
    expect((await run(process.execPath, ...check)).stdout).toContain("error TS2322");
  });

  it("no longer use cdktf, and cannot be loaded before their imports are moved", () => {
    expect(unmoved.status).not.toBe(0);
    expect(unmoved.stderr).toMatch(/Cannot find (module|package) '@?cdktf/);
  });

  it("are compared value by value, so that a changed resource is found", () => {
    const found = differences(stack("with-cdktf", "dev"), stack("cdktf.out", "nat-iam"));
    expect(found).toMatchObject({
      "resource.aws_vpc.network_vpc.cidr_block": ["10.0.0.0/16", "10.1.0.0/16"],
    });
  });
});
