import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { runPytest } from "../support/pytest.ts";

// Runs pytest once, before vitest collects its tests. Each test of pytest is one of vitest, so that it is counted.
describe.each(byFile(await runPytest(join(projectFolder, "__tests__/python"))))("%s", (_file, tests) => {
  it.each(tests)("$name", ({ problem }) => {
    expect(problem).toBeUndefined();
  });
});

function byFile(tests: Awaited<ReturnType<typeof runPytest>>) {
  const files = new Map<string, { name: string; problem: string | undefined }[]>();
  for (const { id, problem } of tests) {
    const [file = id, ...name] = id.split("::");
    files.set(file, [...(files.get(file) ?? []), { name: name.join("::") || "can be read", problem }]);
  }
  return [...files];
}

describe("a run of pytest", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-bad-tests-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    { what: "fails", text: "def test_it(): assert 1 == 2", problem: /^failed: .*assert 1 == 2/ },
    {
      what: "is skipped",
      text: "import pytest\ndef test_it(): pytest.skip('later')",
      problem: /^skipped: .*later/,
    },
    {
      what: "fails as expected",
      text: "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False",
      problem: /^skipped: /,
    },
    {
      what: "fails in its fixture's teardown",
      text: "import pytest\n@pytest.fixture\ndef it():\n    yield\n    raise OSError('left over')\ndef test_it(it): pass",
      problem: /^failed: .*left over/,
    },
    {
      what: "is a coroutine that is not awaited",
      text: "async def test_it(): assert False",
      problem: /^failed: /,
    },
    {
      what: "warns",
      text: "import warnings\ndef test_it(): warnings.warn('old')",
      problem: /^failed: .*old/,
    },
    { what: "cannot be imported", text: "import no_such_module", problem: /^failed: .*no_such_module/s },
  ])("reports a test that $what, and the other test in the folder", async ({ text, problem }) => {
    writeFileSync(join(folder, "test_bad.py"), text);
    writeFileSync(join(folder, "test_good.py"), "def test_it(): pass");
    const tests = await runPytest(folder);
    expect(tests).toEqual(
      expect.arrayContaining([
        { id: expect.stringMatching(/^test_bad\.py/), problem: expect.stringMatching(problem) },
        { id: "test_good.py::test_it", problem: undefined },
      ]),
    );
    expect(tests).toHaveLength(2);
  });

  it.each([
    { what: "finds no test", text: "def it(): pass", says: "found no test" },
    {
      what: "exits early",
      text: "import os\ndef test_it(): os._exit(0)",
      says: "did not finish",
    },
  ])("is an error if it $what", async ({ text, says }) => {
    writeFileSync(join(folder, "test_bad.py"), text);
    await expect(runPytest(folder)).rejects.toThrow(says);
  });
});
