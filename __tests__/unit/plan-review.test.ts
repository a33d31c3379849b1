import { describe, expect, it } from "vitest";
import { costsOf } from "../../src/plan-review/costs.ts";
import { differencesOf } from "../../src/plan-review/differences.ts";
import { kindOf } from "../../src/plan-review/kinds.ts";
import { code } from "../../src/plan-review/markdown.ts";
import { readPlan } from "../../src/plan-review/plan.ts";
import { report, unknownNamesText } from "../../src/plan-review/report.ts";
import { statusOf } from "../../src/plan-review/review.ts";
import { isWithin } from "../../src/plan-review/traffic.ts";
import { change, plan, replaced, review } from "./plan-fixture.ts";

const profileAt = (name: string) => `aws_sagemaker_user_profile.studio_profiles["${name}"]`;
const removed = change(profileAt("ana"), { user_profile_name: "ana" }, null);
const risk = "replaced-user-profile:studio_profiles.ana";

describe("the JSON of a plan", () => {
  const of = (more: object) => JSON.stringify({ ...plan([]), ...more });

  it.each(["0.1", "1.2", "1.99"])("is read in format %s", (format_version) => {
    expect(readPlan(of({ format_version }), "p").format_version).toBe(format_version);
  });

  it.each([
    ["no JSON", "{", /p is no JSON/],
    [
      "another format",
      of({ format_version: "2.0" }),
      /format_version "2\.0", and this review reads 0\.x and 1\.x/,
    ],
    ["no plan", "{}", /no format_version/],
    ["null", "null", /no format_version/],
    ["a state", '{"format_version":"1.0","values":{}}', /no plan/],
    [
      "a change without actions",
      of({ resource_changes: [{ address: "a.b", type: "a", change: {} }] }),
      /without address, type or actions/,
    ],
    ["a plan that Terraform did not finish", of({ errored: true }), /not the whole plan/],
    ["a plan of a part", of({ complete: false }), /not the whole plan/],
  ])("is refused when it is %s", (_what, text, message) => {
    expect(() => readPlan(text, "p")).toThrow(message);
  });
});

describe("the exit status", () => {
  it("is 0 without a change, also where data is read", () => {
    const data = { ...change("aws_iam_policy_document.d", null, null), mode: "data" as const };
    const nothing = change("aws_vpc.v", { id: "a" }, { id: "a" }, { actions: ["no-op"] });
    expect(statusOf(review(plan([data, nothing])))).toBe(0);
  });

  it("is 2 for a change of any kind", () => {
    expect(statusOf(review(plan([change("aws_vpc.v", {}, { tags: {} })])))).toBe(2);
    expect(
      statusOf(
        review({ ...plan([]), output_changes: { url: { actions: ["update"], before: 1, after: 2 } } }),
      ),
    ).toBe(2);
    expect(statusOf(review({ ...plan([]), applyable: true }))).toBe(2);
    const moved = change("aws_vpc.v", {}, {}, { actions: ["no-op"], previous_address: "aws_vpc.w" });
    expect(statusOf(review(plan([moved])))).toBe(2);
  });

  it("is 3 for a risk, until each is accepted by its name", () => {
    const both = plan([removed, change(profileAt("bo"), { user_profile_name: "bo" }, null)]);
    expect(statusOf(review(both))).toBe(3);
    expect(statusOf(review(both, { accept: [risk] }))).toBe(3);
    expect(statusOf(review(both, { accept: [risk, "replaced-user-profile:studio_profiles.bo"] }))).toBe(2);
  });

  it("is 1 for a name that is no risk's, and says which there are", () => {
    const mistyped = review(plan([removed]), { accept: ["replaced-user-profile"] });
    expect(statusOf(mistyped)).toBe(1);
    expect(unknownNamesText(mistyped)).toBe(
      `This plan has no risk \`replaced-user-profile\`; its risks are:\n    ${risk}`,
    );
    expect(unknownNamesText(review(plan([]), { accept: ["a"] }))).toContain("it has no risk");
  });

  it("has a name of its own for each of two risks that would be called the same", () => {
    const twins = ["a.b", "a/b"].map((name) => change(profileAt(name), { user_profile_name: name }, null));
    const names = review(plan(twins)).risks.map(({ name }) => name);
    expect(names).toEqual([
      "replaced-user-profile:studio_profiles.a.b",
      "replaced-user-profile:studio_profiles.a.b.2",
    ]);
  });
});

