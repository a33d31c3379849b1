import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { goTool } from "../../src/local-studio/go-tool.ts";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { everyEnvironment, synthesizeEvery } from "./every-environment.ts";

/** The part of `tflint --format json` that is read here. */
interface Report {
  readonly issues: readonly {
    readonly rule: { readonly name: string };
    readonly message: string;
    readonly range: { readonly filename: string };
  }[];
  readonly errors: readonly { readonly message: string }[];
}

let tflint: string;
beforeAll(async () => {
  tflint = await goTool("tflint");
});

/** tflint reports nothing of a folder where it read nothing. This finding, in each file, tells that it was read. */
const planted = "planted_to_be_found";

/** What tflint finds in files, of which each is a configuration of its own; `text` is that of the file. */
async function lint(files: ReadonlyMap<string, string>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-tflint-"));
  try {
    for (const [file, text] of files) {
      mkdirSync(join(folder, dirname(file)));
      writeFileSync(join(folder, file), text);
    }
    const config = join(projectFolder, ".tflint.hcl");
    const result = await capture(tflint, ["--recursive", `--config=${config}`, "--format=json"], {
      cwd: folder,
      timeout: 300_000,
    });
    if (!result?.stdout.startsWith("{")) {
      throw new Error(`tflint wrote no report:\n${result?.stdout}${result?.stderr}`);
    }
    return judge([...files.keys()], JSON.parse(result.stdout) as Report);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function judge(files: readonly string[], { issues, errors }: Report): string[] {
  const found = issues.map(({ rule, message, range }) => `${range.filename}: ${rule.name}: ${message}`);
  const isPlanted = (finding: string) => finding.includes(planted);
  return [
    ...errors.map(({ message }) => message),
    ...files
      .filter((file) => !found.some((finding) => isPlanted(finding) && finding.startsWith(`${file}: `)))
      .map((file) => `${file}: nothing was checked`),
    ...found.filter((finding) => !isPlanted(finding)),
  ];
}

/** A stack's JSON with the planted finding, and what else is to be found. */
function withBlocks(text: string, blocks: object = {}): string {
  const stack = JSON.parse(text) as { readonly locals?: object };
  return JSON.stringify({ ...stack, ...blocks, locals: { ...stack.locals, [planted]: 1 } }, undefined, 2);
}

describe("tflint", () => {
  it("finds nothing in any environment", async () => {
    const every = [...synthesizeEvery()];
    expect(every.length).toBeGreaterThan(8);
    const files = every.map(([name, { text }]) => [`${name}/cdk.tf.json`, withBlocks(text)] as const);
    expect(await lint(new Map(files))).toEqual([]);
  });

  it("is shown to refuse what is bad, what it cannot parse, and what it does not read", async () => {
    const text = synthesizeEvery().get(everyEnvironment[0]?.name ?? "")?.text ?? "";
    const stack = JSON.parse(text) as { readonly terraform: object };
    const terraform = { ...stack.terraform, required_version: undefined };
    const problems = await lint(
      new Map([
        ["bad/cdk.tf.json", withBlocks(text, { terraform, variable: { spare: { description: "Unused" } } })],
        ["broken/cdk.tf.json", withBlocks(text).slice(0, -2)],
        ["unread/cdk.json", withBlocks(text)],
      ]),
    );
    expect(problems.filter((problem) => problem.startsWith("bad/")).sort()).toEqual([
      expect.stringMatching(/^bad\/cdk\.tf\.json: terraform_required_version: /),
      expect.stringMatching(/^bad\/cdk\.tf\.json: terraform_typed_variables: .*spare/),
      expect.stringMatching(/^bad\/cdk\.tf\.json: terraform_unused_declarations: .*spare/),
    ]);
    expect(problems).toContainEqual(expect.stringMatching(/Unclosed object.*broken\/cdk\.tf\.json/s));
    expect(problems).toContain("broken/cdk.tf.json: nothing was checked");
    expect(problems).toContain("unread/cdk.json: nothing was checked");
  });
});
