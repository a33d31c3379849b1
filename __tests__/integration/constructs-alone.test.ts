import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CreateSpaceCommand, DescribeDomainCommand, ListTagsCommand } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { consentVariable } from "../../src/studio-removal/guard.ts";
import { StackFixture } from "./stack-fixture.ts";

/**
 * Another team's app, with nothing but this package and what it says that it depends on, as npm would install them. It
 * is one of CommonJS, which an app is where its package.json does not say otherwise.
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
  // Copied, since Node.js follows a link to this project's own folder, and finds there what the app may lack.
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

  it("make a valid stack, which applies once, under its own names and tags", async () => {
    await succeed("validate");
    await succeed("apply", "-auto-approve");
    await succeed("plan", "-detailed-exitcode");

    const DomainId = await stack.output("domain");
    const domain = await stack.sagemaker.send(new DescribeDomainCommand({ DomainId }));
    expect(domain).toMatchObject({ DomainName: "research", Status: "InService" });
    const { Tags } = await stack.sagemaker.send(new ListTagsCommand({ ResourceArn: domain.DomainArn }));
    expect(Tags).toEqual([{ Key: "Team", Value: "research" }]);
    const inventory = await stack.localAws.inventory();
    expect(inventory.filter((line) => line.startsWith("sagemaker user-profile"))).toHaveLength(2);
    // Neither this project's environments' names nor its tag are in what another team made.
    expect(inventory.filter((line) => /marimo-(dev|research)/.test(line))).toEqual([]);
  });

  it("ask before they destroy what people made, and then leave nothing, by the app's own packages", async () => {
    const DomainId = await stack.output("domain");
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

    // Where a package of the scripts is missing nothing is destroyed, and it is the app's own that they find.
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

  it("fit the types of such an app, and make the same stack in one of ES modules", async () => {
    // The compiler options that the package's own sources need, beside the strictest.
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

  it("refuse a name that AWS would refuse, all of them at once", async () => {
    const synthesis = ["--import", "tsx", "main.ts", "Research_Team"];
    const { code, output } = await stack.run(process.execPath, synthesis, stack.folder);
    expect(code).not.toBe(0);
    for (const id of ["key", "storage", "net", "role", "start", "studio"]) {
      expect(output).toContain(`[research/${id}] prefix "Research_Team"`);
    }
  });
});