describe("what is different", () => {
  it("is told attribute by attribute, in nested blocks and lists", () => {
    const before = { a: 1, same: [1], block: [{ x: "1", y: "2" }], list: ["p"], many: [{ n: 1 }, { n: 2 }] };
    const after = {
      a: 2,
      same: [1],
      block: [{ x: "1", y: "3" }],
      list: ["p", "q"],
      many: [{ n: 1 }, { n: 3 }],
    };
    expect(differencesOf(change("t.n", before, after))).toEqual([
      { path: "a", before: "1", after: "2" },
      { path: "block.y", before: "2", after: "3" },
      { path: "list", before: '["p"]', after: '["p","q"]' },
      { path: "many[1].n", before: "2", after: "3" },
    ]);
  });

  it("says what is known only after the apply", () => {
    expect(
      differencesOf(
        change(
          "t.n",
          { id: "x", list: ["a"] },
          { list: ["a"] },
          { after_unknown: { id: true, list: [true] } },
        ),
      ),
    ).toEqual([
      { path: "id", before: "x", after: "(known after apply)" },
      { path: "list", before: '["a"]', after: "(known after apply)" },
    ]);
  });

  it("is nothing where a provider writes an empty value for one that is not set, or the other way round", () => {
    const empty = { text: "", list: [], map: {}, flag: false, number: 0 };
    const nothing = { text: null, list: null, map: null, flag: null };
    expect(differencesOf(change("t.n", empty, nothing))).toEqual([]);
    expect(differencesOf(change("t.n", nothing, empty))).toEqual([]);
    // Between two that are set there is one.
    expect(differencesOf(change("t.n", { flag: true, number: 0 }, { flag: false, number: 1 }))).toHaveLength(
      2,
    );
  });

  it.each([
    ["of itself", { secret: "s3cret" }, { secret: "0ther" }, { secret: true }],
    [
      "as part of a sensitive whole",
      { block: [{ secret: "s3cret" }] },
      { block: [{ secret: "0ther" }] },
      { block: true },
    ],
    [
      "in a list with one sensitive item",
      { list: ["s3cret", "a"] },
      { list: ["0ther", "a"] },
      { list: [true, false] },
    ],
    ["with all of the resource", { secret: "s3cret" }, { secret: "0ther" }, true],
  ])("does not show what is sensitive %s", (_what, before, after, marks) => {
    for (const side of ["before_sensitive", "after_sensitive"]) {
      const one = change("t.n", before, after, { [side]: marks });
      const text = report("p", review(plan([one])));
      expect(text).toContain("(sensitive)");
      expect(text).not.toMatch(/s3cret|0ther/);
    }
    // Without the mark it shows.
    expect(report("p", review(plan([change("t.n", before, after)])))).toMatch(/s3cret/);
  });

  it("does not show a sensitive policy among the risks", () => {
    const policy = (action: string) => ({
      name: "p",
      policy: JSON.stringify({ Statement: [{ Effect: "Allow", Action: action, Resource: "*" }] }),
    });
    const one = change("aws_iam_policy.p", policy("s3:Get"), policy("s3:S3cret"), {
      after_sensitive: { policy: true },
    });
    const { risks } = review(plan([one]));
    expect(risks.map(({ name }) => name)).toEqual(["unknown-permissions:p"]);
    expect(report("p", review(plan([one])))).not.toMatch(/S3cret/i);
  });
});

describe("what was changed outside Terraform", () => {
  const drift = (more: object) =>
    review({
      ...plan([]),
      resource_drift: [change("aws_vpc.v", { id: "v", tags: { A: "a" } }, { id: "v", tags: { A: "b" } })],
      ...more,
    }).drift;

  it("is told where this plan's changes come from it, or it is gone", () => {
    expect(drift({})).toEqual([]);
    expect(drift({ relevant_attributes: [{ resource: "aws_vpc.v", attribute: ["id"] }] })).toEqual([]);
    expect(drift({ relevant_attributes: [{ resource: "aws_vpc.v", attribute: ["tags", "A"] }] })).toEqual([
      "aws_vpc.v",
    ]);
    expect(drift({ resource_drift: [change("aws_vpc.v", { id: "v" }, null)] })).toEqual(["aws_vpc.v"]);
  });
});

