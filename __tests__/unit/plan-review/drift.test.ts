import { describe, expect, it } from "vitest";
import type { Plan, ResourceChange } from "../../../src/plan-review/plan.ts";
import { report } from "../../../src/plan-review/report.ts";
import { statusOf } from "../../../src/plan-review/review.ts";
import { change, plan, review } from "../../support/plan-fixture.ts";

interface Drifted {
  readonly drift: readonly ResourceChange[];
  readonly planned?: readonly ResourceChange[];
  /** Attributes that the configuration sets, by address. @default those of the drift */
  readonly configured?: Readonly<Record<string, readonly string[]>>;
  readonly existing?: Parameters<typeof plan>[1];
  readonly more?: Partial<Plan>;
}

const drifted = ({ drift, planned = [], configured = {}, existing = {}, more }: Drifted) =>
  review({
    ...plan(planned, existing),
    resource_drift: drift,
    configuration: {
      root_module: {
        resources: Object.entries(configured).map(([address, names]) => ({
          address,
          expressions: Object.fromEntries(names.map((name) => [name, {}])),
        })),
      },
    },
    ...more,
  });
const outcomes = (props: Drifted) => drifted(props).drift.map(({ outcome }) => outcome);
const text = (props: Drifted) => report("dev", drifted(props));
const heading = "## Changed outside of Terraform";

const tags = (value: string) => ({ id: "v", tags: { Owner: value }, tags_all: { Owner: value } });
const tagged = change("aws_vpc.v", tags("a"), tags("b"));

describe("a change outside of Terraform", () => {
  const computed = { drift: [tagged], configured: { "aws_vpc.v": ["cidr_block"] } };

  it("is not shown if AWS or another resource sets the attribute", () => {
    expect(drifted(computed).drift).toEqual([]);
    expect(text(computed)).toBe("# Plan review: `dev`\n\nNo changes.\n");
    const cause = (attribute: string) => ({
      ...computed,
      more: { relevant_attributes: [{ resource: "aws_vpc.v", attribute: [attribute, "Owner"] }] },
    });
    expect(outcomes(cause("id"))).toEqual([]);
    expect(outcomes(cause("tags"))).toEqual(["kept"]);
  });

  it("is kept if the configuration ignores it, and the plan has no change", () => {
    const ignored = { drift: [tagged], configured: { "aws_vpc.v": ["tags"] } };
    expect(outcomes(ignored)).toEqual(["kept"]);
    expect(text(ignored)).toBe(
      `# Plan review: \`dev\`\n\nNo changes.\n\n${heading}\n\n- VPC \`aws_vpc.v\`\n  - \`tags.Owner\`: \`a\` → \`b\`. This plan keeps it.\n`,
    );
    expect(statusOf(drifted(ignored))).toBe(0);
  });

  it("is reverted, or changed to a third value, also if the configuration leaves the attribute out", () => {
    const planned = (value: string) => ({
      ...computed,
      planned: [change("aws_vpc.v", tags("b"), tags(value))],
    });
    expect(outcomes(planned("a"))).toEqual(["reverted"]);
    expect(outcomes(planned("c"))).toEqual(["changed"]);
    expect(text(planned("a"))).toContain("  - `tags.Owner`: `a` → `b`. This plan reverts it.\n");
    expect(text(planned("a"))).not.toContain("Risk until then");
  });

  it("is a deletion, which the plan repairs or not", () => {
    const drift = [change("aws_cloudwatch_metric_alarm.a", { alarm_name: "jobs" }, null)];
    const again = { drift, planned: [change("aws_cloudwatch_metric_alarm.a", null, { alarm_name: "jobs" })] };
    expect(outcomes(again)).toEqual(["reverted"]);
    expect(text(again)).toContain(
      "- alarm `jobs` (`aws_cloudwatch_metric_alarm.a`)\n  - deleted. This plan creates it again.\n",
    );
    expect(text({ drift })).toContain("  - deleted. This plan does not create it again.\n");
  });

  it("is not a default tag, which the provider reads as an own one if the plan changes it", () => {
    const read = (own: object, all: object) => ({ id: "v", tags: own, tags_all: all });
    const configured = { "aws_vpc.v": ["tags"] };
    const first = read({}, { CostCenter: "42" });
    const second = read({ CostCenter: "42" }, { CostCenter: "42" });
    const planned = [change("aws_vpc.v", second, read({}, { CostCenter: "43" }))];
    expect(outcomes({ drift: [change("aws_vpc.v", first, second)], configured, planned })).toEqual([]);
    const foreign = read({ CostCenter: "42", Owner: "eve" }, { CostCenter: "42", Owner: "eve" });
    expect(outcomes({ drift: [change("aws_vpc.v", first, foreign)], configured })).toEqual(["kept"]);
  });

  it("is not shown of a resource that the plan removes", () => {
    const goes = { drift: [tagged], planned: [change("aws_vpc.v", tags("b"), null)] };
    expect(outcomes(goes)).toEqual([]);
    const updated = change("aws_vpc.v", tags("b"), tags("a"));
    const replaced = { ...updated, change: { ...updated.change, actions: ["delete", "create"] as const } };
    expect(outcomes({ drift: [tagged], planned: [replaced] })).toEqual(["reverted"]);
  });

  it("is one item for people with the same change", () => {
    const role = (name: string, value: string) => ({ name, ...tags(value) });
    const drift = ["ana", "bo"].map((name) =>
      change(`aws_iam_role.r["${name}"]`, role(name, "a"), role(name, "b")),
    );
    expect(text({ drift, configured: { "aws_iam_role.r": ["tags"] } })).toContain(
      '- 2 roles: `ana` (`aws_iam_role.r["ana"]`); `bo` (`aws_iam_role.r["bo"]`)\n  - `tags.Owner`: `a` → `b`. This plan keeps it.\n',
    );
  });
});

