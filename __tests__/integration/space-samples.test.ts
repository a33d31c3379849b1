import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { payloadFolder, Space } from "./space-fixture.ts";

let python: string;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
});

let space: Space;
beforeEach(() => {
  space = new Space();
  ship("01_explore_data.py", "first\n");
});
afterEach(() => space.dispose());

const ship = (name: string, content: string) => space.write(join(space.folder, "samples", name), content);
const notebook = (name: string) => join(space.home, "marimo-notebooks", name);
const read = (name: string) => readFileSync(notebook(name), "utf8");
const names = () => readdirSync(join(space.home, "marimo-notebooks")).sort();
const install = async () => {
  const script = join(payloadFolder, "python/sagemaker_marimo/samples.py");
  const manifest = join(space.folder, "samples.json");
  const args = [script, join(space.folder, "samples"), join(space.home, "marimo-notebooks"), manifest];
  const { status, stdout, stderr } = await space.run(python, args);
  expect(status, stderr).toBe(0);
  return stdout;
};

describe("the sample notebooks in a person's folder", () => {
  it("come with the first start, and only then", async () => {
    await install();
    expect(read("01_explore_data.py")).toBe("first\n");
    await install();
    expect(names()).toEqual(["01_explore_data.py"]);
  });

  it("are brought up to date while nobody has changed them", async () => {
    await install();
    ship("01_explore_data.py", "second\n");
    await install();
    expect(read("01_explore_data.py")).toBe("second\n");
    expect(names()).toEqual(["01_explore_data.py"]);
  });

  it("are never overwritten once a person has edited them: the new version comes beside, with a note", async () => {
    await install();
    space.write(notebook("01_explore_data.py"), "mine\n");
    await install();
    expect(names()).toEqual(["01_explore_data.py"]);
    ship("01_explore_data.py", "second\n");
    const told = "01_explore_data.py is yours, edited; the new version is 01_explore_data.new.py\n";
    expect(await install()).toBe(told);
    expect(read("01_explore_data.py")).toBe("mine\n");
    expect(read("01_explore_data.new.py")).toBe("second\n");
    expect(read("NEW-SAMPLES.txt")).toBe(told);
    rmSync(notebook("01_explore_data.new.py"));
    expect(await install()).toBe("");
    expect(names()).toEqual(["01_explore_data.py", "NEW-SAMPLES.txt"]);
  });

  it("do not replace a file that was the person's before", async () => {
    space.write(notebook("01_explore_data.py"), "mine\n");
    await install();
    expect(read("01_explore_data.py")).toBe("mine\n");
    expect(read("01_explore_data.new.py")).toBe("first\n");
  });

  it("stay deleted", async () => {
    await install();
    rmSync(notebook("01_explore_data.py"));
    ship("01_explore_data.py", "second\n");
    await install();
    expect(names()).toEqual([]);
  });

  it("survive a manifest that cannot be read", async () => {
    await install();
    space.write(notebook("01_explore_data.py"), "mine\n");
    space.write(join(space.folder, "samples.json"), "{");
    await install();
    expect(read("01_explore_data.py")).toBe("mine\n");
  });

  it("do not come when the setting is off", async () => {
    rmSync(join(space.folder, "samples"), { recursive: true });
    await install();
    expect(existsSync(notebook(""))).toBe(false);
  });
});
