import { describe, expect, it } from "vitest";
import { acceptProblems } from "../../../src/plan-review/accept-option.ts";
import { costsOf } from "../../../src/plan-review/costs.ts";
import { differencesOf } from "../../../src/plan-review/differences.ts";
import { kindOf } from "../../../src/plan-review/kinds.ts";
import { code } from "../../../src/plan-review/markdown.ts";
import { readPlan, type Values } from "../../../src/plan-review/plan.ts";
import { dollars, prices } from "../../../src/plan-review/prices.ts";
import { report, unknownNamesText } from "../../../src/plan-review/report.ts";
import { statusOf } from "../../../src/plan-review/review.ts";
import { rules } from "../../../src/plan-review/risks/index.ts";
import { isWithin } from "../../../src/plan-review/traffic.ts";
import { readDoc } from "../../support/docs.ts";
import { change, plan, replaced, review } from "../../support/plan-fixture.ts";

const profileAt = (name: string) => `aws_sagemaker_user_profile.studio_profiles["${name}"]`;
const removed = change(profileAt("ana"), { user_profile_name: "ana" }, null);
const risk = "replaced-user-profile:studio_profiles.ana";

describe("the JSON of a plan", () => {
  const of = (more: object) => JSON.stringify({ ...plan([]), ...more });

  it.each(["0.1", "1.2", "1.99"])("is read in format %s", (format_version) => {
    expect(readPlan(of({ format_version }), "p").format_version).toBe(format_version);
  });

  it.each([
    ["not JSON", "{", /p is not valid JSON/],
    [
      "another format",
      of({ format_version: "2.0" }),
      /format_version "2\.0"\. The review supports 0\.x and 1\.x/,
    ],
    ["not a plan", "{}", /no format_version/],
    ["null", "null", /no format_version/],
    ["a state", '{"format_version":"1.0","values":{}}', /is not a plan/],
    [
      "a change without actions",
      of({ resource_changes: [{ address: "a.b", type: "a", change: {} }] }),
      /without address, type or actions/,
    ],
    ["a plan that failed", of({ errored: true }), /not a complete plan/],
    ["a partial plan", of({ complete: false }), /not a complete plan/],
  ])("is rejected if it is %s", (_what, text, message) => {
    expect(() => readPlan(text, "p")).toThrow(message);
  });
});

describe("the exit status", () => {
  it("is 0 without a change, also if a data source is read", () => {
    const data = { ...change("aws_iam_policy_document.d", null, null), mode: "data" as const };
    const nothing = change("aws_vpc.v", { id: "a" }, { id: "a" }, { actions: ["no-op"] });
    expect(statusOf(review(plan([data, nothing])))).toBe(0);
  });

  it("is 4 for a change of any kind", () => {
    expect(statusOf(review(plan([change("aws_vpc.v", {}, { tags: {} })])))).toBe(4);
    expect(
      statusOf(
        review({ ...plan([]), output_changes: { url: { actions: ["update"], before: 1, after: 2 } } }),
      ),
    ).toBe(4);
    expect(statusOf(review({ ...plan([]), applyable: true }))).toBe(4);
    const moved = change("aws_vpc.v", {}, {}, { actions: ["no-op"], previous_address: "aws_vpc.w" });
    expect(statusOf(review(plan([moved])))).toBe(4);
  });

  it("is 3 until every risk is accepted by name", () => {
    const both = plan([removed, change(profileAt("bo"), { user_profile_name: "bo" }, null)]);
    expect(statusOf(review(both))).toBe(3);
    expect(statusOf(review(both, { accept: [risk] }))).toBe(3);
    expect(statusOf(review(both, { accept: [risk, "replaced-user-profile:studio_profiles.bo"] }))).toBe(4);
  });

  it("is 1 for an unknown risk name, and the message lists the risks", () => {
    const mistyped = review(plan([removed]), { accept: ["replaced-user-profile"] });
    expect(statusOf(mistyped)).toBe(1);
    expect(unknownNamesText(mistyped)).toBe(
      `This plan has no risk \`replaced-user-profile\`; its risks are:\n    ${risk}`,
    );
    expect(unknownNamesText(review(plan([]), { accept: ["a"] }))).toContain("it has no risks");
  });

  it("rejects names that no plan can have before there is a plan", () => {
    expect(
      acceptProblems({ accept: [risk, "replaced-user-profile", "replaced:studio_profiles.ana"] }, rules),
    ).toEqual(
      ["replaced-user-profile", "replaced:studio_profiles.ana"].map(
        (name) =>
          `--accept must be a name from a review, such as replaced-domain:studio_domain, got "${name}"`,
      ),
    );
    expect(acceptProblems({}, rules)).toEqual([]);
  });

  it("gives unique names to two risks that would have the same name", () => {
    const profiles = ["a.b", "a/b"].map((name) => change(profileAt(name), { user_profile_name: name }, null));
    const names = review(plan(profiles)).risks.map(({ name }) => name);
    expect(names).toEqual([
      "replaced-user-profile:studio_profiles.a.b",
      "replaced-user-profile:studio_profiles.a.b.2",
    ]);
  });
});