describe("a change outside of Terraform that makes a resource less safe", () => {
  const rule = (port: number, range: string) => ({
    cidr_blocks: [range],
    from_port: port,
    to_port: port,
    protocol: "tcp",
    description: "",
  });
  const group = (...ingress: object[]) => ({ id: "sg-1", name: "people", ingress });
  const [https, nfs, ssh] = [
    rule(443, "10.0.0.0/16"),
    rule(2049, "10.0.0.0/16"),
    rule(22, "0.0.0.0/0"),
  ] as const;
  const opened: Drifted = {
    drift: [change("aws_security_group.g", group(https, nfs), group(https, nfs, ssh))],
    planned: [change("aws_security_group.g", group(https, nfs, ssh), group(https, nfs))],
  };

  it("is a risk until the plan reverts it, which needs no acceptance", () => {
    const shown = text(opened);
    expect(shown).toContain(
      "**1 change outside of Terraform made a resource less safe until this plan is applied.** No other risks found.",
    );
    expect(shown).toContain(
      '`ingress`: adds `{"cidr_blocks":["0.0.0.0/0"],"from_port":22,"to_port":22,"protocol":"tcp"}`. This plan reverts it.\n' +
        "  - **Risk until then** (`public-exposure`): It allows inbound traffic from everywhere: `tcp port 22 from 0.0.0.0/0`.\n",
    );
    expect(drifted(opened).risks).toEqual([]);
    expect(statusOf(drifted(opened))).toBe(4);
  });

  it("is a risk to accept if the plan keeps it", () => {
    const kept = drifted({ ...opened, planned: [], configured: { "aws_security_group.g": ["ingress"] } });
    expect(kept.risks.map(({ name }) => name)).toEqual(["public-exposure:g"]);
    expect(statusOf(kept)).toBe(3);
    const shown = report("dev", kept);
    expect(shown).toContain("No changes. 1 risk: accept each one by name, or change the configuration.\n");
    expect(shown).toContain("This was done outside of Terraform, and this plan keeps it.");
  });

  const versioning = (status: string) => ({ bucket: "b", versioning_configuration: [{ status }] });
  const trust = (...service: string[]) => ({
    name: "r",
    assume_role_policy: JSON.stringify({
      Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" }],
    }),
  });
  const encryption = (key: string) => ({
    bucket: "b",
    rule: [{ apply_server_side_encryption_by_default: [{ kms_master_key_id: key }] }],
  });
  it.each([
    [
      "suspended versioning",
      "aws_s3_bucket_versioning.b",
      versioning("Enabled"),
      versioning("Suspended"),
      "weaker-retention",
    ],
    [
      "a wider trust policy",
      "aws_iam_role.r",
      trust("sagemaker.amazonaws.com"),
      trust("sagemaker.amazonaws.com", "*"),
      "wider-permissions",
    ],
    [
      "removed encryption",
      "aws_s3_bucket_server_side_encryption_configuration.b",
      encryption("key"),
      encryption(""),
      "lost-protection",
    ],
    [
      "a stopped trail",
      "aws_cloudtrail.t",
      { enable_logging: true },
      { enable_logging: false },
      "weaker-audit",
    ],
  ])("is %s", (_what, address, before, after, name) => {
    const rules = (one: Drifted) =>
      drifted(one).drift.flatMap(({ risks }) => risks.map(({ rule }) => rule.name));
    const one = { drift: [change(address, before, after)], planned: [change(address, after, before)] };
    expect(rules(one)).toContain(name);
    // The other way round it is safer. Any change of a trail is a risk.
    if (name !== "weaker-audit") expect(rules({ drift: one.planned, planned: one.drift })).toEqual([]);
  });
});

