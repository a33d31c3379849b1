import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { type PythonEnvironment, pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { marimoDefaults } from "../../src/settings/marimo.ts";
import { lockFile, makeWheelhouse, realPayload, Space, until } from "../support/space-fixture.ts";

const lock = readFileSync(lockFile, "utf8");
const keyOf = (requirements: string) => createHash("sha256").update(requirements).digest("hex").slice(0, 16);
/** Different requirements with the same packages: an update without a download. */
const update = `${lock}# an update\n`;

let image: PythonEnvironment;
let aws: PythonEnvironment;
let space: Space;
beforeAll(async () => {
  image = await pythonEnvironment("image");
  aws = await pythonEnvironment("aws");
});
beforeEach(async () => {
  space = new Space();
  await space.run(image.python, ["-m", "venv", "--without-pip", space.prefix]);
  symlinkSync(join(image.prefix, "bin/uv"), join(space.prefix, "bin/uv"));
  // Compiling takes longer than everything else, so only its command line is recorded.
  space.write(join(space.bin, "nice"), `#!/bin/bash\necho "$*" >>'${space.folder}/compiled'\n`);
  chmodSync(join(space.bin, "nice"), 0o755);
});
afterEach(() => space.dispose());

/** Writes a payload directly to the home folder, without the bucket. */
function payload(requirements: string, settings = ""): string {
  const folder = join(space.state, "payload", keyOf(requirements + settings));
  for (const [name, content] of Object.entries({ ...realPayload(requirements), "settings.env": settings })) {
    space.write(join(folder, name), content);
  }
  return join(folder, "install.sh");
}
const environment = () => ({ ...space.environment, PATH: `${space.bin}:${space.prefix}/bin:/usr/bin:/bin` });
const install = (script: string, more = {}) =>
  space.run("/bin/bash", [script], { ...environment(), ...more });
const current = () => readlinkSync(join(space.state, "environments/current"));
const environments = () =>
  readdirSync(join(space.state, "environments"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name.replace(/^[\d.]+-/, ""))
    .sort();
const status = () => readFileSync(join(space.state, "status"), "utf8").trim();
/** Does not import marimo: without compiled bytecode that takes seconds. */
const version = async () =>
  (
    await space.run(join(space.state, "environments/current/bin/python"), [
      "-c",
      "import importlib.metadata as m, importlib.util as u; print(u.find_spec('marimo') and m.version('marimo'))",
    ])
  ).stdout;

/** A uv that logs each call, and never finishes an installation while the file `stuck` exists. */
function watchUv(): { calls: (what: string) => number; stick: (stuck: boolean) => void } {
  const [log, stuck] = [join(space.folder, "uv-calls"), join(space.folder, "stuck")];
  const uv = join(space.bin, "uv");
  space.write(
    uv,
    `#!/bin/bash\necho "$1" >>'${log}'\n[[ $1 == pip && -f '${stuck}' ]] && exec sleep 600\nexec '${space.prefix}/bin/uv' "$@"\n`,
  );
  chmodSync(uv, 0o755);
  return {
    calls: (what) =>
      existsSync(log)
        ? readFileSync(log, "utf8")
            .split("\n")
            .filter((line) => line === what).length
        : 0,
    stick: (on) => (on ? space.write(stuck, "") : rmSync(stuck)),
  };
}

describe("an installation", () => {
  it("clones the repositories into a new home only, when marimo is there", async () => {
    const served = join(space.folder, "served/models");
    for (const command of [
      ["init"],
      ["-c", "user.name=a", "-c", "user.email=a@x.org", "commit", "--allow-empty", "-m", "a"],
    ]) {
      await space.run("/usr/bin/env", [
        "git",
        ...(command[0] === "init" ? ["init", served] : ["-C", served, ...command]),
      ]);
    }
    const config = join(space.folder, "gitconfig");
    space.write(config, `[url "file://${space.folder}/served/"]\n insteadOf = https://x.org/\n`);
    const git = { GIT_CONFIG_GLOBAL: config, GIT_ALLOW_PROTOCOL: "file" };
    const settings = "MARIMO_REPOSITORIES=https://x.org/models\n";
    const { stdout } = await install(payload(lock, settings), git);
    expect(stdout).toMatch(/marimo is installed[\s\S]*https:\/\/x\.org\/models was cloned into/);
    expect(existsSync(join(space.home, "models/.git"))).toBe(true);
    rmSync(join(space.home, "models"), { recursive: true });
    expect((await install(payload(lock, settings), git)).stdout).not.toContain("x.org");
    expect(existsSync(join(space.home, "models"))).toBe(false);
  });

  it("installs the lock file's packages once, and updates beside the environment in use", async () => {
    const uv = watchUv();
    const first = await install(payload(lock));
    expect(first.stdout).toContain("marimo is installed");
    expect(environments()).toEqual([keyOf(lock)]);
    expect(await version()).toBe(`${marimoDefaults.marimoVersion}\n`);
    const python = join(space.state, "environments/current/bin/python");
    const list =
      "import importlib.metadata as m; print(sorted(d.name.lower() for d in m.distributions(path=__import__('sys').path[1:]) if 'sagemaker-marimo/environments' in str(d._path)))";
    const { stdout: names } = await space.run(python, ["-c", list]);
    for (const name of names.match(/[\w-]+/g) ?? []) {
      expect(lock).toMatch(new RegExp(`^${name.replaceAll("_", "-")}==`, "m"));
    }

    expect(space.read("compiled")).toMatch(/-m compileall -q .*\/environments\//);

    await install(payload(lock));
    expect(uv.calls("pip")).toBe(1);
    expect((await install(payload(update))).stdout).toContain("marimo is installed");
    expect(current()).toContain(keyOf(update));
    expect(environments()).toEqual([keyOf(lock), keyOf(update)].sort());
    await install(payload(update));
    expect(environments()).toEqual([keyOf(update)]);
  });

  it("rejects a package that does not match the lock file, and keeps the last good environment", async () => {
    await install(payload(lock));
    const good = current();
    const altered = lock.replace(
      /(^marimo==[^\n]*\n)((?: +--hash=[^\n]*\n)+)/m,
      (_, pin, hashes) => pin + hashes.replaceAll(/sha256:[0-9a-f]{4}/g, "sha256:0000"),
    );
    expect(altered).not.toBe(lock);
    const { status: exit, stdout } = await install(payload(altered));
    expect(exit).toBe(1);
    expect(stdout).toMatch(/hash mismatch/i);
    expect(status()).toBe("failed");
    expect((await install(payload(`marimo==${marimoDefaults.marimoVersion}\n`))).stdout).toMatch(/hash/);
    expect(current()).toBe(good);
    expect(environments()).toEqual([keyOf(lock)]);
    expect(await version()).toBe(`${marimoDefaults.marimoVersion}\n`);
  });

  it("that is killed keeps the last good environment, and the next installation starts again", async () => {
    await install(payload(lock));
    const uv = watchUv();
    uv.stick(true);
    const child = spawn("/bin/bash", [payload(update)], {
      env: environment(),
      detached: true,
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    await until("the build", () => (uv.calls("pip") > 0 ? true : undefined));
    expect(environments()).toContain(keyOf(update));
    expect(await version()).toBe(`${marimoDefaults.marimoVersion}\n`);
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await ended;
    expect(current()).toContain(keyOf(lock));
    expect(await version()).toBe(`${marimoDefaults.marimoVersion}\n`);
    uv.stick(false);
    const again = await install(payload(update));
    expect(again.stdout, again.stderr).toContain("marimo is installed");
    expect(current()).toContain(keyOf(update));
    expect(await version()).toBe(`${marimoDefaults.marimoVersion}\n`);
  });

  it("happens once if two apps start at the same time", async () => {
    const uv = watchUv();
    const script = payload(lock);
    const both = await Promise.all([install(script), install(script)]);
    expect(both.map((one) => one.status)).toEqual([0, 0]);
    // macOS has no flock.
    if (process.platform === "linux") expect(uv.calls("pip")).toBe(1);
    expect(status()).toBe("installed");
    expect(await version()).toBe(`${marimoDefaults.marimoVersion}\n`);
  });

  it("rebuilds an environment that no longer works", async () => {
    await install(payload(lock));
    rmSync(join(space.state, "environments", current(), "lib"), { recursive: true });
    expect((await install(payload(lock))).stdout).toContain("marimo is installed");
    expect(await version()).toBe(`${marimoDefaults.marimoVersion}\n`);
  });
});

// The packages are for the image's platform, Linux on x86-64.
describe.runIf(process.platform === "linux" && process.arch === "x64")("packages from other sources", () => {
  const wheels = mkdtempSync(join(tmpdir(), "sagemaker-marimo-wheels-"));
  beforeAll(async () => {
    expect(await makeWheelhouse(wheels, image.python)).toContain(`marimo/wheels/${keyOf(lock)}/`);
  });
  afterAll(() => rmSync(wheels, { recursive: true, force: true }));

  it("are installed from the bucket without a route to an index, if complete and unaltered", async () => {
    symlinkSync(join(image.prefix, "bin/aws"), join(space.prefix, "bin/aws"));
    rmSync(join(space.bin, "aws"));
    // Without permission for namespaces, use an index that does not answer.
    const namespaces = spawnSync("unshare", ["--map-root-user", "--net", "true"]).status === 0;
    const [command = "", ...args] = [
      ...(namespaces ? ["unshare", "--map-root-user", "--net"] : []),
      ...["/bin/bash", join(projectFolder, "__tests__/support/install-without-route.sh"), aws.python],
      ...[join(projectFolder, "src/local-studio/aws/server.py"), payload(lock), wheels, keyOf(lock)],
    ];
    const result = await space.run(command, args, {
      ...environment(),
      UV_CACHE_DIR: join(space.folder, "uv-cache"),
      UV_HTTP_RETRIES: "0",
      MARIMO_BUCKET: "marimo-offline",
      MARIMO_REGION: "us-east-1",
      AWS_DEFAULT_REGION: "us-east-1",
      no_proxy: "127.0.0.1",
      ...(namespaces ? {} : { UV_DEFAULT_INDEX: "http://127.0.0.1:9/simple" }),
    });
    expect(result.stdout.trim().split("\n"), result.stderr).toEqual([
      "nothing: 1 failed",
      "altered: hash mismatch",
      "altered: 1 failed",
      "whole: 0 installed",
    ]);
    expect(existsSync(join(space.state, "wheels"))).toBe(false);
    expect(await version()).toBe(`${marimoDefaults.marimoVersion}\n`);
  });

  /** A local package index that records requests. With a password, it requires it from the user `aws`. */
  async function startIndex(password?: string) {
    const asked: string[] = [];
    const files = readdirSync(wheels);
    const normalized = (file: string) => (file.split("-")[0] ?? "").toLowerCase().replaceAll(/[-_.]+/g, "-");
    const server = createServer((request, response) => {
      const path = request.url ?? "";
      const authorization = `Basic ${Buffer.from(`aws:${password}`).toString("base64")}`;
      if (password !== undefined && request.headers.authorization !== authorization) {
        response.writeHead(401, { "WWW-Authenticate": "Basic" });
        return response.end();
      }
      asked.push(path);
      const file = files.find((name) => path === `/files/${name}`);
      if (file) return response.end(readFileSync(join(wheels, file)));
      const links = files.filter((name) => path === `/simple/${normalized(name)}/`);
      response.setHeader("Content-Type", "text/html");
      response.end(links.map((name) => `<a href="/files/${name}">${name}</a>`).join(""));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`;
    return { asked, files, url, close: () => server.close() };
  }
  /** An empty cache, so that packages are downloaded. */
  const fresh = () => ({ UV_CACHE_DIR: join(space.folder, "uv-cache"), no_proxy: "127.0.0.1" });

  it("are installed from the private index of the settings", async () => {
    const index = await startIndex();
    try {
      const { stdout } = await install(payload(lock, `MARIMO_PACKAGE_INDEX_URL=${index.url}\n`), fresh());
      expect(stdout).toContain("marimo is installed");
      // A set, because uv requests a package's metadata separately.
      const downloads = new Set(index.asked.filter((path) => path.startsWith("/files/")));
      expect(downloads.size).toBe(index.files.length);
    } finally {
      index.close();
    }
  });

  describe("with credentials", () => {
    const token = `eyJ2ZXIiOjF9.${"c0de".repeat(20)}.tail-_`;
    const settings = (url: string) =>
      `MARIMO_PACKAGE_INDEX_URL=${url}\nMARIMO_CODEARTIFACT_DOMAIN=team\n` +
      "MARIMO_CODEARTIFACT_OWNER=210987654321\nMARIMO_CODEARTIFACT_REGION=eu-west-1\n";
    /** A fake AWS CLI that runs `answer` if it is called with the expected arguments. */
    function aws(answer: string): void {
      const asked =
        "codeartifact get-authorization-token --domain team --domain-owner 210987654321 --region eu-west-1";
      space.write(join(space.bin, "aws"), `#!/bin/bash\n[[ "$*" == "${asked} "* ]] || exit 1\n${answer}\n`);
      chmodSync(join(space.bin, "aws"), 0o755);
    }
    /** Samples all command lines of this machine while some work runs. */
    async function commandLinesDuring<Result>(work: Promise<Result>): Promise<[Result, string]> {
      let seen = "";
      let ended = false;
      const watch = (async () => {
        while (!ended) {
          seen += (await capture("ps", ["-eo", "args", "-ww"]))?.stdout;
          // Without a pause, this loop would use a whole core.
          await sleep(100);
        }
      })();
      const result = await work.finally(() => {
        ended = true;
      });
      await watch;
      return [result, seen];
    }
    const logs = () =>
      readdirSync(join(space.state, "log")).map((name) =>
        readFileSync(join(space.state, "log", name), "utf8"),
      );

    it.each(["uv", "pip"])(
      "are installed by %s with CodeArtifact's token, which appears in no log and no command line",
      async (tool) => {
        if (tool === "pip") rmSync(join(space.prefix, "bin/uv"));
        aws(`echo '${token}'`);
        const index = await startIndex(token);
        try {
          space.write(join(space.home, "requirements.txt"), `${lock.match(/^markdown==\S+/m)?.[0]}\n`);
          const script = payload(lock, settings(index.url));
          const [result, commandLines] = await commandLinesDuring(
            install(script, { ...fresh(), PIP_NO_CACHE_DIR: "1" }),
          );
          expect(result.stdout, result.stderr).toContain("marimo is installed");
          expect(result.stdout).toContain("requirements.txt is installed");
          expect(index.asked.length).toBeGreaterThan(index.files.length);
          expect(await version()).toBe(`${marimoDefaults.marimoVersion}\n`);
          expect(commandLines).toContain(tool === "uv" ? "pip install --python" : "-m pip install");
          for (const text of [result.stdout, result.stderr, commandLines, ...logs()]) {
            expect(text).not.toContain(token);
          }
          const kept = await space.run("grep", ["-rlF", token, space.home]);
          expect(kept.stdout).toBe("");
        } finally {
          index.close();
        }
      },
    );

    it("are not installed with a wrong token or without one, and the log says why", async () => {
      const index = await startIndex(token);
      try {
        aws("echo another-token");
        const refused = await install(payload(lock, settings(index.url)), fresh());
        expect(refused.status).toBe(1);
        expect(refused.stdout).toMatch(/401|403|credentials/i);
        expect(refused.stdout).not.toContain("another-token");
        aws("echo 'An error occurred (AccessDeniedException)' >&2; exit 254");
        const none = await install(payload(lock, settings(index.url)), fresh());
        expect(none.stdout).toContain("(AccessDeniedException)");
        expect(none.stdout).toContain("no token for the packages of CodeArtifact's domain team");
        expect(none.stdout).toMatch(/401/);
        expect(index.asked).toEqual([]);
      } finally {
        index.close();
      }
    });

    it("from ~/.netrc are used with any other index", async () => {
      const index = await startIndex("of my own");
      try {
        space.write(join(space.home, ".netrc"), 'machine 127.0.0.1 login aws password "of my own"\n');
        chmodSync(join(space.home, ".netrc"), 0o600);
        const { stdout } = await install(payload(lock, `MARIMO_PACKAGE_INDEX_URL=${index.url}\n`), fresh());
        expect(stdout).toContain("marimo is installed");
      } finally {
        index.close();
      }
    });
  });
});
