import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { synthesizeEvery } from "../support/every-environment.ts";
import type { Block } from "../support/synthesize.ts";

interface Stack {
  readonly resource: Readonly<Record<string, Readonly<Record<string, Block>>>>;
  readonly output?: Readonly<Record<string, Block>>;
}

/** The used part of `checkov -o json`. */
interface Report {
  readonly results?: {
    readonly passed_checks: readonly Finding[];
    readonly failed_checks: readonly Finding[];
    readonly parsing_errors: readonly string[];
  };
}
interface Finding {
  readonly check_id: string;
  readonly check_name: string;
  readonly resource: string;
  readonly file_path: string;
}

interface Skip {
  readonly id: string;
  /** Logical IDs that it applies to, the resource's own first. */
  readonly names: readonly string[];
}

interface Scan {
  readonly problems: readonly string[];
  readonly passed: number;
  /** Number of findings with a skip on the resource, by check. */
  readonly skipped: ReadonlyMap<string, number>;
}

let checkov: string;
beforeAll(async () => {
  checkov = join((await pythonEnvironment("scan")).prefix, "bin/checkov");
});

/**
 * Scans all stacks in one run, without `required_version`: checkov 3.3.30 cannot parse a `.tf.json` that contains it.
 */
async function scan(stacks: ReadonlyMap<string, Stack>, leaveOut = ["required_version"]): Promise<Scan> {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-checkov-"));
  try {
    for (const [name, stack] of stacks) {
      mkdirSync(join(folder, name));
      writeFileSync(
        join(folder, name, "cdk.tf.json"),
        JSON.stringify(stack, (key, value) => (leaveOut.includes(key) ? undefined : value), 2),
      );
    }
    const result = await capture(
      checkov,
      ["-d", folder, "--framework", "terraform_json", "-o", "json", "--compact", "--skip-download"],
      { env: { ...process.env, CKV_SKIP_PACKAGE_UPDATE_CHECK: "true" }, timeout: 300_000 },
    );
    if (result === undefined || !result.stdout.startsWith("{")) {
      throw new Error(`checkov wrote no report:\n${result?.stdout}${result?.stderr}`);
    }
    return judge(stacks, JSON.parse(result.stdout) as Report);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function judge(stacks: ReadonlyMap<string, Stack>, { results }: Report): Scan {
  const problems: string[] = (results?.parsing_errors ?? []).map((file) => `${file}: not parsed`);
  const skipped = new Map<string, number>();
  const checks = [...(results?.passed_checks ?? []), ...(results?.failed_checks ?? [])];
  for (const [name, stack] of stacks) {
    const of = (finding: Finding) => finding.file_path === `/${name}/cdk.tf.json`;
    if (!checks.some(of)) problems.push(`${name}: nothing was checked`);
    const skips = skipsOf(stack);
    const advice = documentsIn(stack.output).filter((one) => !documentsIn(stack.resource).includes(one));
    const used = new Set<Skip>();
    for (const finding of results?.failed_checks.filter(of) ?? []) {
      const found = logicalId(finding.resource);
      // What the owner of an existing key must add to its policy: Terraform applies it to nothing.
      if (advice.includes(found)) continue;
      const skip = skips.find(({ id, names }) => id === finding.check_id && names.includes(found));
      if (skip === undefined) problems.push(`${name}: ${finding.check_id} ${found}: ${finding.check_name}`);
      else {
        used.add(skip);
        skipped.set(skip.id, (skipped.get(skip.id) ?? 0) + 1);
      }
    }
    for (const skip of skips.filter((one) => !used.has(one))) {
      problems.push(`${name}: ${skip.id} ${skip.names[0]}: skipped, but not found`);
    }
  }
  return { problems, passed: results?.passed_checks.length ?? 0, skipped };
}

/** The policy documents that a part of a stack refers to. */
const documentsIn = (part: unknown) =>
  [...(JSON.stringify(part) ?? "").matchAll(/data\.aws_iam_policy_document\.([\w-]+)\.json/g)].map(
    ([, document]) => document ?? "",
  );

/** The skips that `skipChecks` wrote. A skip also applies to the policy documents that its resource refers to. */
function skipsOf(stack: Stack): readonly Skip[] {
  return Object.values(stack.resource)
    .flatMap((blocks) => Object.entries(blocks))
    .flatMap(([name, block]) => {
      const comment = block["//"] as
        | { readonly checkov?: { readonly skip: readonly { id: string; comment: string }[] } }
        | undefined;
      const names = [name, ...documentsIn(block)];
      return comment?.checkov?.skip.map(({ id }) => ({ id, names })) ?? [];
    });
}

/**
 * checkov writes `resource.NAME`, `data.NAME` or `TYPE.NAME["key"]`. Names in the stack are unique
 * (`allocateLogicalId`).
 */
const logicalId = (resource: string) => resource.slice(resource.indexOf(".") + 1).replace(/\[.*$/, "");

const everyStack = () =>
  new Map([...synthesizeEvery()].map(([name, { text }]) => [name, JSON.parse(text) as Stack]));

describe("checkov", () => {
  it("has no findings without a skip in any environment", async () => {
    const { problems, passed, skipped } = await scan(everyStack());
    expect(problems).toEqual([]);
    console.log(`checkov: ${passed} passed; skipped ${[...skipped].map((one) => one.join(" ×")).join(", ")}`);
  });

  describe("reports", () => {
    let dev: Stack;
    beforeAll(() => {
      dev = [...everyStack().values()][0] as Stack;
    });
    const withResource = (type: string, name: string, block: Block): Stack => ({
      ...dev,
      resource: { ...dev.resource, [type]: { ...dev.resource[type], [name]: block } },
    });

    it("an insecure resource, and an unused skip", async () => {
      const open = {
        description: "SSH from anywhere",
        from_port: 22,
        to_port: 22,
        protocol: "tcp",
        cidr_blocks: ["0.0.0.0/0"],
      };
      const { problems } = await scan(
        new Map([
          ["open", withResource("aws_security_group", "bad", { description: "Bad", ingress: [open] })],
          [
            "stale",
            withResource("aws_ebs_encryption_by_default", "fine", {
              "//": { checkov: { skip: [{ id: "CKV_AWS_24", comment: "This is about security groups" }] } },
              enabled: true,
            }),
          ],
        ]),
      );
      expect(problems).toEqual([
        expect.stringMatching(/^open: CKV_AWS_24 bad: /),
        expect.stringMatching(/^open: CKV2_AWS_5 bad: /),
        "stale: CKV_AWS_24 fine: skipped, but not found",
      ]);
    });

    it("a stack that it cannot parse, which checkov itself does not report as a failure", async () => {
      const { problems } = await scan(new Map([["dev", dev]]), []);
      expect(problems).toEqual([
        expect.stringMatching(/cdk\.tf\.json: not parsed$/),
        "dev: nothing was checked",
        ...skipsOf(dev).map(({ id, names }) => `dev: ${id} ${names[0]}: skipped, but not found`),
      ]);
    });
  });
});
