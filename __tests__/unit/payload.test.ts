import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { readPayload } from "../../src/constructs/payload.ts";
import { expression, keyArn, resource, synthesize } from "./synthesize.ts";

const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");

function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-unit-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

describe("a payload", () => {
  it("lists each file with its checksum, in the same order everywhere", () => {
    const payload = readPayload({
      folder: folderOf({ "start.sh": "a", "python/b.py": "b", "Z.txt": "z" }),
      samplesFolder: folderOf({ "01_first.py": "s" }),
      requirements: ["marimo==0.25.2", "polars==1.30.0"],
    });
    expect(payload.requirements).toBe("marimo==0.25.2\npolars==1.30.0\n");
    expect(payload.checksums).toBe(
      [
        `${sha256("z")}  Z.txt\n`,
        `${sha256("b")}  python/b.py\n`,
        `${sha256(payload.requirements)}  requirements.txt\n`,
        `${sha256("s")}  sample-notebooks/01_first.py\n`,
        `${sha256("a")}  start.sh\n`,
      ].join(""),
    );
    expect(payload.pointer).toBe(`${sha256(payload.checksums)}  ${payload.hash}\n`);
    expect(payload.hash).toBe(sha256(payload.checksums).slice(0, 16));
  });

  it("leaves out what runs and editors leave behind", () => {
    const folder = folderOf({
      "start.sh": "a",
      "__pycache__/x.pyc": "",
      "python/y.pyc": "",
      "__marimo__/session/s.json": "",
      ".DS_Store": "",
      ".ruff_cache/0": "",
    });
    expect(readPayload({ folder, requirements: [] }).files.map(({ path }) => path)).toEqual(["start.sh"]);
  });

  it("has another hash with any change", () => {
    const hash = (files: Record<string, string>, requirements = ["marimo==0.25.2"]) =>
      readPayload({ folder: folderOf(files), requirements }).hash;
    const first = hash({ "start.sh": "a" });
    expect(hash({ "start.sh": "a" })).toBe(first);
    expect(hash({ "start.sh": "b" })).not.toBe(first);
    expect(hash({ "stop.sh": "a" })).not.toBe(first);
    expect(hash({ "start.sh": "a" }, ["marimo==0.25.1"])).not.toBe(first);
  });

  it.each(["requirements.txt", "SHA256SUMS"])("refuses a %s of its own beside the generated one", (path) => {
    const folder = folderOf({ [path]: "mine" });
    expect(() => readPayload({ folder, requirements: [] })).toThrow(`two files "${path}"`);
  });
});

describe("the upload", () => {
  const project = fileURLToPath(new URL("../..", import.meta.url));

  it("is an object for each file, whose checksum the space can verify", () => {
    const stack = synthesize();
    const { hash } = readPayload({
      folder: join(project, "src/space/payload"),
      samplesFolder: join(project, "sample-notebooks"),
      requirements: ["marimo==0.25.2"],
    });
    expect(resource(stack, "aws_s3_object", "payload_file")).toMatchObject({
      for_each: expression("local.payload_files"),
      key: `marimo/payload/${hash}/\${each.key}`,
      source: `${expression("path.module")}/${expression("each.value.source")}`,
      source_hash: expression("each.value.sha256"),
    });
    const files = stack.locals.payload_files as Record<string, { source: string; sha256: string }>;
    expect(Object.keys(files)).toContain("start.sh");
    for (const [path, { source, sha256: expected }] of Object.entries(files)) {
      expect(sha256(readFileSync(join(stack.folder, source))), path).toBe(expected);
    }
    expect(
      readdirSync(join(stack.folder, "assets")).filter((name) => name.startsWith("payload_")),
    ).toHaveLength(Object.keys(files).length);
  });

  it("moves the pointer when the rest is there, and takes the old away after", () => {
    const stack = synthesize();
    expect(resource(stack, "aws_s3_object", "payload_current")).toMatchObject({
      key: "marimo/payload/current",
      depends_on: ["aws_s3_object.payload_file", "aws_s3_object.payload_generated"],
    });
    for (const name of ["payload_file", "payload_generated"]) {
      expect(resource(stack, "aws_s3_object", name).lifecycle).toEqual({ create_before_destroy: true });
    }
  });

  it("encrypts with the key, and keeps a team's tags off the objects, which take ten at most", () => {
    const stack = synthesize({ tags: { Team: "a" } });
    for (const name of ["payload_file", "payload_generated", "payload_current"]) {
      expect(resource(stack, "aws_s3_object", name), name).toMatchObject({
        server_side_encryption: "aws:kms",
        kms_key_id: keyArn,
        override_provider: { default_tags: { tags: {} } },
      });
    }
  });

  it("leaves the samples out where the setting says so", () => {
    const samples = (sampleNotebooks: boolean) =>
      Object.keys(synthesize({ sampleNotebooks }).locals.payload_files as object).filter((path) =>
        path.startsWith("sample-notebooks/"),
      );
    expect(samples(true)).toContain("sample-notebooks/01_explore_data.py");
    expect(samples(false)).toEqual([]);
  });
});
