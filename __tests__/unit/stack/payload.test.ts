import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Parser } from "tar";
import { describe, expect, it, onTestFinished } from "vitest";
import { resolveEnvironment } from "../../../src/settings/environment.ts";
import { lockFileOf } from "../../../src/settings/locks.ts";
import { readPayload } from "../../../src/stack/storage/payload-content.ts";
import { expression, keyArn, resource, synthesize } from "../../support/synthesize.ts";

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

/** The text of each file in an archive. */
function unpacked(archive: string | Uint8Array): Record<string, string> {
  const files: Record<string, string> = {};
  const parser = new Parser({
    sync: true,
    onReadEntry: (entry) => {
      const chunks: Uint8Array[] = [];
      entry.on("data", (chunk) => chunks.push(chunk));
      entry.on("end", () => {
        files[entry.path] = Buffer.concat(chunks).toString();
      });
    },
  });
  parser.end(Buffer.from(archive));
  return files;
}

const lockFile = (text = "") => join(folderOf({ "a.lock": text }), "a.lock");

describe("a payload", () => {
  it("packs all but what runs first, with the checksum of each object, the same everywhere", () => {
    const payload = readPayload({
      folder: folderOf({ "start.sh": "a", "job/run.sh": "r", "python/b.py": "b", "Z.txt": "zß" }),
      samplesFolder: folderOf({ "01_first.py": "s" }),
      requirements: lockFile("marimo==1.0.0\n"),
      settings: { MARIMO_TRANSPORT: "auto", MARIMO_OTHER: "a b=c" },
    });
    expect(payload.generated).toEqual({
      "settings.env": "MARIMO_TRANSPORT=auto\nMARIMO_OTHER=a b=c\n",
    });
    const archive = payload.files.find(({ path }) => path === "files.tar")?.content ?? "";
    expect(unpacked(archive)).toEqual({
      "Z.txt": "zß",
      "python/b.py": "b",
      "sample-notebooks/01_first.py": "s",
    });
    // Of bytes that no clock, user, folder or version of Node.js changes.
    expect(sha256(archive)).toBe("a010de09b1e98b470d81b8eb18b780c530427ab58397ff8899bc8cb5c8245904");
    expect(payload.checksums.text).toBe(
      [
        `${sha256(archive)}  files.tar\n`,
        `${sha256("r")}  job/run.sh\n`,
        `${sha256("marimo==1.0.0\n")}  requirements.txt\n`,
        `${sha256(payload.generated["settings.env"] ?? "")}  settings.env\n`,
        `${sha256("a")}  start.sh\n`,
      ].join(""),
    );
    expect(payload.pointer).toBe(`${sha256(payload.checksums.text)}  ${payload.checksums.hash}\n`);
    expect(payload.checksums.hash).toBe(sha256(payload.checksums.text).slice(0, 16));
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
    const { files } = readPayload({ folder, requirements: lockFile(), settings: {} });
    expect(files.map(({ path }) => path)).toEqual(["start.sh", "requirements.txt", "files.tar"]);
    expect(unpacked(files[2]?.content ?? "")).toEqual({});
  });

  it("has another hash with any change", () => {
    const hash = (files: Record<string, string>, requirements = "marimo==1.0.0", settings = {}) =>
      readPayload({ folder: folderOf(files), requirements: lockFile(requirements), settings }).checksums.hash;
    const first = hash({ "start.sh": "a" });
    expect(hash({ "start.sh": "a" })).toBe(first);
    expect(hash({ "start.sh": "b" })).not.toBe(first);
    expect(hash({ "stop.sh": "a" })).not.toBe(first);
    expect(hash({ "start.sh": "a" }, "marimo==0.25.1")).not.toBe(first);
    expect(hash({ "start.sh": "a" }, "marimo==1.0.0", { MARIMO_TRANSPORT: "sse" })).not.toBe(first);
  });

  it.each(["requirements.txt", "settings.env", "SHA256SUMS", "files.tar"])(
    "refuses a %s of its own beside the generated one",
    (path) => {
      const folder = folderOf({ [path]: "mine" });
      expect(() => readPayload({ folder, requirements: lockFile(), settings: {} })).toThrow(
        `two files "${path}"`,
      );
    },
  );

  it.each([
    ["a value of two lines", { MARIMO_A: "b\nMARIMO_C=d" }],
    ["a key that would change what programs do", { PATH: "/tmp" }],
    ["a key with a space", { "MARIMO_ A": "b" }],
  ])("refuses %s in settings.env", (_, settings) => {
    const folder = folderOf({ "start.sh": "a" });
    expect(() => readPayload({ folder, requirements: lockFile(), settings: { ...settings } })).toThrow(
      "not a valid line of settings.env",
    );
  });
});