describe("text of a plan", () => {
  it.each([
    ["a`b", "``a`b``"],
    ["``", "``` `` ```"],
    ["a\n# b", "`a⏎# b`"],
    ["\u001b[2Jx", "`\\u{1b}[2Jx`"],
    ["a\u202eb", "`a\\u{202e}b`"],
    ["", '`""`'],
    ["@octocat <img> [x](y) | z", "`@octocat <img> [x](y) | z`"],
  ])("%j cannot leave its place", (value, shown) => {
    expect(code(value)).toBe(shown);
  });

  it("keeps to its line and cell in a whole review", () => {
    const evil = "x`|\n## @all <script>";
    const text = report(
      evil,
      review(
        plan([
          change("aws_nat_gateway.n", null, { tags: { Name: evil } }),
          change(`aws_sagemaker_user_profile.p["${evil}"]`, { user_profile_name: evil }, null),
          change("aws_vpc.v", { tags: { [evil]: "a" } }, { tags: { [evil]: evil } }),
        ]),
      ),
    );
    expect(text).toContain("@all <script>");
    for (const line of text.split("\n").filter((line) => line.includes("@all"))) {
      // What is left of the line without its code spans.
      expect(line.replace(/(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)/g, "")).not.toMatch(/@all|<script>|##? @/);
    }
    expect(text.split("\n").filter((line) => line.startsWith("## "))).toEqual([
      "## Risks",
      "## Changes",
      "## Monthly cost",
    ]);
    const row = text.split("\n").find((line) => line.startsWith("| NAT"));
    expect(row?.match(/(?<!\\)\|/g)).toHaveLength(3);
  });
});

describe("a kind of resource", () => {
  it.each([
    ["aws_scheduler_schedule.daily", {}, "Jobs", "schedule"],
    ["aws_scheduler_schedule_group.group", {}, "Jobs", "scheduler schedule group"],
    ["aws_sqs_queue.dead_letters", {}, "Jobs", "queue"],
    [
      "aws_s3_object.sources",
      { key: "marimo/schedules/daily/0123456789abcdef/a.py" },
      "Jobs",
      "notebook of a schedule",
    ],
    ["aws_s3_object.settings", { key: "marimo/payload/jobs.json" }, "Jobs", "settings of jobs"],
    ["aws_s3_object.current", { key: "marimo/payload/current" }, "Space runtime", "payload"],
    ["aws_s3_object.result", { key: "marimo/jobs/daily/page.html" }, "Storage", "object"],
    ["aws_sns_topic.topic", {}, "Monitoring", "topic"],
    ["aws_sns_topic_policy.policy", {}, "Permissions", "topic policy"],
    ["aws_cloudwatch_event_rule.rule", {}, "Monitoring", "event rule"],
  ])("is known by its type, or its key: %s %o", (address, values, concern, noun) => {
    expect(kindOf(change(address, null, values))).toEqual({ concern, noun });
  });
});

describe("the monthly cost", () => {
  const endpoint = (subnets: number) => ({
    vpc_endpoint_type: "Interface",
    subnet_ids: Array.from({ length: subnets }, (_, i) => `subnet-${i}`),
  });

  it("is what comes less what goes", () => {
    const of = plan([
      change("aws_nat_gateway.n", { id: "nat-1" }, null),
      change("aws_eip.e", {}, null),
      change("aws_vpc_endpoint.sts", null, endpoint(2)),
      change("aws_vpc_endpoint.s3", null, { vpc_endpoint_type: "Gateway" }),
      replaced("aws_kms_key.k", {}, {}),
    ]);
    const { fixed, total, usage } = costsOf(of);
    expect(fixed.map(({ monthly }) => monthly.toFixed(2))).toEqual(["-32.85", "-3.65", "14.60"]);
    expect(total.toFixed(2)).toBe("-21.90");
    expect(usage).toEqual(["NAT gateway: 0.045 a GB", "interface endpoints: 0.01 a GB"]);
  });

  it("knows what schedules cost", () => {
    const of = plan([
      change("aws_scheduler_schedule.daily", null, { name: "daily" }),
      change("aws_scheduler_schedule_group.group", null, { name: "marimo-dev" }),
      change("aws_cloudwatch_metric_alarm.dead_letters", null, { alarm_name: "marimo-dev-dead-letters" }),
      change("aws_sns_topic.topic", { name: "marimo-dev-jobs" }, null),
    ]);
    const { total, usage } = costsOf(of);
    expect(total).toBe(0.1);
    expect(usage).toEqual([
      "SNS: 2.00 for 100,000 e-mails, the first 1,000 a month free",
      "a scheduled job: by the hour, such as 0.115 for ml.m5.large; its start is free",
    ]);
  });

  it("takes the zones of an endpoint from the configuration while its subnets have no ids", () => {
    const references = ["aws_subnet.a.id", "aws_subnet.a", "aws_subnet.b.id", "aws_subnet.b"];
    const of = {
      ...plan([change("aws_vpc_endpoint.sts", null, { vpc_endpoint_type: "Interface" })]),
      configuration: {
        root_module: {
          resources: [{ address: "aws_vpc_endpoint.sts", expressions: { subnet_ids: { references } } }],
        },
      },
    };
    expect(costsOf(of).total.toFixed(2)).toBe("14.60");
  });

  it("says when the prices are another region's", () => {
    const at = (region: string) => ({
      ...plan([change("aws_kms_key.k", null, {})]),
      configuration: {
        provider_config: {
          aws: {
            full_name: "registry.terraform.io/hashicorp/aws",
            expressions: { region: { constant_value: region } },
          },
        },
      },
    });
    expect(report("p", review(at("eu-west-1")))).toContain("This plan is for `eu-west-1`");
    expect(report("p", review(at("us-east-1")))).not.toContain("This plan is for");
  });
});

describe("a range of addresses", () => {
  it.each([
    ["10.0.1.0/24", "10.0.0.0/16", true],
    ["10.0.0.0/16", "10.0.1.0/24", false],
    ["10.1.0.0/24", "10.0.0.0/16", false],
    ["10.0.0.0/8", "0.0.0.0/0", true],
    ["fd00::/64", "::/0", true],
    ["fd00::/64", "0.0.0.0/0", false],
    ["sg-1", "0.0.0.0/0", false],
    ["10.0.0.0/8", "sg-1", false],
  ])("%s within %s: %s", (narrow, wide, within) => {
    expect(isWithin(narrow, wide)).toBe(within);
  });
});