describe("the changes in a report", () => {
  const at = (name: string) => profileAt(name);
  const reported = (...changes: Parameters<typeof plan>[0]) => report("p", review(plan(changes)));

  it("show a tag that becomes a default tag with its new value", () => {
    const before = { tags: { CostCentre: "42" }, tags_all: { CostCentre: "42" } };
    const after = { tags: {}, tags_all: { CostCentre: "43" } };
    expect(reported(change("aws_vpc.v", before, after))).toContain("`tags.CostCentre`: `42` → `43`");
    // Control: a tag that is gone.
    expect(reported(change("aws_vpc.v", before, { tags: {}, tags_all: {} }))).toContain(
      "`tags.CostCentre`: `42` → `nothing`",
    );
  });

  it("show long values from shortly before their first difference", () => {
    const long = "a".repeat(500);
    const text = reported(change("aws_vpc.v", { description: `${long}1` }, { description: `${long}2` }));
    expect(text).toContain(`\`…${"a".repeat(20)}1\` → \`…${"a".repeat(20)}2\``);
    expect(reported(change("aws_vpc.v", { description: "one" }, { description: "two" }))).toContain(
      "`one` → `two`",
    );
  });

  it("show what a list has more and less, and its whole where only the order changes", () => {
    const lists = (before: string[], after: string[]) =>
      reported(change("aws_vpc.v", { types: before }, { types: after }));
    expect(lists(["a", "b"], ["b", "c"])).toContain("`types`: adds `c`; removes `a`");
    expect(lists(["a", "b"], ["b", "a"])).toContain('`types`: `["a","b"]` → `["b","a"]`');
  });

  it("are one line where they are equal", () => {
    const people = Array.from({ length: 30 }, (_, index) => `user-${index}`);
    const idle = (name: string, minutes: number) => ({ user_profile_name: name, minutes });
    const text = reported(
      ...people.map((name) => change(at(name), idle(name, 60), idle(name, 90))),
      change(at("eve"), idle("eve", 60), idle("eve", 120)),
    );
    expect(text.match(/`60` → `90`/g)).toHaveLength(1);
    expect(text).toMatch(/- change 30 user profiles: `user-0`; `user-1`; .*; and 10 more\n/);
    expect(text).toMatch(/- change user profile `eve`/);
  });
});

