import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Ajv from "ajv";
import { afterEach, describe, expect, it, vi } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";
import { applyStep, rehearsed, savedPlan } from "../../../src/plan-review/apply-command.ts";
import { reviewJson } from "../../../src/plan-review/json.ts";
import { report } from "../../../src/plan-review/report.ts";
import { rules } from "../../../src/plan-review/risks/index.ts";
import { reviewSarif } from "../../../src/plan-review/sarif.ts";
import { writeReview } from "../../../src/plan-review/write.ts";
import { change, plan, review } from "../../support/plan-fixture.ts";

const profileAt = (name: string) => `aws_sagemaker_user_profile.studio_profiles["${name}"]`;
const removed = (name: string) => change(profileAt(name), { user_profile_name: name }, null);
const nameOf = (name: string) => `replaced-user-profile:studio_profiles.${name}`;
const changes = plan([removed("ana"), removed("bo"), change("aws_kms_key.k", null, {})]);
const accepted = review(changes, { accept: [nameOf("bo")] });
const file = join(projectFolder, "cdktf.out/plan/dev.tfplan");
const step = (of = accepted) => applyStep(savedPlan(file, "--environment", "dev"), of);

afterEach(() => vi.unstubAllEnvs());

describe("the command that applies a plan", () => {
  const command = `npm run apply -- --environment dev --plan cdktf.out/plan/dev.tfplan --accept ${nameOf("ana")} --accept ${nameOf("bo")}`;

  it("ends the review, and accepts its risks", () => {
    vi.stubEnv("TERRAFORM_BINARY_NAME", undefined);
    expect(report("dev", accepted, step()).split("## Apply\n\n")[1]).toBe(
      `This command applies the saved plan, and accepts all risks above:\n\n\`\`\`bash\n${command}\n\`\`\`\n`,
    );
    // Control: no risks.
    expect(step(review(plan([change("aws_kms_key.k", null, {})])))).toEqual({
      words: "This command applies the saved plan:",
      command: "npm run apply -- --environment dev --plan cdktf.out/plan/dev.tfplan",
    });
  });

  it("is missing if there is nothing to apply", () => {
    expect(step(review(plan([])))).toBeUndefined();
    expect(report("dev", review(plan([])))).not.toContain("## Apply");
  });

  it("names the program that made the plan, and quotes what a shell would change", () => {
    vi.stubEnv("TERRAFORM_BINARY_NAME", "tofu");
    expect(step()?.command).toBe(`TERRAFORM_BINARY_NAME=tofu ${command}`);
    const none = review(plan([change("aws_kms_key.k", null, {})]));
    expect(applyStep(savedPlan("/tmp/it's $1.tfplan", "--in", "."), none)?.command).toBe(
      "TERRAFORM_BINARY_NAME=tofu npm run apply -- --in . --plan '/tmp/it'\\''s $1.tfplan'",
    );
  });

  it("plans again in a rehearsal, whose Terraform the rehearsal knows", () => {
    vi.stubEnv("TERRAFORM_BINARY_NAME", "tofu");
    expect(applyStep(rehearsed("start-1"), accepted)).toEqual({
      words: "This command plans again and applies to the rehearsal, and accepts all risks above:",
      command: `npm run apply -- --rehearsal --run start-1 --accept ${nameOf("ana")} --accept ${nameOf("bo")}`,
    });
  });
});

describe("the review as JSON", () => {
  // A failure here means a new schemaVersion, unless a property was only added.
  it("has the schema of version 1", () => {
    vi.stubEnv("TERRAFORM_BINARY_NAME", undefined);
    const small = plan([removed("ana")]);
    expect(reviewJson("dev", review(small), step(review(small)))).toEqual({
      schemaVersion: 1,
      subject: "dev",
      changed: true,
      counts: { add: 0, change: 0, replace: 0, remove: 1 },
      risks: [
        {
          name: nameOf("ana"),
          rule: "replaced-user-profile",
          title: "A user profile is deleted",
          address: profileAt("ana"),
          type: "aws_sagemaker_user_profile",
          reason: "Terraform removes it.",
          lost: "the profile of 1 person (`ana`), access to its home directory, and the schedules that the person made",
          instead: expect.stringContaining("undo the change"),
          accepted: false,
        },
      ],
      resources: [
        {
          address: profileAt("ana"),
          type: "aws_sagemaker_user_profile",
          actions: ["delete"],
          concern: "Studio",
        },
      ],
      access: [],
      drift: [],
      appsNotChecked: null,
      monthlyCost: { currency: "USD", total: 0, region: "us-east-1", fixed: [], usage: [expect.any(String)] },
      apply: `npm run apply -- --environment dev --plan cdktf.out/plan/dev.tfplan --accept ${nameOf("ana")}`,
    });
  });

  it("has accepted risks, costs, drift and what was not checked", () => {
    const drifted = { ...changes, resource_drift: [change("aws_vpc.v", { id: "v" }, null)] };
    const { risks, monthlyCost, drift, apply } = reviewJson(
      "dev",
      review(drifted, { accept: [nameOf("bo")] }),
    );
    expect(risks.map((risk) => [risk.name, risk.accepted])).toEqual([
      [nameOf("ana"), false],
      [nameOf("bo"), true],
    ]);
    expect(monthlyCost.fixed).toEqual([{ address: "aws_kms_key.k", monthly: 1 }]);
    expect(drift).toEqual([{ address: "aws_vpc.v", outcome: "kept" }]);
    expect(apply).toBeNull();
    const unchecked = { notChecked: "no credentials" };
    const endsApps = change(
      "aws_sagemaker_user_profile.p",
      { id: "a" },
      { id: "a", user_settings: [{ x: 1 }] },
    );
    for (const [apps, reason] of [
      [unchecked, "no credentials"],
      [{ running: [] }, null],
    ] as const)
      expect(reviewJson("dev", review(plan([endsApps]), { apps })).appsNotChecked).toBe(reason);
  });
});

