import { accessLines } from "./access.ts";
import type { NextStep } from "./apply-command.ts";
import { describeDifference, groupBy, mostOfAKind } from "./changes.ts";
import type { Costs } from "./costs.ts";
import { differencesOf } from "./differences.ts";
import type { Drift, Outcome } from "./drift.ts";
import { kindOf, nameOf } from "./kinds.ts";
import { code, codes, count, joinFirst } from "./markdown.ts";
import { isDestroyed } from "./plan.ts";
import { prices } from "./prices.ts";
import type { Review, Risk } from "./review.ts";

/** The review as Markdown. `of` is its subject. It ends with `next`. */
export function report(of: string, review: Review, next?: NextStep): string {
  const { access, account, risks, changes, drift } = review;
  const sections = [
    `# Plan review: ${code(of)}${account === undefined ? "" : ` in account ${code(account)}`}`,
    summary(review),
    ...(risks.length > 0 ? ["## Risks", ...risks.map(riskText)] : []),
    ...(review.appsNotChecked === undefined
      ? []
      : [`Running apps were not checked (they can block a change): ${code(review.appsNotChecked)}.`]),
    ...(access.length > 0 ? ["## Who can do what", accessLines(access).join("\n")] : []),
    ...(drift.length > 0 ? ["## Changed outside of Terraform", driftText(drift)] : []),
    ...(changes.length > 0
      ? ["## Changes", ...changes.map(({ concern, lines }) => `### ${concern}\n\n${lines.join("\n")}`)]
      : []),
    ...(changes.length > 0 ? ["## Monthly cost", ...costText(review.costs)] : []),
    ...(next === undefined ? [] : ["## Apply", next.words, `\`\`\`bash\n${next.command}\n\`\`\``]),
  ];
  return `${sections.join("\n\n")}\n`;
}

function summary({ risks, counts, changed, costs, drift }: Review): string {
  const totals = Object.entries(counts).flatMap(([verb, number]) =>
    number > 0 ? [`${number} to ${verb}`] : [],
  );
  const open = risks.filter(({ accepted }) => !accepted).length;
  const accepted = risks.length - open;
  const ending = drift.filter((one) => one.outcome !== "kept" && one.risks.length > 0).length;
  if (!changed && risks.length === 0) return "No changes.";
  return [
    !changed
      ? "No changes."
      : totals.length > 0
        ? `**${totals.join(", ")}.**`
        : "**Only outputs or the Terraform state change.**",
    ...(ending > 0
      ? [
          `**${count(ending, "change")} outside of Terraform made a resource less safe until this plan is applied.**`,
        ]
      : []),
    risks.length === 0
      ? `No ${ending > 0 ? "other " : ""}risks found.`
      : `${count(risks.length, "risk")}${accepted > 0 ? `, ${accepted} of them accepted` : ""}${open > 0 ? ": accept each one by name, or change the configuration" : ""}.`,
    ...(changed ? [`Fixed monthly cost: ${dollars(costs.total)}.`] : []),
  ].join(" ");
}

function riskText({ name, title, about, reason, lost, instead, accepted }: Risk): string {
  return [
    `### ${accepted ? "Accepted: " : ""}${title}: ${kindOf(about).noun} ${code(nameOf(about))}`,
    "",
    `${code(name)} · ${code(about.address)}`,
    "",
    `- **Why:** ${reason}`,
    ...(lost === undefined ? [] : [`- **Lost:** ${lost}.`]),
    `- **Instead:** ${instead}.`,
    ...(accepted ? [] : [`- **To accept it:** ${code(`--accept ${name}`)}`]),
  ].join("\n");
}

const outcomes: Readonly<Record<Outcome, string>> = {
  reverted: "This plan reverts it",
  changed: "This plan changes it",
  kept: "This plan keeps it",
};

/** One list item for each resource, and for equal changes of several resources. */
function driftText(drift: readonly Drift[]): string {
  const details = ({ about, outcome, risks }: Drift) =>
    [
      ...(isDestroyed(about)
        ? [`deleted. ${outcome === "kept" ? "This plan does not create it" : "This plan creates it"} again`]
        : differencesOf(about).map((one) => `${describeDifference(one)}. ${outcomes[outcome]}`)),
      ...(outcome === "kept"
        ? []
        : risks.map(
            ({ reason, rule }) => `**Risk until then** (${code(rule.name)}): ${reason.replace(/\.$/, "")}`,
          )),
    ]
      .map((line) => `  - ${line}.`)
      .join("\n");
  const groups = groupBy(drift, (one) => `${kindOf(one.about).noun}\n${details(one)}`);
  return groups
    .flatMap(([first, ...others]) => {
      if (first === undefined) return [];
      const { about } = first;
      const names = [about, ...others.map((one) => one.about)].map((one) =>
        nameOf(one) === one.address ? code(one.address) : `${code(nameOf(one))} (${code(one.address)})`,
      );
      const noun = kindOf(about).noun;
      return `- ${others.length === 0 ? noun : `${count(names.length, noun)}:`} ${joinFirst(names, mostOfAKind)}\n${details(first)}`;
    })
    .join("\n");
}

function costText({ fixed, total, usage, otherRegion }: Costs): readonly string[] {
  const table = [
    "| What | US dollars a month |",
    "|---|---:|",
    ...fixed.map(
      ({ about, monthly }) =>
        `| ${cell(`${kindOf(about).noun} ${code(nameOf(about))}`)} | ${dollars(monthly)} |`,
    ),
    `| **Total** | **${dollars(total)}** |`,
  ].join("\n");
  const region =
    otherRegion === undefined ? "" : ` This plan is for ${code(otherRegion)}, where prices differ.`;
  return [
    fixed.length > 0 ? table : "This plan adds and removes nothing that has a fixed monthly price.",
    ...(usage.length > 0 ? [`Not included, because it depends on use or age: ${usage.join("; ")}.`] : []),
    `Prices: ${prices.region}, ${prices.date}, public pricing pages. An estimate, not a quote.${region}`,
  ];
}

const dollars = (amount: number) => `${amount < 0 ? "−" : "+"}${Math.abs(amount).toFixed(2)}`;
/** A `|` ends a table cell, even inside a code span. */
const cell = (text: string) => text.replaceAll("|", "\\|");

/** The message for `--accept` names that match no risk. */
export function unknownNamesText({ unknownNames, risks }: Review): string {
  const available =
    risks.length > 0
      ? `its risks are:\n${risks.map(({ name }) => `    ${name}`).join("\n")}`
      : "it has no risks";
  return `This plan has no risk ${codes(unknownNames)}; ${available}`;
}
