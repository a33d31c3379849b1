import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  bucket,
  objectsOf,
  type Payload,
  payloadFolder,
  Space,
  smallPayload,
  startScript,
} from "../support/space-fixture.ts";

let space: Space;
beforeEach(() => {
  space = new Space();
});
afterEach(() => space.dispose());

const started = () => (existsSync(join(space.home, "started")) ? space.read("home/started") : "");
const current = () => readlinkSync(join(space.state, "payload/current"));

describe("the lifecycle script", () => {
  it("fetches the payload that the bucket points to and runs its start.sh with the environment's settings", async () => {
    const folder = space.upload(smallPayload());
    const { status, stdout } = await space.runLifecycleScript();
    expect(status, stdout).toBe(0);
    expect(started()).toBe(`started ${bucket} dev us-east-1\n`);
    expect(folder.endsWith(current())).toBe(true);
    expect(readFileSync(join(space.state, "payload/current/python/package/module.py"), "utf8")).toContain(
      "value = 1",
    );
  });

  it("reads only the pointer if the payload is in place", async () => {
    space.upload(smallPayload());
    await space.runLifecycleScript();
    expect(space.awsCalls()).toHaveLength(2);
    await space.runLifecycleScript();
    expect(space.awsCalls()).toHaveLength(3);
    expect(started().trim().split("\n")).toHaveLength(2);
  });

  it("switches to a new payload", async () => {
    space.upload(smallPayload("one"));
    await space.runLifecycleScript();
    const first = current();
    space.upload(smallPayload("two"));
    await space.runLifecycleScript();
    expect(current()).not.toBe(first);
    expect(started()).toMatch(/^one .*\ntwo .*\n$/);
  });

  it("downloads a payload again if it was changed in the home folder", async () => {
    space.upload(smallPayload());
    await space.runLifecycleScript();
    const file = join(space.state, "payload/current/python/package/module.py");
    space.write(file, "value = 2\n");
    await space.runLifecycleScript();
    expect(readFileSync(file, "utf8")).toBe("value = 1\n");
  });

  it("uses the last good payload while the bucket is unreachable, and logs it", async () => {
    space.upload(smallPayload());
    await space.runLifecycleScript();
    space.refuseAws("Could not connect to the endpoint URL");
    const { status, stdout } = await space.runLifecycleScript();
    expect(status).toBe(0);
    expect(stdout).toContain("Could not connect to the endpoint URL");
    expect(stdout).toContain(`using the last good payload, ${current()}`);
    expect(started().trim().split("\n")).toHaveLength(2);
    expect(readFileSync(join(space.state, "log/space.log"), "utf8")).toContain("using the last good payload");
  });

  it.each([
    {
      what: "an altered file",
      damage: (folder: string) => space.write(join(folder, "start.sh"), "touch ~/evil\n"),
    },
    {
      what: "a truncated file",
      damage: (folder: string) => {
        const file = join(folder, "python/package/module.py");
        space.write(file, readFileSync(file).subarray(0, 3));
      },
    },
    { what: "a missing file", damage: (folder: string) => rmSync(join(folder, "start.sh")) },
    { what: "an altered list", damage: (folder: string) => space.write(join(folder, "SHA256SUMS"), "") },
  ])("does not use a payload with $what", async ({ damage }) => {
    space.upload(smallPayload("good"));
    await space.runLifecycleScript();
    const good = current();
    damage(space.upload(smallPayload("bad")));
    const { status, stdout } = await space.runLifecycleScript();
    expect(status).toBe(0);
    expect(stdout).toContain("incomplete or altered: not used");
    expect(current()).toBe(good);
    expect(started()).toMatch(/^good .*\ngood .*\n$/);
    expect(existsSync(join(space.home, "evil"))).toBe(false);
  });

  it("uses the last good payload while the pointer or its payload is missing", async () => {
    const folder = space.upload(smallPayload("good"));
    await space.runLifecycleScript();
    const good = current();
    rmSync(space.upload(smallPayload("gone")), { recursive: true });
    const gone = await space.runLifecycleScript();
    expect(gone.stdout).toContain("cannot fetch payload");
    expect(gone.stdout).toContain(`using the last good payload, ${good}`);
    rmSync(join(folder, "../current"));
    const pointerless = await space.runLifecycleScript();
    expect(pointerless.stdout).toContain("cannot read s3://");
    expect(pointerless.stdout).toContain(`using the last good payload, ${good}`);
    expect(current()).toBe(good);
    expect(started()).toMatch(/^(good .*\n){3}$/);
  });

  it("does not wait for a slow bucket if a payload is in place: an update is used from the next start", async () => {
    space.upload(smallPayload("one"));
    await space.runLifecycleScript();
    const [first, answer] = [current(), join(space.folder, "answer")];
    space.upload(smallPayload("two"));
    const aws = join(space.bin, "aws");
    space.write(`${aws}-now`, readFileSync(aws));
    chmodSync(`${aws}-now`, 0o755);
    space.write(aws, `#!/bin/bash\nuntil [[ -f '${answer}' ]]; do sleep 0.1; done\nexec '${aws}-now' "$@"\n`);
    const { MARIMO_PATIENCE_TENTHS: _, ...patient } = space.environment;

    const { status, stdout } = await space.runLifecycleScript(patient);
    expect(status).toBe(0);
    expect(stdout).toContain(`the bucket has not answered yet: starting with payload ${first}`);
    expect(started()).toMatch(/^one .*\none .*\n$/);

    space.write(answer, "");
    await expect.poll(() => readlinkSync(join(space.state, "payload/next"))).not.toBe(first);
    // The running app keeps the payload that it started with.
    expect(current()).toBe(first);
    expect(space.read("home/.local/share/sagemaker-marimo/log/space.log")).toMatch(/payload \w+ fetched/);
    space.refuseAws("Could not connect");
    await space.runLifecycleScript();
    expect(started()).toMatch(/^one .*\none .*\ntwo .*\n$/);
  });

  it("waits for a newer payload once the bucket has named it", async () => {
    space.upload(smallPayload("one"));
    await space.runLifecycleScript();
    space.upload(smallPayload("two"));
    const aws = join(space.bin, "aws");
    space.write(
      aws,
      readFileSync(aws, "utf8").replace('if [[ "$*" == *--rec', '[[ "$*" == *--recursive* ]] && sleep 5\n$&'),
    );
    await space.runLifecycleScript({ ...space.environment, MARIMO_PATIENCE_TENTHS: "35" });
    expect(started()).toMatch(/^one .*\ntwo .*\n$/);
  });

  it("does not use a payload that is damaged in the home folder while the bucket is unreachable", async () => {
    space.upload(smallPayload());
    await space.runLifecycleScript();
    space.write(join(space.state, "payload/current/python/package/module.py"), "");
    space.refuseAws("Could not connect");
    const { status, stdout } = await space.runLifecycleScript();
    expect(status).toBe(0);
    expect(stdout).toContain("no good payload in this space");
    expect(started().trim().split("\n")).toHaveLength(1);
  });

  it.each(["", "../../etc", `${"a".repeat(64)}  ../../../../tmp`, "<html>"])(
    "rejects the pointer %j",
    async (pointer) => {
      space.write(join(space.aws, bucket, "marimo/payload/current"), pointer);
      const { status, stdout } = await space.runLifecycleScript();
      expect(status).toBe(0);
      expect(stdout).toContain("is not '<sha256>  <hash>'");
      expect(stdout).toContain("no good payload in this space");
    },
  );

  it("exits with 0 if start.sh fails, and does not change Jupyter's configuration", async () => {
    const config = join(space.prefix, "etc/jupyter/jupyter_server_config.py");
    space.write(config, "c.ServerApp.answer = 42\n");
    space.upload({ "start.sh": "exit 7\n" });
    const { status, stdout } = await space.runLifecycleScript();
    expect(status).toBe(0);
    expect(stdout).toContain("start.sh ended with status 7");
    expect(readFileSync(config, "utf8")).toBe("c.ServerApp.answer = 42\n");
  });

  it("exits with 0 without the AWS CLI", async () => {
    const tools = join(space.folder, "tools");
    mkdirSync(tools);
    for (const tool of [
      "bash",
      "cat",
      "date",
      "mkdir",
      "readlink",
      "sleep",
      "sha256sum",
      "shasum",
      "timeout",
      "mktemp",
    ]) {
      for (const folder of (process.env.PATH ?? "").split(delimiter)) {
        const file = join(folder, tool);
        if (existsSync(file) && !existsSync(join(tools, tool))) symlinkSync(file, join(tools, tool));
      }
    }
    const { status, stdout } = await space.runLifecycleScript({ ...space.environment, PATH: tools });
    expect(status).toBe(0);
    expect(stdout).toContain("cannot read s3://");
    expect(stdout).toContain("no good payload in this space");
  });

  it("exits with 0 if nothing can be written, and without any settings", async () => {
    const unwritable = await space.runLifecycleScript({ ...space.environment, HOME: "/dev/null" });
    expect(unwritable.status).toBe(0);
    expect(unwritable.stdout).toContain("cannot write to /dev/null");
    const bare = await space.run("/bin/bash", ["-c", startScript], {
      PATH: space.environment.PATH as string,
      HOME: space.home,
      CONDA_PREFIX: space.prefix,
      MARIMO_RETRY_SECONDS: "",
    });
    expect(bare.status).toBe(0);
    expect(bare.stdout).toContain("no bucket is configured");
  });

  it("is below the size limit of a lifecycle configuration", () => {
    // 16384 base64 characters: SageMaker API, CreateStudioLifecycleConfig.
    expect(Buffer.from(space.lifecycleScript()).toString("base64").length).toBeLessThan(15_500);
  });
});

