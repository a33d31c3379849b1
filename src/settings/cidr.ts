/** An IPv4 block as numbers: its first address and the length of its prefix. */
export interface Cidr {
  readonly first: number;
  readonly prefix: number;
}

const octet = "(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])";
const pattern = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}/(0|[1-9]|[12][0-9]|3[0-2])$`);

/** How many addresses a block of this prefix has. */
export const addressesIn = (prefix: number): number => 2 ** (32 - prefix);

/** Reads `a.b.c.d/prefix`; undefined where the text is not that. Addresses are numbers below 2^32, never signed. */
export function parseCidr(text: string): Cidr | undefined {
  const match = pattern.exec(text);
  if (!match) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, prefix = 0] = match.slice(1).map(Number);
  return { first: ((a * 256 + b) * 256 + c) * 256 + d, prefix };
}

export function formatCidr({ first, prefix }: Cidr): string {
  const octets = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256);
  return `${octets.join(".")}/${prefix}`;
}

/** The block of this prefix that holds the address: what AWS would make of a block with host bits set. */
export function networkOf({ first, prefix }: Cidr): Cidr {
  return { first: first - (first % addressesIn(prefix)), prefix };
}

const lastOf = ({ first, prefix }: Cidr): number => first + addressesIn(prefix) - 1;

export function overlap(one: Cidr, other: Cidr): boolean {
  return one.first <= lastOf(other) && other.first <= lastOf(one);
}

export function contains(outer: Cidr, inner: Cidr): boolean {
  return outer.first <= inner.first && lastOf(inner) <= lastOf(outer);
}
