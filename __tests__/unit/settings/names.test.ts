import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";
import { bucketPrefixes, payloadPointer } from "../../../src/settings/names.ts";

/** Text of the files below these folders, by path. */
const sources = (folders: readonly string[], suffix: RegExp): readonly (readonly [string, string])[] =>
  folders.flatMap((folder) =>
    readdirSync(join(projectFolder, folder), { recursive: true, encoding: "utf8" })
      .map((path) => join(folder, path))
      .filter((path) => suffix.test(path))
      .map((path) => [path, readFileSync(join(projectFolder, path), "utf8")] as const),
  );

describe("the prefixes of objects in the bucket", () => {
  it("are in names.json only, for TypeScript and Python", () => {
    const prefix = new RegExp(
      `["'\`}/](${Object.values(bucketPrefixes)
        .filter((one) => one.includes("/"))
        .join("|")})["'\`/]`,
    );
    expect(prefix.test('"marimo/jobs/x"') && prefix.test("}/marimo/payload`")).toBe(true);
    const files = sources(["src", "scripts"], /\.(ts|py)$/);
    expect(files.length).toBeGreaterThan(200);
    expect(files.filter(([, text]) => prefix.test(text)).map(([path]) => path)).toEqual([]);
  });

  it("are the ones in shell scripts, which run before the payload is there or read no JSON", () => {
    const found = sources(["src/space"], /\.sh$/).flatMap(([path, text]) =>
      [...text.matchAll(/s3:\/\/\$\w+\/([^"' :]+)/g)].map(([, key]) => `${path}: ${key}`),
    );
    expect([...new Set(found)].sort()).toEqual([
      `src/space/on-start.sh: ${bucketPrefixes.payload}/$hash/`,
      `src/space/on-start.sh: ${payloadPointer}`,
      `src/space/payload/environment.sh: ${bucketPrefixes.wheels}/$requirements_hash/`,
    ]);
  });
});
