import { type Cost, type CostKind, costKinds } from "./cost.ts";

/** The costs of one environment. */
export interface EnvironmentCosts {
  readonly environment: string;
  readonly costs: readonly Cost[];
}

export interface CostRow {
  readonly environment: string;
  readonly person: string | undefined;
  readonly kind: CostKind;
  readonly billed: number;
  readonly estimated: number;
}

const sum = (costs: readonly Cost[]) => costs.reduce((total, { usd }) => total + usd, 0);

/** A row for each person and kind that costs something, people by name and what is nobody's last. */
export function rowsOf(all: readonly EnvironmentCosts[]): readonly CostRow[] {
  return all.flatMap(({ environment, costs }) =>
    peopleOf(costs).flatMap((person) =>
      costKinds.flatMap((kind) => {
        const own = costs.filter((cost) => cost.person === person && cost.kind === kind);
        const row = {
          ...{ environment, person, kind },
          billed: sum(own.filter(({ estimated }) => !estimated)),
          estimated: sum(own.filter(({ estimated }) => estimated)),
        };
        return Math.abs(row.billed) + row.estimated < 0.000_000_5 ? [] : [row];
      }),
    ),
  );
}

function peopleOf(costs: readonly Cost[]): readonly (string | undefined)[] {
  const names = [...new Set(costs.flatMap(({ person }) => person ?? []))].sort();
  return costs.some(({ person }) => person === undefined) ? [...names, undefined] : names;
}

/** Markdown: a line for each person, and the sums of each environment and of all. */
export function costTable(rows: readonly CostRow[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const amounts = (of: readonly CostRow[]) => {
    const total = (kind?: CostKind) =>
      of
        .filter((row) => kind === undefined || row.kind === kind)
        .reduce((so, { billed, estimated }) => so + billed + estimated, 0);
    const estimated = of.reduce((so, row) => so + row.estimated, 0);
    return [...costKinds.map((kind) => total(kind)), total(), estimated].map((usd) => usd.toFixed(2));
  };
  const environments = [...new Set(rows.map(({ environment }) => environment))];
  return [
    line(["US dollars", "person", ...costKinds, "total", "of it estimated"]),
    line(["---", "---", ...costKinds.map(() => "---:"), "---:", "---:"]),
    ...environments.flatMap((environment) => {
      const own = rows.filter((row) => row.environment === environment);
      const people = [...new Set(own.map(({ person }) => person))];
      const lines = people.map((person) =>
        line([environment, person ?? "(no person)", ...amounts(own.filter((row) => row.person === person))]),
      );
      return [...lines, line([`**${environment}**`, "", ...amounts(own)])];
    }),
    ...(environments.length > 1 ? [line(["**Total**", "", ...amounts(rows)])] : []),
  ].join("\n");
}

/** RFC 4180. What belongs to no person has an empty cell. */
export function costCsv(month: string, rows: readonly CostRow[]): string {
  const cell = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [
    ["month", "environment", "person", "kind", "billed_usd", "estimated_usd"],
    ...rows.map(({ environment, person = "", kind, billed, estimated }) => [
      ...[month, environment, person, kind],
      ...[billed, estimated].map((usd) => usd.toFixed(6)),
    ]),
  ];
  return lines.map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}
