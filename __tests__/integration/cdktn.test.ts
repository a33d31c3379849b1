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
import { copyProject } from "../../scripts/lib/project-copy.ts";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { type Captured, capture } from "../../src/local-studio/processes.ts";
import { compareVersions } from "../../src/local-studio/terraform-cli.ts";
import { everyEnvironment } from "./every-environment.ts";

/** What a person who moves to cdktn reads, and what this test does. */
const record = readFileSync(join(projectFolder, "src/constructs/cdktn.md"), "utf8");

function commands(name: "packages" | "imports"): string {
  const block = new RegExp(`^\`\`\`bash ${name}\n(.*?)^\`\`\``, "ms").exec(record)?.[1];
  if (block === undefined) throw new Error(`cdktn.md has no block "${name}"`);
  return block;
}

/** Side by side in a region: each that makes a VPC has one of its own. */
const environments = everyEnvironment.map((settings, index) => ({
  ...settings,
  ...(settings.existing?.network || settings.existing?.domainId ? {} : { vpcCidr: `10.${index}.0.0/16` }),
}));

/** Every value that is not the same, by its path; a key that one side lacks is `undefined` there. */
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

describe("the sources, moved to cdktn as cdktn.md says", () => {
  let project: ReturnType<typeof copyProject>;
  let unmoved: Captured;

  async function run(command: string, ...args: string[]): Promise<Captured> {
    const result = await capture(command, args, { cwd: project.folder, timeout: 300_000 });
    if (result === undefined) throw new Error(`${command} is not there`);
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
    // Of the command line nothing is run here. npm's `node` is Node.js itself, where this one is too old for cdktn.
    const wanted = packages.filter((name) => !name.startsWith("cdktn-cli@"));
    const old = compareVersions(process.versions.node, "22.11.0") < 0;
    // npm itself runs on the Node.js at hand, and `.npmrc` of the project it was started from may be strict about that.
    const install = ["install", "--no-engine-strict", "--save-exact", ...wanted];
    await succeed("npm", ...install, ...(old ? ["node@22.23.3"] : []));
    const node = old ? join(project.folder, "node_modules/node/bin/node") : process.execPath;

    unmoved = await run(node, ...synthesis);
    await succeed("bash", "-c", commands("imports"));
    await succeed(node, ...synthesis);
  });
  afterAll(() => project?.remove());

  it("synthesize the same stacks, but for the names of the library and of the provider", () => {
    expect(files("cdktf.out")).toEqual(files("with-cdktf"));
    for (const { name } of environments) {
      expect(differences(stack("with-cdktf", name), stack("cdktf.out", name)), name).toEqual({
        "//.metadata.version": ["0.21.0", "0.24.0"],
        "terraform.required_providers.aws.source": ["aws", "hashicorp/aws"],
      });
    }
  });

  it("have types that fit", async () => {
    mkdirSync(join(project.folder, "node_modules/@types"));
    symlinkSync(
      join(projectFolder, "node_modules/@types/node"),
      join(project.folder, "node_modules/@types/node"),
    );
    symlinkSync(
      join(projectFolder, "node_modules/undici-types"),
      join(project.folder, "node_modules/undici-types"),
    );
    // JSON knows no literal types: the project's own environments do.
    cpSync(join(projectFolder, "src/environments.ts"), join(project.folder, "src/environments.ts"));
    const settings = { extends: "./tsconfig.json", include: ["main.ts"] };
    writeFileSync(join(project.folder, "tsconfig.synthesis.json"), JSON.stringify(settings));
    const check = [join(projectFolder, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.synthesis.json"];
    await succeed(process.execPath, ...check);

    // The same check, of a stack that passes what cdktn's provider does not take.
    writeFileSync(
      join(project.folder, "main.ts"),
      'import { Vpc } from "@cdktn/provider-aws/lib/vpc/index.js";\nexport const props: ConstructorParameters<typeof Vpc>[2] = { cidrBlock: 1 };\n',
    );
    expect((await run(process.execPath, ...check)).stdout).toContain("error TS2322");
  });

  it("did not use cdktf any more: before their imports moved there was none", () => {
    expect(unmoved.status).not.toBe(0);
    expect(unmoved.stderr).toMatch(/Cannot find (module|package) '@?cdktf/);
  });

  it("are compared value by value, so that another resource shows", () => {
    const found = differences(stack("with-cdktf", "dev"), stack("cdktf.out", "nat-iam"));
    expect(found).toMatchObject({
      "resource.aws_vpc.network_vpc.cidr_block": ["10.0.0.0/16", "10.1.0.0/16"],
    });
  });
});