describe("the differences of a change", () => {
  it("are listed by attribute, in nested blocks and lists", () => {
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
      {
        path: "list",
        before: '["p"]',
        after: '["p","q"]',
        items: { added: ["q"], removed: [] },
      },
      { path: "many[1].n", before: "2", after: "3" },
    ]);
  });

  it("mark values that are known only after the apply", () => {
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

  it("do not include a change between an empty value and one that is not set", () => {
    const empty = { text: "", list: [], map: {}, flag: false, number: 0 };
    const nothing = { text: null, list: null, map: null, flag: null };
    expect(differencesOf(change("t.n", empty, nothing))).toEqual([]);
    expect(differencesOf(change("t.n", nothing, empty))).toEqual([]);
    // A change between two set values is included.
    expect(differencesOf(change("t.n", { flag: true, number: 0 }, { flag: false, number: 1 }))).toHaveLength(
      2,
    );
  });

  it.each([
    ["itself", { secret: "s3cret" }, { secret: "0ther" }, { secret: true }],
    [
      "as part of a sensitive block",
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
    ["as part of a sensitive resource", { secret: "s3cret" }, { secret: "0ther" }, true],
  ])("do not show a value that is sensitive %s", (_what, before, after, marks) => {
    for (const side of ["before_sensitive", "after_sensitive"]) {
      const one = change("t.n", before, after, { [side]: marks });
      const text = report("p", review(plan([one])));
      expect(text).toContain("(sensitive)");
      expect(text).not.toMatch(/s3cret|0ther/);
    }
    // Without the mark, the value is shown.
    expect(report("p", review(plan([change("t.n", before, after)])))).toMatch(/s3cret/);
  });

  it("do not show a sensitive policy in the risks", () => {
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

describe("a value of a plan", () => {
  it.each([
    ["a`b", "``a`b``"],
    ["``", "``` `` ```"],
    ["a\n# b", "`a⏎# b`"],
    ["\u001b[2Jx", "`\\u{1b}[2Jx`"],
    ["a\u202eb", "`a\\u{202e}b`"],
    ["", '`""`'],
    ["@octocat <img> [x](y) | z", "`@octocat <img> [x](y) | z`"],
  ])("%j cannot break out of its code span", (value, shown) => {
    expect(code(value)).toBe(shown);
  });

  it("stays in its line and table cell in a complete review", () => {
    const hostile = "x`|\n## @all <script>";
    const text = report(
      hostile,
      review(
        plan([
          change("aws_nat_gateway.n", null, { tags: { Name: hostile } }),
          change(`aws_sagemaker_user_profile.p["${hostile}"]`, { user_profile_name: hostile }, null),
          change("aws_vpc.v", { tags: { [hostile]: "a" } }, { tags: { [hostile]: hostile } }),
        ]),
      ),
    );
    expect(text).toContain("@all <script>");
    for (const line of text.split("\n").filter((line) => line.includes("@all"))) {
      // The rest of the line, without its code spans.
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

describe("the kind of a resource", () => {
  it.each([
    ["aws_scheduler_schedule.daily", {}, "Jobs", "schedule"],
    ["aws_scheduler_schedule_group.group", {}, "Jobs", "schedule group"],
    ["aws_sqs_queue.dead_letters", {}, "Jobs", "queue"],
    [
      "aws_s3_object.sources",
      { key: "marimo/schedules/daily/0123456789abcdef/a.py" },
      "Jobs",
      "notebook of a schedule",
    ],
    ["aws_s3_object.settings", { key: "marimo/payload/jobs.json" }, "Jobs", "settings of jobs"],
    [
      "aws_s3_object.list",
      { key: "marimo/payload/inference-profiles.json" },
      "Space runtime",
      "list of inference profiles",
    ],
    ["aws_bedrock_inference_profile.nova", {}, "Space runtime", "inference profile"],
    ["aws_s3_object.current", { key: "marimo/payload/current" }, "Space runtime", "payload"],
    ["aws_s3_object.result", { key: "shared/jobs/daily/page.html" }, "Storage", "object"],
    ["aws_sns_topic.topic", {}, "Monitoring", "topic"],
    ["aws_sns_topic_policy.policy", {}, "Permissions", "topic policy"],
    ["aws_cloudwatch_event_rule.rule", {}, "Monitoring", "event rule"],
  ])("is found by its type or key: %s %o", (address, values, concern, noun) => {
    expect(kindOf(change(address, null, values))).toEqual({ concern, noun });
  });
});

describe("the monthly cost", () => {
  const endpoint = (subnets: number) => ({
    vpc_endpoint_type: "Interface",
    subnet_ids: Array.from({ length: subnets }, (_, i) => `subnet-${i}`),
  });

  it("is the cost of added resources less the cost of removed ones", () => {
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

  it.each([
    ["with rotation", true, ["KMS key: 2.00 a month after its first rotation, 3.00 after its second"]],
    ["without rotation", false, []],
  ])("of a key %s starts at 1.00", (_, enable_key_rotation, later) => {
    const { total, usage } = costsOf(plan([change("aws_kms_key.k", null, { enable_key_rotation })]));
    expect(total).toBe(1);
    expect(usage).toEqual(later);
  });

  it("includes the price of backups where they are turned on or off, and not where they stay", () => {
    const at = 'aws_s3_object.payload_generated["settings.env"]';
    const on = (key: string) => ({ key, content: 'MARIMO_HOME_BACKUP={"maximumSizeGb":5}\n' });
    const usage = (before: Values, after: Values) => costsOf(plan([replaced(at, before, after)])).usage;
    const price = ["backups of homes: 0.023 a GB; replaced and deleted versions count for 90 days"];
    expect(usage({ key: "1", content: "" }, on("2"))).toEqual(price);
    expect(usage(on("1"), { key: "2", content: "" })).toEqual(price);
    expect(usage(on("1"), on("2"))).toEqual([]);
  });

  it("includes the prices of schedules", () => {
    const of = plan([
      change("aws_scheduler_schedule.daily", null, { name: "daily" }),
      change("aws_scheduler_schedule_group.group", null, { name: "marimo-dev" }),
      change("aws_cloudwatch_metric_alarm.dead_letters", null, { alarm_name: "marimo-dev-dead-letters" }),
      change("aws_sns_topic.topic", { name: "marimo-dev-jobs" }, null),
    ]);
    const { total, usage } = costsOf(of);
    expect(total).toBe(0.1);
    expect(usage).toEqual([
      "SNS: 2.00 per 100,000 e-mails, the first 1,000 a month are free",
      "scheduled job: by the hour, for example 0.115 for ml.m5.large; the schedule itself is free",
    ]);
  });

  it("counts the zones of an endpoint in the configuration while its subnets have no IDs", () => {
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

  it("is in README.md with the same prices", () => {
    const { hourly, hoursOfMonth, instances, monthly, perGigabyte } = prices;
    const month = (perHour: number) => (perHour * hoursOfMonth).toFixed(2);
    const zone = hourly.natGateway + hourly.publicAddress;
    const endpoints = (count: number) => month(count * 2 * hourly.interfaceEndpointInOneZone);
    const table = readDoc("README.md");
    for (const [what, cost] of [
      ["one NAT gateway", `${month(zone)} + ${dollars(perGigabyte.natGateway)} a GB`],
      ["nat-per-zone", `${month(2 * zone)} + ${dollars(perGigabyte.natGateway)} a GB`],
      ["five interface endpoints", `${endpoints(5)} + ${dollars(perGigabyte.interfaceEndpoint)} a GB`],
      ["two more endpoints", `${endpoints(2)} + ${dollars(perGigabyte.interfaceEndpoint)} a GB`],
      [
        "Encryption key",
        `${dollars(monthly.key)}; ${dollars(monthly.keyRotatedOnce)} after its first rotation, ${dollars(monthly.keyRotatedTwice)} after`,
      ],
      ["| Bucket", `${dollars(perGigabyte.bucket)} a GB`],
      ["Home file system", `${dollars(perGigabyte.homeFileSystem)} a GB`],
      ["Flow logs", `${dollars(perGigabyte.logs)} a GB`],
      ["Audit trail", `${dollars(prices.per100000DataEvents)} per 100,000 writes`],
      ["Jobs, schedules", `${dollars(monthly.alarm)} with schedules; jobs by the second, ml.m5.large`],
      ["Jobs, schedules", `ml.m5.large ${dollars(instances["ml.m5.large"])} an hour`],
      ["Space volumes", `${dollars(perGigabyte.spaceVolume)} a GB`],
      ["Running spaces", `${dollars(prices.spaces.hourly["ml.t3.medium"])} an hour`],
    ] as const)
      expect(table.split("\n").find((line) => line.startsWith("|") && line.includes(what))).toContain(cost);
    expect(table).toContain(`Public prices in ${prices.region}, read in ${prices.date}.`);
  });

  it("notes that the prices are for another region", () => {
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

describe("an address range", () => {
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
