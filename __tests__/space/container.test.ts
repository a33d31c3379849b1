import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { Space, until } from "../support/space-fixture.ts";

let python: string;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
});

let space: Space;
beforeEach(() => {
  space = new Space();
});
afterEach(() => space.dispose());

const script = (name: string, text: string) => ({ name, content: Buffer.from(text).toString("base64") });
const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("the container", () => {
  it("runs the lifecycle configurations in order, then JupyterLab, in its own prefix", async () => {
    const container = await space.start(python, {
      lifecycleConfigs: [
        script("one", 'pwd; echo "$CONDA_PREFIX"; which python jupyter; echo 1 >"$HOME/one"'),
        script("two", 'cat "$HOME/one"; echo spoken >&2; echo extra >>"$CONDA_PREFIX/etc/jupyter/x"'),
      ],
    });
    expect(container.events.map(({ event, name, exitCode }) => [event, name, exitCode])).toEqual([
      ["lifecycle", "one", 0],
      ["lifecycle", "two", 0],
      ["ready", undefined, undefined],
    ]);
    const [first, second] = container.events;
    const image = join(python, "..");
    expect(first?.outputTail?.split("\n").slice(0, 4)).toEqual([
      space.home,
      space.prefix,
      join(space.prefix, "bin/python"),
      join(image, "jupyter"),
    ]);
    expect(second?.outputTail).toBe("1\nspoken\n");
    expect(space.read("app_container.log")).toContain("spoken");
    const status = await fetch(`${container.url}/api/status`);
    expect(status.status).toBe(200);
    expect((await fetch(`${container.url}/lab`)).headers.get("content-encoding")).toBe("gzip");
    expect(await container.stop()).toBe(0);
    await expect(fetch(`${container.url}/api/status`)).rejects.toThrow();
  });

  it.each([
    {
      how: "exits with a status other than 0",
      text: "echo broken; exit 3",
      exitCode: 3,
      says: "status 3: broken",
    },
    { how: "takes too long", text: "echo $$ >$HOME/pid; sleep 60", exitCode: null, says: "within 1 seconds" },
  ])("fails the app when a lifecycle configuration $how", async ({ text, exitCode, says }) => {
    const container = await space.start(python, {
      lifecycleConfigs: [script("bad", text)],
      lifecycleTimeoutSeconds: 1,
    });
    const [lifecycle, failed, ...rest] = container.events;
    expect(lifecycle?.exitCode).toBe(exitCode);
    expect(failed?.event).toBe("failed");
    expect(failed?.reason).toContain(says);
    expect(rest).toEqual([]);
    expect(await container.exited).toBe(1);
    if (existsSync(join(space.home, "pid"))) expect(alive(Number(space.read("home/pid")))).toBe(false);
  });

  it.skipIf(process.platform !== "linux").each(["standard input", "SIGTERM"])(
    "stops all processes of the app, even detached ones and those that ignore SIGTERM, at the end by %s",
    async (by) => {
      const stubborn = `trap "" TERM; echo $$ >$HOME/stubborn; while :; do sleep 0.2; done`;
      const container = await space.start(python, {
        lifecycleConfigs: [
          script(
            "detached",
            `setsid nohup bash -c 'echo $$ >$HOME/detached; sleep 300' & setsid nohup bash -c '${stubborn}' &`,
          ),
        ],
      });
      const pids = await until("the detached processes", () =>
        ["detached", "stubborn"].every((name) => existsSync(join(space.home, name)))
          ? ["detached", "stubborn"].map((name) => Number(space.read("home", name)))
          : undefined,
      );
      expect(pids.map(alive)).toEqual([true, true]);
      if (by === "SIGTERM") process.kill(container.pid, "SIGTERM");
      expect(await (by === "SIGTERM" ? container.exited : container.stop())).toBe(0);
      expect(pids.map(alive)).toEqual([false, false]);
    },
  );

  it("reports that JupyterLab has ended on its own", async () => {
    const container = await space.start(python, { lifecycleConfigs: [] });
    // jupyter_server's shutdown endpoint ends it.
    const page = await fetch(`${container.url}/lab`);
    const cookies = page.headers.getSetCookie().map((cookie) => cookie.split(";")[0] ?? "");
    const xsrf = cookies.find((cookie) => cookie.startsWith("_xsrf="))?.slice(6) ?? "";
    const answer = await fetch(`${container.url}/api/shutdown`, {
      method: "POST",
      headers: { Cookie: cookies.join("; "), "X-XSRFToken": xsrf },
    });
    expect(answer.ok, `${answer.status}`).toBe(true);
    expect(await container.exited).toBe(1);
    expect(container.events.at(-1)).toEqual({ event: "exited", exitCode: 0 });
  });
});
