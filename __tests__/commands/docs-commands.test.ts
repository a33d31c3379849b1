import { describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { docs, npmScripts, readDoc, scriptsIn } from "../support/docs.ts";

const scripts = [...new Set(docs.flatMap((doc) => scriptsIn(readDoc(doc))))].sort();

/** The project's own programs in package.json, such as `scripts/plan.ts`. */
const programs = new Set(
  Object.values(npmScripts()).flatMap((script) => /^node --import tsx (\S+)/.exec(script)?.[1] ?? []),
);

const help = async (script: string) =>
  await capture("npm", ["run", "--silent", script, "--", "--help"], { cwd: projectFolder, timeout: 60_000 });

describe("each command that the documentation names", () => {
  it.each(scripts)("explains itself: npm run %s -- --help", async (script) => {
    const result = await help(script);
    expect(result?.status, result?.stderr).toBe(0);
    expect(result?.stdout).toMatch(/\busage: /i);
  });

  it("fails where there is no such command", async () => {
    expect((await help("no-such-command"))?.status).not.toBe(0);
  });
});

describe("each command of this project", () => {
  it.concurrent.each([...programs])("rejects an unknown option with status 2: %s", async (program) => {
    const args = ["--import", "tsx", program, "--no-such-option"];
    const result = await capture(process.execPath, args, { cwd: projectFolder });
    expect(result?.status, result?.stderr).toBe(2);
    expect(result?.stderr).toMatch(/^- unknown option --no-such-option\n(- .*\n)*See npm .* -- --help\n$/);
  });
});