describe("the risks as SARIF", () => {
  const require = createRequire(import.meta.url);
  // The schema of SARIF 2.1.0 as Microsoft's SDK has it. It is a JSON schema of draft 4.
  const ajv = new Ajv({ schemaId: "id", meta: false, allErrors: true });
  ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-04.json"));
  const validate = ajv.compile(require("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"));
  const errorsOf = (log: object) =>
    validate(log) ? [] : (validate.errors ?? []).map(({ message }) => message);
  const sarif = (of = accepted, subject = "dev") => reviewSarif({ subject, review: of, rules });
  const resultsOf = (log = sarif()) => log.runs[0]?.results ?? [];
  const fingerprints = (log = sarif()) =>
    resultsOf(log).map(({ partialFingerprints }) => partialFingerprints?.primaryLocationLineHash);

  it("are valid by the schema, with and without risks", () => {
    expect(errorsOf(sarif())).toEqual([]);
    expect(errorsOf(sarif(review(plan([]))))).toEqual([]);
    // Controls.
    expect(errorsOf({ ...sarif(), version: "2.0.0" })).not.toEqual([]);
    const [run] = sarif().runs;
    const broken = { ...sarif(), runs: [{ ...run, results: [{ ruleId: "a", level: "bad" }] }] };
    expect(errorsOf(broken)).toContain("should have required property 'message'");
  });

  it("have what GitHub code scanning requires", () => {
    const [run] = sarif().runs;
    const known = run?.tool.driver.rules ?? [];
    expect(known.map(({ id }) => id)).toEqual(rules.map(({ name }) => name));
    for (const { shortDescription, fullDescription, help } of known)
      for (const text of [shortDescription?.text, fullDescription?.text, help?.text])
        expect(text).toMatch(/^.{1,1024}$/);
    expect(run?.automationDetails?.id).toBe("plan-review/dev/");
    const settings = readFileSync(join(projectFolder, "src/environments.ts"), "utf8").split("\n");
    for (const { ruleId, ruleIndex, message, locations } of resultsOf()) {
      expect(known[ruleIndex ?? -1]?.id).toBe(ruleId);
      expect(message.text).toMatch(
        /^user profile `(ana|bo)`: Terraform removes it\. Lost: .* home directory, .* made\. Instead: undo .*\. To accept it: `--accept replaced-user-profile:studio_profiles\.\1`$/,
      );
      const { artifactLocation, region } = locations?.[0]?.physicalLocation ?? {};
      expect(artifactLocation?.uri).toBe("src/environments.ts");
      expect(settings[(region?.startLine ?? 0) - 1]).toContain('name: "dev"');
      expect(Object.keys(region ?? {})).toEqual(["startLine", "startColumn", "endLine", "endColumn"]);
    }
  });

  it("are errors until they are accepted", () => {
    expect(resultsOf().map(({ level, suppressions }) => [level, suppressions?.length])).toEqual([
      ["error", 0],
      ["note", 1],
    ]);
  });

  it("keep their fingerprints from run to run, which differ by risk and by environment", () => {
    const before = fingerprints();
    expect(new Set(before).size).toBe(2);
    for (const one of before) expect(one).toMatch(/^[0-9a-f]{16}:1$/);
    // Another run: more changes before them, and other acceptances.
    const more = plan([removed("aa"), ...(changes.resource_changes ?? [])]);
    expect(fingerprints(sarif(review(more, { accept: [nameOf("ana")] }))).slice(1)).toEqual(before);
    expect(fingerprints(sarif(accepted, "prod")).some((one) => before.includes(one))).toBe(false);
  });

  it("are at the reviewed file for another configuration", () => {
    const [run] = reviewSarif({ subject: "p", review: accepted, rules, file: "other/my plan" }).runs;
    expect(run?.results?.[0]?.locations?.[0]?.physicalLocation).toEqual({
      artifactLocation: { uri: "other/my%20plan" },
      region: { startLine: 1, startColumn: 1, endLine: 1, endColumn: 1 },
    });
  });
});

it("is written in each format that has a path", () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-review-"));
  const path = (name: string) => join(folder, "new", name);
  try {
    const props = { subject: "dev", review: accepted, rules, next: step() };
    const paths = { markdown: path("a.md"), json: path("a.json"), sarif: path("a.sarif") };
    const markdown = writeReview({ ...props, paths });
    expect(readFileSync(paths.markdown, "utf8")).toBe(markdown);
    expect(JSON.parse(readFileSync(paths.json, "utf8"))).toEqual(reviewJson("dev", accepted, step()));
    expect(JSON.parse(readFileSync(paths.sarif, "utf8"))).toEqual(reviewSarif(props));
    const none = { markdown: undefined, json: undefined, sarif: undefined };
    expect(writeReview({ ...props, paths: none })).toBe(markdown);
  } finally {
    rmSync(folder, { recursive: true });
    vi.restoreAllMocks();
  }
});
