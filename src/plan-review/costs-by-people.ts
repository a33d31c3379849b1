import type { ResolvedEnvironment } from "../settings/environment.ts";
import { costsOf } from "./costs.ts";
import { kindOf } from "./kinds.ts";
import type { Plan } from "./plan.ts";
import { dollars, prices } from "./prices.ts";

/** The `resource` block of a synthesized stack. */
export type Resources = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface CostsByPeopleProps {
  readonly environment: ResolvedEnvironment;
  readonly resources: Resources;
  readonly people: readonly number[];
  /** Hours in a month that each person's space runs. */
  readonly hours: number;
}

export const defaultHours = 80;
/** Assumed for each person: objects in the bucket, and downloads that leave the VPC in a month. */
const assumed = { bucketGb: 5, trafficGb: 10 };

export interface CostsByPeople {
  /** Markdown. */
  readonly table: string;
  readonly assumptions: readonly string[];
  /** Prices of what depends on use and is not in the table. */
  readonly usage: readonly string[];
}

/** What an environment costs a month with these numbers of people. The resources are the same for any number. */
export function costsByPeople(props: CostsByPeopleProps): CostsByPeople {
  const { environment, hours, people, resources } = props;
  const type = environment.defaultInstanceType;
  const volumeGb = environment.guardRails.spaceVolumeGb.default;
  const { fixed, usage } = costsOf(planOf(resources));
  const own = hourlyOfSpace(type);
  const perGb = prices.perGigabyte;
  const traffic =
    resources.aws_nat_gateway === undefined
      ? (["interface endpoints", perGb.interfaceEndpoint] as const)
      : (["NAT gateway", perGb.natGateway] as const);
  const hasTraffic = fixed.some(({ about }) => /^aws_(nat_gateway|vpc_endpoint)$/.test(about.type));
  const nouns = [...new Set(fixed.map(({ about }) => kindOf(about).noun))];
  const rows: (readonly [what: string, fixed: number, each: number])[] = [
    ...nouns.map((noun) => {
      const of = fixed.filter(({ about }) => kindOf(about).noun === noun);
      return [`${of.length} × ${noun}`, of.reduce((sum, { monthly }) => sum + monthly, 0), 0] as const;
    }),
    [`each: ${hours} hours on ${type}`, 0, hours * (own.price ?? 0)],
    [`each: space volume of ${volumeGb} GB`, 0, volumeGb * perGb.spaceVolume],
    [`each: ${assumed.bucketGb} GB in the bucket`, 0, assumed.bucketGb * perGb.bucket],
    ...(hasTraffic
      ? [[`each: ${assumed.trafficGb} GB by the ${traffic[0]}`, 0, assumed.trafficGb * traffic[1]] as const]
      : []),
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const amounts = (of: readonly (typeof rows)[number][]) =>
    people.map((count) => of.reduce((sum, [, once, each]) => sum + once + count * each, 0).toFixed(2));
  return {
    table: [
      line(["US dollars a month", ...people.map((count) => (count === 1 ? "1 person" : `${count} people`))]),
      line(["---", ...people.map(() => "---:")]),
      ...rows.map((row) => line([row[0], ...amounts([row])])),
      line(["**Total**", ...amounts(rows).map((amount) => `**${amount}**`)]),
    ].join("\n"),
    assumptions: [
      `each person has one space with a volume of ${volumeGb} GB, which costs also while the space is stopped`,
      `each space runs ${hours} hours a month on ${type}: ${own.text}`,
      `each person has ${assumed.bucketGb} GB in the bucket` +
        (hasTraffic ? ` and ${assumed.trafficGb} GB a month by the ${traffic[0]}` : ""),
      `prices of ${prices.region}, ${prices.date}, public price lists; an estimate, not a quote` +
        (environment.region === prices.region ? "" : `. ${environment.region} has other prices`),
    ],
    usage,
  };
}

/** What the stack's resources cost a month, without what depends on use. */
export const monthlyOf = (resources: Resources): number => costsOf(planOf(resources)).total;

function hourlyOfSpace(type: string): { readonly price: number | undefined; readonly text: string } {
  const inTable = (table: Readonly<Record<string, number>>) => table[type];
  const own = inTable(prices.spaces.hourly);
  if (own !== undefined) return { price: own, text: `${dollars(own)} an hour, Studio's own price` };
  const job = inTable(prices.instances);
  if (job === undefined) return { price: undefined, text: "its price is not known and not counted" };
  return { price: job, text: `${dollars(job)} an hour, the price of a job: Studio's own is not known here` };
}

/** A plan that creates all resources. */
const planOf = (resources: Resources) =>
  ({
    format_version: "1.0",
    resource_changes: Object.entries(resources).flatMap(([type, blocks]) =>
      Object.entries(blocks).map(([name, after]) => ({
        ...{ address: `${type}.${name}`, mode: "managed", type, name },
        change: { actions: ["create"], before: null, after },
      })),
    ),
  }) as Plan;