describe("a policy that is put on a role by hand", () => {
  const everything = JSON.stringify({ Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] });
  const inline = (...names: string[]) => names.map((name) => ({ name, policy: everything }));
  const arn = (name: string) => `arn:aws:iam::111122223333:policy/${name}`;
  const role = (more: object = {}) => ({
    name: "marimo-dev",
    inline_policy: [],
    managed_policy_arns: [],
    ...more,
  });
  const own = {
    "aws_iam_role_policy.write": { role: "marimo-dev", name: "write" },
    "aws_iam_policy_attachment.a": { policy_arn: arn("ours"), roles: ["marimo-dev"] },
    "aws_budgets_budget_action.stop": {
      definition: [{ iam_action_definition: [{ policy_arn: arn("stop"), roles: ["marimo-dev"] }] }],
    },
  };
  const with_ = (more: object) => [change("aws_iam_role.r", role(), role(more))];

  it("is not one that the stack or AWS Budgets attaches", () => {
    const drift = with_({ inline_policy: inline("write"), managed_policy_arns: [arn("ours"), arn("stop")] });
    expect(drifted({ drift, existing: own }).drift).toEqual([]);
    // The last apply took the policies away, and what is gone allows nothing.
    const gone = [
      change(
        "aws_iam_role.r",
        role({ inline_policy: inline("evil"), managed_policy_arns: [arn("old")] }),
        role(),
      ),
    ];
    expect(drifted({ drift: gone, existing: own }).drift).toEqual([]);
  });

  it("is removed if it is inline, by the role or by its list of inline policies", () => {
    const drift = with_({ inline_policy: inline("write", "evil") });
    const empty = { inline_policy: [{ name: "", policy: "" }] };
    const byRole = [change("aws_iam_role.r", role({ inline_policy: inline("evil") }), role(empty))];
    const byList = [
      change(
        "aws_iam_role_policies_exclusive.only",
        { role_name: "marimo-dev", policy_names: ["write", "evil"] },
        { role_name: "marimo-dev", policy_names: ["write"] },
      ),
    ];
    for (const planned of [byRole, byList]) {
      const shown = text({ drift, planned, existing: own });
      expect(shown).toContain("  - `inline_policy.name`: `nothing` → `evil`. This plan reverts it.\n");
      expect(shown).toContain("No other risks found.");
      expect(shown).toContain("**Risk until then** (`wider-permissions`): It `allows * on *`.\n");
    }
    expect(outcomes({ drift, existing: own })).toEqual(["kept"]);
  });

  it("stays if it is managed, with the command that takes it away, beside an inline one that goes", () => {
    const drift = with_({ inline_policy: inline("evil"), managed_policy_arns: [arn("ours"), arn("Admin")] });
    const planned = [change("aws_iam_role.r", role({ inline_policy: inline("evil") }), role())];
    const result = drifted({ drift, planned, existing: own });
    expect(result.drift.map(({ outcome }) => outcome)).toEqual(["kept", "reverted"]);
    expect(result.risks.map(({ name, instead }) => [name, instead])).toEqual([
      [
        "wider-permissions:r",
        `run \`aws iam detach-role-policy --role-name marimo-dev --policy-arn ${arn("Admin")}\`. CloudTrail's event history says who did it`,
      ],
    ]);
  });
});
