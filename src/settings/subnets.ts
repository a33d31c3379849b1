import { addressesIn, formatCidr, parseCidr } from "./cidr.ts";

export interface PlannedSubnet {
  readonly zone: string;
  readonly cidr: string;
}

export interface SubnetPlan {
  readonly public: readonly PlannedSubnet[];
  readonly private: readonly PlannedSubnet[];
}

/** A VPC and a subnet are both /16 to /28 (Amazon VPC User Guide, "VPC CIDR blocks" and "Subnet CIDR blocks"). */
export const largestVpc = 16;
export const smallestVpc = 28;

/** The smallest VPC that holds four subnets: four /28. */
export const smallestPlannedVpc = 26;

/** A public subnet holds a NAT gateway and what a team puts beside it: never more than a /24. */
const largestPublicSubnet = 24;

/**
 * The address plan of one VPC. Half of it is the first zone's private subnet, a quarter the second's, and the public
 * subnets begin the last quarter; most of that quarter stays free in a large VPC, for subnets of a team's own. Halves
 * and quarters, since two equal subnets beside anything else could use no more than half of a VPC. The plan depends
 * on nothing but the VPC and its zones: a subnet whose CIDR changes is replaced, and the domain with it.
 */
export function planSubnets(vpcCidr: string, zones: readonly string[]): SubnetPlan {
  const vpc = parseCidr(vpcCidr);
  const [first, second, ...others] = zones;
  if (!vpc || vpc.prefix < largestVpc || vpc.prefix > smallestPlannedVpc) {
    throw new Error(
      `planSubnets: "${vpcCidr}" is not a CIDR block from /${largestVpc} to /${smallestPlannedVpc}`,
    );
  }
  if (first === undefined || second === undefined || others.length > 0) {
    throw new Error(`planSubnets: wants two zones, got ${zones.length}`);
  }

  // Each prefix at least as long as the one before it, so that every subnet starts on a multiple of its own size.
  const publicPrefix = Math.min(smallestVpc, Math.max(largestPublicSubnet, vpc.prefix + 3));
  const [half, quarter] =
    vpc.prefix === smallestPlannedVpc
      ? ([smallestVpc, smallestVpc] as const)
      : ([vpc.prefix + 1, vpc.prefix + 2] as const);
  let next = vpc.first;
  const take = (zone: string, prefix: number): PlannedSubnet => {
    const cidr = formatCidr({ first: next, prefix });
    next += addressesIn(prefix);
    return { zone, cidr };
  };
  return {
    private: [take(first, half), take(second, quarter)],
    public: [take(first, publicPrefix), take(second, publicPrefix)],
  };
}