describe("start.sh", () => {
  const config = () => space.read("prefix/etc/jupyter/jupyter_server_config.py");
  const run = () => space.run("/bin/bash", [join(payload, "start.sh")]);
  let payload: string;
  beforeEach(() => {
    payload = join(space.folder, "payload");
    mkdirSync(payload);
    put(payload);
    const python = join(space.prefix, "bin/python");
    space.write(python, '#!/bin/bash\nexec python3 "$@"\n');
    chmodSync(python, 0o755);
  });

  /** A payload as on-start.sh downloads it, whose installation waits for the file `go`. */
  function put(folder: string, more: Payload = {}): void {
    const objects = objectsOf({
      ...Object.fromEntries(
        ["start.sh", "unpack.py", "image.sh", "bin/marimo.sh"].map((name) => [
          name,
          readFileSync(join(payloadFolder, name)),
        ]),
      ),
      "install.sh":
        'until [[ -f "$HOME/go" || ! -d "$HOME" ]]; do sleep 0.1; done\necho "$app_log" >"$HOME/installed"\n',
    });
    for (const [name, content] of Object.entries({ ...objects, ...more })) {
      space.write(join(folder, name), content);
    }
  }

  it("unpacks the payload, and what was changed or deleted in it again", async () => {
    const [command, script] = ["bin/marimo.sh", "install.sh"].map((name) => join(payload, name));
    const original = readFileSync(join(payloadFolder, "bin/marimo.sh"), "utf8");
    await run();
    expect(readFileSync(command ?? "", "utf8")).toBe(original);
    const before = statSync(script ?? "");
    space.write(command ?? "", "altered");
    expect((await run()).status).toBe(0);
    expect(readFileSync(command ?? "", "utf8")).toBe(original);
    rmSync(command ?? "");
    expect((await run()).status).toBe(0);
    expect(readFileSync(command ?? "", "utf8")).toBe(original);
    // A file that is as it should be is not written again: a full home volume would have no room for it.
    expect(statSync(script ?? "").ino).toBe(before.ino);
  });

  it("uses another payload if this one cannot be unpacked, and fails if there is none", async () => {
    const [good, bad] = ["good", "bad"].map((name) => join(space.state, "payload", name)) as [string, string];
    put(bad, { "files.tar": "not an archive" });
    symlinkSync("bad", join(space.state, "payload/current"));
    const start = () => space.run("/bin/bash", [join(bad, "start.sh")]);
    expect((await start()).status).toBe(1);
    expect(existsSync(join(space.prefix, "etc"))).toBe(false);
    put(good);
    const { status, stdout } = await start();
    expect(status, stdout).toBe(0);
    expect(stdout).toContain("payload bad cannot be unpacked");
    expect(config()).toContain(`${good}/python`);
    expect(readlinkSync(join(space.state, "payload/current"))).toBe("good");
  });

  it("adds one block to the existing configuration, even if it runs twice", async () => {
    space.write(join(space.prefix, "etc/jupyter/jupyter_server_config.py"), "c.ServerApp.answer = 42\n");
    for (let times = 0; times < 2; times++) {
      const { status, stderr } = await run();
      expect(status, stderr).toBe(0);
    }
    expect(config()).toMatch(/^c\.ServerApp\.answer = 42\n/);
    expect(config().split("_configure(get_config())")).toHaveLength(2);
    expect(config()).toContain(`${payload}/python`);
  });

  it("does not wait for the installation, which outlives it and does not keep its output open", async () => {
    await run();
    expect(existsSync(join(space.home, "installed"))).toBe(false);
    space.write(join(space.home, "go"), "");
    await expect.poll(() => existsSync(join(space.home, "installed"))).toBe(true);
    expect(space.read("home/installed").trim()).toBe(space.log);
  });

  it("does not change Jupyter's configuration in Code Editor, which has no JupyterLab", async () => {
    const environment = { ...space.environment, MARIMO_APP_TYPE: "CodeEditor" };
    const { status } = await space.run("/bin/bash", [join(payload, "start.sh")], environment);
    expect(status).toBe(0);
    expect(existsSync(join(space.prefix, "etc"))).toBe(false);
    expect(readFileSync(join(space.state, "space.env"), "utf8")).toContain("MARIMO_APP_TYPE=CodeEditor\n");
    space.write(join(space.home, "go"), "");
    await expect.poll(() => existsSync(join(space.home, "installed"))).toBe(true);
  });

  it("names the Athena workgroup of the space's role, if there is one", async () => {
    const workgroup = async (users: string, role: string) => {
      space.write(join(payload, "settings.env"), `MARIMO_ATHENA_USERS=${users}\n`);
      const metadata = { ExecutionRoleArn: `arn:aws:iam::123456789012:role/${role}` };
      space.write(space.environment.SAGEMAKER_RESOURCE_METADATA as string, JSON.stringify(metadata));
      await space.run("/bin/bash", [join(payload, "start.sh")], {
        ...space.environment,
        MARIMO_ENVIRONMENT: "dev",
      });
      const env = readFileSync(join(space.state, "space.env"), "utf8");
      const found = /^MARIMO_ATHENA_WORKGROUP=(.*)$/m.exec(env)?.[1];
      expect(/^AWS_ATHENA_WORK_GROUP=(.*)$/m.exec(env)?.[1]).toBe(found);
      return found;
    };
    expect(await workgroup("*", "marimo-dev-user-ana")).toBe("marimo-dev-user-ana");
    expect(await workgroup("bo ana", "marimo-dev-user-ana")).toBe("marimo-dev-user-ana");
    expect(await workgroup("*", "marimo-dev-execution")).toBe("marimo-dev-shared");
    expect(await workgroup("bo ana", "marimo-dev-execution")).toBeUndefined();
    expect(await workgroup("bo anatole", "marimo-dev-user-ana")).toBeUndefined();
    expect(await workgroup("", "marimo-dev-user-ana")).toBeUndefined();
  });

  it("passes on only settings that are valid names", async () => {
    const environment = {
      ...space.environment,
      MARIMO_BUCKET: "a-bucket",
      MARIMO_REGION: "x\nPYTHONPATH=/evil",
    };
    await space.run("/bin/bash", [join(payload, "start.sh")], environment);
    expect(readFileSync(join(space.state, "space.env"), "utf8")).toBe(
      `MARIMO_BUCKET=a-bucket\nMARIMO_PREFIX=s3://a-bucket/shared\nMARIMO_ENVIRONMENT=\nMARIMO_APP_TYPE=JupyterLab\nMARIMO_PYTHON=${space.prefix}/bin/python\n`,
    );
  });
});
