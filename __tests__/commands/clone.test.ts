import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";

/** What spaces run, and an image. */
const parts = ["src/space", ".ci", ".readme"];
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-clone-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function git(cwd: string, ...args: string[]): Promise<void> {
  const identity = ["-c", "user.name=ana", "-c", "user.email=ana@example.com"];
  const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  const result = await capture("git", [...identity, ...args], { cwd, env });
  expect(result?.status, result?.stderr).toBe(0);
}

/** Commits files of the project, and returns those whose bytes differ in a clone as Git for Windows makes it. */
async function differencesInClone(name: string, ...more: readonly string[]): Promise<string[]> {
  const [original, clone] = [join(folder, name), join(folder, `${name}-clone`)];
  for (const part of [...parts, ...more]) {
    mkdirSync(dirname(join(original, part)), { recursive: true });
    cpSync(join(projectFolder, part), join(original, part), { recursive: true });
  }
  await git(folder, "init", "--quiet", original);
  await git(original, "add", "--all", "--force");
  await git(original, "commit", "--quiet", "--message", "all");
  await git(folder, "clone", "--quiet", "-c", "core.autocrlf=true", original, clone);
  return parts.flatMap((part) =>
    readdirSync(join(clone, part), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(clone.length + 1))
      .filter((file) => !readFileSync(join(clone, file)).equals(readFileSync(join(original, file)))),
  );
}

it("a clone with core.autocrlf has the same bytes", async () => {
  expect(await differencesInClone("with", ".gitattributes")).toEqual([]);
});

it("would have other shell scripts without .gitattributes", async () => {
  const different = await differencesInClone("without");
  expect(different).toEqual(expect.arrayContaining(["src/space/on-start.sh", ".ci/run"]));
  expect(different.filter((file) => file.endsWith(".png"))).toEqual([]);
});
