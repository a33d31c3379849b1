import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CreateSpaceCommand, DescribeDomainCommand, ListTagsCommand } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { consentVariable } from "../../src/removal/guard.ts";
import { StackFixture } from "../support/stack-fixture.ts";

/**
 * Another team's app with only this package and its dependencies, like an installation by npm. It is a CommonJS app,
 * which is the default of package.json.
 */
function exampleApp(): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-example-"));
  cpSync(join(projectFolder, "__tests__/example-app/main.ts"), join(folder, "main.ts"));
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const { dependencies } = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8")) as {
    dependencies: Readonly<Record<string, string>>;
  };
  const modules = join(folder, "node_modules");
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(projectFolder, "node_modules", name), join(modules, name));
  }
  // Copied, because Node.js would follow a link to this project's folder and find packages that the app lacks.
  for (const part of ["package.json", "src", "sample-notebooks"]) {
    cpSync(join(projectFolder, part), join(modules, "sagemaker-marimo", part), { recursive: true });
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

describe("the constructs in another CDKTF app", () => {
  let stack: StackFixture;
  beforeAll(async () => {
    stack = await StackFixture.startIn(exampleApp(), "research");
  });
  afterAll(() => stack?.stop());

  const succeed = async (...args: string[]) => {
    const { code, output } = await stack.terraform([...args, "-no-color"]);
    expect(code, output).toBe(0);
  };

  it("create a valid stack with its own tags, whose second plan is empty", async () => {
    await succeed("validate");
    await succeed("apply", "-auto-approve");
    await succeed("plan", "-detailed-exitcode");

    const DomainId = await stack.output("studio_domain_id");
    const domain = await stack.sagemaker.send(new DescribeDomainCommand({ DomainId }));
    expect(domain).toMatchObject({ DomainName: "marimo-research", Status: "InService" });
    const { Tags } = await stack.sagemaker.send(new ListTagsCommand({ ResourceArn: domain.DomainArn }));
    expect(Object.fromEntries((Tags ?? []).map(({ Key, Value }) => [Key, Value]))).toEqual({
      Team: "research",
      Project: "sagemaker-marimo",
      Environment: "research",
    });
    const inventory = await stack.localAws.inventory();
    expect(inventory.filter((line) => line.startsWith("sagemaker user-profile"))).toHaveLength(2);
  });

  it("require consent to destroy users' work, and then destroy everything with the app's packages", async () => {
    const DomainId = await stack.output("studio_domain_id");
    const space = {
      SpaceName: "mine",
      OwnershipSettings: { OwnerUserProfileName: "ana" },
      SpaceSharingSettings: { SharingType: "Private" as const },
      SpaceSettings: { AppType: "JupyterLab" as const },
    };
    await stack.sagemaker.send(new CreateSpaceCommand({ DomainId, ...space }));
    const before = await stack.localAws.inventory();
    const destroy = ["destroy", "-auto-approve", "-no-color"];

    const refused = await stack.terraform(destroy);
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain("space mine, of ana, private");
    const consent = { [consentVariable]: DomainId };

    // Without a package that the scripts need, nothing is destroyed. This also shows that they use the app's packages.
    const sdk = join(stack.folder, "node_modules/@aws-sdk/client-sts");
    rmSync(sdk);
    const broken = await stack.terraform(destroy, consent);
    expect(broken.code).not.toBe(0);
    expect(broken.output).toContain("@aws-sdk/client-sts");
    expect(await stack.localAws.inventory()).toEqual(before);
    symlinkSync(join(projectFolder, "node_modules/@aws-sdk/client-sts"), sdk);

    const done = await stack.terraform(destroy, consent);
    expect(done.code, done.output).toBe(0);
    expect(await stack.localAws.inventory()).toEqual([]);
  });

  it("have types that compile in such an app, and create the same stack in an app of ES modules", async () => {
    // Strict compiler options, plus those that the package's sources need.
    const compilerOptions = {
      module: "NodeNext",
      target: "ES2023",
      strict: true,
      skipLibCheck: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      types: ["node"],
    };
    writeFileSync(
      join(stack.folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions, include: ["main.ts"] }),
    );
    for (const name of ["@types/node", "undici-types"]) {
      const link = join(stack.folder, "node_modules", name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(projectFolder, "node_modules", name), link);
    }
    const check = () =>
      stack.run(process.execPath, [join(projectFolder, "node_modules/typescript/bin/tsc")], stack.folder);
    const right = await check();
    expect(right.code, right.output).toBe(0);
    const main = join(stack.folder, "main.ts");
    const text = readFileSync(main, "utf8");
    writeFileSync(main, text.replace('egress: "nat"', 'egress: "none"'));
    const wrong = await check();
    writeFileSync(main, text);
    expect(wrong.output).toContain("main.ts");
    expect(wrong.output).toContain('"none"');

    const synthesize = async () => {
      const { code, output } = await stack.run(
        process.execPath,
        ["--import", "tsx", "main.ts"],
        stack.folder,
      );
      expect(code, output).toBe(0);
      return readFileSync(join(stack.stackFolder, "cdk.tf.json"), "utf8");
    };
    const before = await synthesize();
    writeFileSync(join(stack.folder, "package.json"), '{ "private": true, "type": "module" }\n');
    expect(await synthesize()).toBe(before);
  });

  it("reject an invalid name", async () => {
    const synthesis = ["--import", "tsx", "main.ts", "Research_Team"];
    const { code, output } = await stack.run(process.execPath, synthesis, stack.folder);
    expect(code).not.toBe(0);
    expect(output).toContain(
      'environments[0] "Research_Team": name: "Research_Team" is not a valid environment name',
    );
  });
});
