import type { Costs } from "./costs.ts";
import { kindOf, nameOf } from "./kinds.ts";
import { code, codes, count, some } from "./markdown.ts";
import { prices } from "./prices.ts";
import type { Review, Risk } from "./review.ts";

/** The review as Markdown. `of` names what is reviewed. */
export function report(of: string, review: Review): string {
  const { risks, changes, drift } = review;
  const sections = [
    `# Plan review: ${code(of)}`,
    summary(review),
    ...(risks.length > 0 ? ["## Risks", ...risks.map(riskText)] : []),
    ...(review.appsNotAsked === undefined
      ? []
      : [`Whether an app that runs blocks a change was not asked: ${code(review.appsNotAsked)}.`]),
    ...(changes.length > 0
      ? ["## Changes", ...changes.map(({ concern, lines }) => `### ${concern}\n\n${lines.join("\n")}`)]
      : []),
    ...(drift.length > 0
      ? [`Changed outside Terraform since the last apply: ${some(drift.map(code), 12)}.`]
      : []),
    ...(changes.length > 0 ? ["## Monthly cost", ...costText(review.costs)] : []),
  ];
  return `${sections.join("\n\n")}\n`;
}

function summary({ risks, counts, changed, costs }: Review): string {
  if (!changed) return "No changes.";
  const told = Object.entries(counts).flatMap(([verb, number]) =>
    number > 0 ? [`${number} to ${verb}`] : [],
  );
  const open = risks.filter(({ accepted }) => !accepted).length;
  const accepted = risks.length - open;
  return [
    told.length > 0 ? `**${told.join(", ")}.**` : "**Only outputs or Terraform's own state change.**",
    risks.length === 0
      ? "No risk found."
      : `${count(risks.length, "risk")}${accepted > 0 ? `, of which ${accepted} accepted` : ""}${open > 0 ? ": accept each by its name, or change the plan" : ""}.`,
    `Fixed monthly cost: ${dollars(costs.total)}.`,
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

function costText({ fixed, total, usage, otherRegion }: Costs): readonly string[] {
  const table = [
    "| What | US dollars a month |",
    "|---|---:|",
    ...fixed.map(
      ({ about, monthly }) =>
        `| ${cell(`${kindOf(about).noun} ${code(nameOf(about))}`)} | ${dollars(monthly)} |`,
    ),
    `| **together** | **${dollars(total)}** |`,
  ].join("\n");
  const region =
    otherRegion === undefined ? "" : ` This plan is for ${code(otherRegion)}, where they differ.`;
  return [
    fixed.length > 0 ? table : "Nothing that has a fixed monthly price comes or goes.",
    ...(usage.length > 0 ? [`Paid by use, so not in this sum: ${usage.join("; ")}.`] : []),
    `Prices: ${prices.region}, ${prices.date}, public price pages; to plan with, not a quote.${region}`,
  ];
}

const dollars = (amount: number) => `${amount < 0 ? "−" : "+"}${Math.abs(amount).toFixed(2)}`;
/** A `|` ends a table's cell even inside code. */
const cell = (text: string) => text.replaceAll("|", "\\|");

/** What is wrong with the names to accept, all at once. */
export function unknownNamesText({ unknownNames, risks }: Review): string {
  const there =
    risks.length > 0
      ? `its risks are:\n${risks.map(({ name }) => `    ${name}`).join("\n")}`
      : "it has no risk";
  return `This plan has no risk ${codes(unknownNames)}; ${there}`;
}