describe("the upload", () => {
  const project = fileURLToPath(new URL("../../..", import.meta.url));

  it("is an object for the archive and each file apart, whose checksum the space can verify", () => {
    const stack = synthesize();
    const {
      checksums: { hash },
    } = readPayload({
      folder: join(project, "src/space/payload"),
      samplesFolder: join(project, "sample-notebooks"),
      requirements: lockFileOf(resolveEnvironment({ name: "dev" })),
      settings: { MARIMO_TRANSPORT: "auto" },
    });
    expect(resource(stack, "aws_s3_object", "payload_file")).toMatchObject({
      for_each: expression("local.payload_files"),
      key: `marimo/payload/${hash}/\${each.key}`,
      source: `${expression("path.module")}/payload/${expression("each.value.sha256")}`,
      source_hash: expression("each.value.sha256"),
    });
    const files = stack.locals.payload_files as Record<string, { sha256: string }>;
    expect(Object.keys(files)).toEqual([
      "files.tar",
      "image.sh",
      "job/row.sh",
      "job/run.sh",
      "requirements.txt",
      "start.sh",
      "unpack.py",
    ]);
    for (const [path, { sha256: expected }] of Object.entries(files)) {
      expect(sha256(stack.files.get(`payload/${expected}`) ?? ""), path).toBe(expected);
    }
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

  it("tells the spaces of the settings, which changes nothing but the payload", () => {
    const generated = (transport: "auto" | "polling") => {
      const stack = synthesize({ transport });
      const { for_each } = resource(stack, "aws_s3_object", "payload_generated");
      const others = Object.entries(stack.resource).filter(([type]) => type !== "aws_s3_object");
      return { texts: JSON.stringify(for_each), others };
    };
    expect(generated("polling").texts).toContain("MARIMO_TRANSPORT=polling");
    expect(generated("auto").texts).toContain("MARIMO_TRANSPORT=auto");
    expect(generated("polling").others).toEqual(generated("auto").others);
  });

  it("tells the spaces of a package index, where there is one", () => {
    const texts = (settings: Parameters<typeof synthesize>[0]) =>
      JSON.stringify(resource(synthesize(settings), "aws_s3_object", "payload_generated").for_each);
    const packageIndexUrl = "https://pypi.example.com/simple";
    expect(texts({ packageIndexUrl })).toContain(`MARIMO_PACKAGE_INDEX_URL=${packageIndexUrl}\\n`);
    expect(texts({})).not.toContain("MARIMO_PACKAGE_INDEX_URL");
    expect(texts({ packageIndexUrl })).not.toContain("MARIMO_CODEARTIFACT");
    const host = "https://team-210987654321.d.codeartifact.eu-west-1.amazonaws.com";
    expect(texts({ packageIndexUrl: `${host}/pypi/python/simple/` })).toContain(
      "MARIMO_CODEARTIFACT_DOMAIN=team\\nMARIMO_CODEARTIFACT_OWNER=210987654321\\nMARIMO_CODEARTIFACT_REGION=eu-west-1\\n",
    );
  });

  it("tells the spaces of the folder of apps where there is one", () => {
    const texts = (settings: Parameters<typeof synthesize>[0]) =>
      JSON.stringify(resource(synthesize(settings), "aws_s3_object", "payload_generated").for_each);
    expect(texts({ appsFolder: "apps" })).toContain("MARIMO_APPS_FOLDER=apps\\n");
    expect(texts({})).not.toContain("MARIMO_APPS_FOLDER");
  });

  it("tells the spaces of the repositories, where there are any", () => {
    const texts = (settings: Parameters<typeof synthesize>[0]) =>
      JSON.stringify(resource(synthesize(settings), "aws_s3_object", "payload_generated").for_each);
    const repositories = ["https://github.com/acme/models", "https://github.com/acme/data.git"];
    expect(texts({ repositories })).toContain(`MARIMO_REPOSITORIES=${repositories.join(" ")}\\n`);
    expect(texts({ repositories })).not.toContain("MARIMO_REPOSITORY_SECRETS");
    expect(texts({ repositories: [] })).not.toContain("MARIMO_REPOSITORIES");
    const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a=b-AbCdEf";
    const repositoryUrl = "https://github.com/acme/private";
    const settings = texts({ repositories: [...repositories, { repositoryUrl, secretArn }] });
    expect(settings).toContain(`MARIMO_REPOSITORIES=${[...repositories, repositoryUrl].join(" ")}\\n`);
    expect(settings).toContain(`MARIMO_REPOSITORY_SECRETS=${repositoryUrl}=${secretArn}\\n`);
  });

  it("tells the spaces what to back up, where they do", () => {
    const texts = (settings: Parameters<typeof synthesize>[0]) =>
      Object.values(
        resource(synthesize(settings), "aws_s3_object", "payload_generated").for_each as Record<
          string,
          string
        >,
      ).join("");
    expect(texts({ homeBackup: { exclude: ["*.parquet"] } })).toContain(
      'MARIMO_HOME_BACKUP={"intervalMinutes":30,"include":[],"exclude":["*.parquet"],"maximumSizeGb":5}\n',
    );
    expect(texts({})).not.toContain("MARIMO_HOME_BACKUP");
  });

  it("tells the spaces not to run cells on opening, if the setting says so", () => {
    const texts = (settings: Parameters<typeof synthesize>[0]) =>
      JSON.stringify(resource(synthesize(settings), "aws_s3_object", "payload_generated").for_each);
    expect(texts({ runOnOpen: true })).toContain("MARIMO_RUN_ON_OPEN=true\\n");
    expect(texts({ runOnOpen: false })).not.toContain("MARIMO_RUN_ON_OPEN");
  });

  it("leaves the samples out where the setting says so", () => {
    const samples = (sampleNotebooks: boolean) => {
      const { files, locals } = synthesize({ sampleNotebooks });
      const { sha256 } = (locals.payload_files as Record<string, { sha256: string }>)["files.tar"] ?? {};
      const paths = Object.keys(unpacked(files.get(`payload/${sha256}`) ?? ""));
      return paths.filter((path) => path.startsWith("sample-notebooks/"));
    };
    expect(samples(true)).toContain("sample-notebooks/01_explore_data.py");
    expect(samples(true)).not.toContain("sample-notebooks/README.md");
    expect(samples(false)).toEqual([]);
  });
});
