import { describe, expect, it } from "vitest";
import {
  addressesIn,
  contains,
  formatCidr,
  networkOf,
  overlap,
  parseCidr,
} from "../../../src/settings/cidr.ts";
import { planSubnets } from "../../../src/settings/subnets.ts";

const zones = ["us-east-1a", "us-east-1b"];

function read(cidr: string) {
  const parsed = parseCidr(cidr);
  if (!parsed) throw new Error(`${cidr} is not a CIDR block`);
  return parsed;
}

describe("planSubnets", () => {
  it("plans the default VPC", () => {
    expect(planSubnets("10.0.0.0/16", zones)).toEqual({
      private: [
        { zone: "us-east-1a", cidr: "10.0.0.0/17" },
        { zone: "us-east-1b", cidr: "10.0.128.0/18" },
      ],
      public: [
        { zone: "us-east-1a", cidr: "10.0.192.0/24" },
        { zone: "us-east-1b", cidr: "10.0.193.0/24" },
      ],
    });
  });

  it("plans the smallest VPC", () => {
    const plan = planSubnets("192.168.255.192/26", zones);
    expect([...plan.private, ...plan.public].map(({ cidr }) => cidr)).toEqual([
      "192.168.255.192/28",
      "192.168.255.208/28",
      "192.168.255.224/28",
      "192.168.255.240/28",
    ]);
  });

  const vpcs = Array.from({ length: 11 }, (_, index) => [`172.31.0.0/${16 + index}`] as const);
  it.each(vpcs)("lays four subnets that AWS takes into %s", (vpcCidr) => {
    const plan = planSubnets(vpcCidr, zones);
    expect(plan.private.map(({ zone }) => zone)).toEqual(zones);
    expect(plan.public.map(({ zone }) => zone)).toEqual(zones);
    const subnets = [...plan.private, ...plan.public].map(({ cidr }) => read(cidr));
    for (const [index, subnet] of subnets.entries()) {
      expect(subnet.prefix).toBeGreaterThanOrEqual(16);
      expect(subnet.prefix).toBeLessThanOrEqual(28);
      expect(networkOf(subnet)).toEqual(subnet);
      expect(contains(read(vpcCidr), subnet)).toBe(true);
      for (const later of subnets.slice(index + 1)) expect(overlap(subnet, later)).toBe(false);
    }
    const sizes = subnets.map(({ prefix }) => addressesIn(prefix));
    expect(Math.min(...sizes.slice(0, 2))).toBeGreaterThanOrEqual(Math.max(...sizes.slice(2)));
  });

  it.each([
    ["10.0.0.0/27", zones, /from \/16 to \/26/],
    ["10.0.0.0/15", zones, /from \/16 to \/26/],
    ["10.0.0.0", zones, /from \/16 to \/26/],
    ["10.0.0.0/16", ["us-east-1a"], /two zones, got 1/],
    ["10.0.0.0/16", ["a", "b", "c"], /two zones, got 3/],
  ])("refuses %s with zones %j", (vpcCidr, someZones, error) => {
    expect(() => planSubnets(vpcCidr, someZones)).toThrow(error);
  });
});

describe("CIDRs", () => {
  it.each(["0.0.0.0/0", "10.0.0.0/8", "128.0.0.0/1", "255.255.255.255/32"])("reads and writes %s", (text) => {
    expect(formatCidr(read(text))).toBe(text);
  });

  it.each([
    "",
    "10.0.0/8",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "1.2.3.4.5/8",
    "10.0.0.0/8\n",
    "٣.0.0.0/8",
  ])("refuses %j", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  it("sees that neighbours do not overlap, above 2^31 too", () => {
    expect(overlap(read("192.168.0.0/17"), read("192.168.128.0/17"))).toBe(false);
    expect(overlap(read("192.168.0.0/16"), read("192.168.255.255/32"))).toBe(true);
    expect(networkOf(read("192.168.255.255/16"))).toEqual(read("192.168.0.0/16"));
  });
});
