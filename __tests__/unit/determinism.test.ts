import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/lib/project-copy.ts";

const run = promisify(execFile);

/** Every file below a folder with its bytes, by relative path. */
function tree(folder: string): Record<string, string> {
  const files = readdirSync(folder, {
    recursive: true,
    withFileTypes: true,
  }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files
      .map((file) => join(file.parentPath, file.name))
      .sort()
      .map((path) => [path.slice(folder.length + 1), readFileSync(path).toString("base64")]),
  );
}

describe("the synthesized output", () => {
  const copies = [
    copyProject(),
    copyProject(),
    copyProject('[{ name: "dev", idleTimeoutMinutes: 61 }]'),
  ] as const;
  let outputs: Record<string, string>[];

  beforeAll(async () => {
    const machines = [
      { TZ: "UTC", LANG: "C", HOME: homedir(), USER: "ana" },
      {
        TZ: "Pacific/Chatham",
        LANG: "tr_TR.UTF-8",
        HOME: "/nowhere",
        USER: "bo",
      },
      {},
    ];
    outputs = await Promise.all(
      copies.map(async ({ folder }, i) => {
        const env = { PATH: process.env.PATH, ...machines[i] };
        await run(process.execPath, ["--import", "tsx", "main.ts"], {
          cwd: folder,
          env,
        });
        return tree(join(folder, "cdktf.out"));
      }),
    );
  }, 60_000);
  afterAll(() => {
    for (const copy of copies) copy.remove();
  });

  it("has the same bytes in another folder, time zone, language and home", () => {
    expect(Object.keys(outputs[0] as object)).toContain("stacks/dev/cdk.tf.json");
    expect(outputs[1]).toEqual(outputs[0]);
  });

  it("changes with the settings, so that the comparison can fail", () => {
    expect(outputs[2]).not.toEqual(outputs[0]);
  });

  it("names no folder of the machine that made it", () => {
    for (const [file, content] of Object.entries(outputs[0] as Record<string, string>)) {
      const text = Buffer.from(content, "base64").toString();
      expect(text, file).not.toContain(copies[0].folder);
      expect(text, file).not.toContain(homedir() === "/" ? copies[0].folder : `${homedir()}/`);
    }
  });
});
