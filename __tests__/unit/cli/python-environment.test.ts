import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { pythonEnvironment } from "../../../src/cli/python/python-environment.ts";

it("is at its real path, because its scripts begin with it and a link can end before them", async () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "sagemaker-marimo-python-")));
  const [bin, folder, link] = [join(root, "bin"), join(root, "python"), join(root, "link")];
  for (const one of [bin, folder]) mkdirSync(one);
  symlinkSync(folder, link);
  writeFileSync(join(bin, "python3"), "#!/bin/sh\necho 3.12.1\n", { mode: 0o755 });
  const lock = readFileSync("src/cli/python/lint/requirements.lock");
  const key = createHash("sha256").update(lock).update("3.12.1").digest("hex").slice(0, 12);
  const prefix = join(folder, `lint-${key}`);
  mkdirSync(prefix);
  writeFileSync(join(prefix, ".complete"), "");
  const environment = { PATH: `${bin}:${process.env.PATH}` };
  expect(await pythonEnvironment("lint", { folder: link, environment })).toEqual({
    prefix,
    python: join(prefix, "bin/python"),
  });
  rmSync(root, { recursive: true });
});
