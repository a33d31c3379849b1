import { basicDefaults } from "./basics.ts";
import { addressesIn, type Cidr, contains, formatCidr, networkOf, overlap, parseCidr } from "./cidr.ts";
import { hasOwnNetwork } from "./existing-lookup.ts";
import {
  type Check,
  type Checks,
  checkBoolean,
  isList,
  isString,
  oneOf,
  quote,
  type Resolved,
  type Untyped,
} from "./problems.ts";
import { isRegion } from "./reference/regions.ts";
import { largestVpc, planSubnets, smallestPlannedVpc, smallestVpc } from "./subnets.ts";

/** How the private subnets reach destinations outside the VPC. */
const egresses = ["nat", "nat-per-zone", "endpoints-only"] as const;
export type Egress = (typeof egresses)[number];

/** The VPC that the stack creates. */
export interface NetworkSettings {
  /**
   * Address range of the VPC. Environments in one Region must not overlap. Cannot change later: the domain would be
   * replaced.
   * Limit: private (RFC 1918), /16 to /26, not 172.17.0.0/16, which SageMaker uses; four private addresses for each
   * user (Amazon VPC User Guide, "VPC CIDR blocks").
   * @default "10.0.0.0/16"
   */
  readonly vpcCidr?: string;

  /**
   * Names of the two Availability Zones. List those of the account with `aws ec2 describe-availability-zones`: in
   * us-west-1 and ap-northeast-1, accounts lack one of the letters. Cannot change later: the domain would be replaced.
   * Limit: two different zones of the Region.
   * @default the Region's `a` and `b`
   */
  readonly availabilityZones?: readonly string[];

  /**
   * How private subnets reach the internet: through one NAT gateway, one for each zone, or not at all (interface
   * endpoints for AWS services only).
   * Limit: `nat`, `nat-per-zone` or `endpoints-only`.
   * @default "nat"
   */
  readonly egress?: Egress;

  /**
   * Whether the roles of spaces and jobs use S3, and SageMaker's pipelines, lists of jobs and endpoints, only through the
   * VPC's endpoints: credentials that someone takes away are of no use elsewhere. It also refuses what people do with
   * these roles outside the VPC: Studio's own pages of jobs and pipelines, its browser of S3, and presigned S3 URLs that
   * are opened elsewhere. Jobs can still be started, described and stopped from anywhere, because SageMaker Pipelines and
   * EventBridge Scheduler start them as the user from AWS's network, and so can spaces. That SageMaker reads and writes the
   * data of jobs through the VPC was not verified on AWS: set `false` if jobs fail with AccessDenied on S3.
   * Limit: true only with `egress: "endpoints-only"` and a VPC that the stack creates, whose endpoints it knows.
   * @default true with `endpoints-only`
   */
  readonly dataPerimeter?: boolean;
}

export type ResolvedNetwork = Resolved<NetworkSettings>;

const networkDefaults = { vpcCidr: "10.0.0.0/16", egress: "nat" } as const;

export const resolveNetwork = (
  { availabilityZones, dataPerimeter, egress, vpcCidr }: NetworkSettings,
  region: string,
): ResolvedNetwork => ({
  vpcCidr: vpcCidr ?? networkDefaults.vpcCidr,
  availabilityZones: availabilityZones ?? [`${region}a`, `${region}b`],
  egress: egress ?? networkDefaults.egress,
  dataPerimeter: dataPerimeter ?? egress === "endpoints-only",
});

const known = (text: string): Cidr => parseCidr(text) as Cidr;
const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(known);
/** Docker's bridge in Studio's instances. */
const dockerRange = known("172.17.0.0/16");

const guide = 'Amazon VPC User Guide, "VPC CIDR blocks"';
const shapeRule = { allowed: 'an IPv4 network such as "10.0.0.0/16"', source: guide };
const sizeRule = { allowed: `size /${largestVpc} to /${smallestVpc}`, source: guide };
const rangeRule = {
  allowed: `a network within ${privateRanges.map(formatCidr).join(", ")}`,
  source: "RFC 1918",
};
const dockerRule = { allowed: `a network that does not overlap ${formatCidr(dockerRange)}`, source: guide };

/**
 * AWS recommends two to four; the most of them, since a subnet cannot grow (SageMaker Developer Guide, "Connect Amazon
 * SageMaker Studio in a VPC to External Resources").
 */
const addressesPerUser = 4;
/** The first four and the last of every subnet (Amazon VPC User Guide, "Subnet CIDR blocks"). */
const reservedByAws = 5;
/** One mount target of the domain's file system. */
const mountTargets = 1;
/** Interface endpoints, an address each: more than `endpoints-only` has, since a subnet cannot grow with the stack. */
const interfaceEndpoints = 12;

/** How many users the private subnets of a VPC have room for. */
function roomForUsers(vpcCidr: string, egress: unknown): number {
  const taken = reservedByAws + mountTargets + (egress === "endpoints-only" ? interfaceEndpoints : 0);
  const free = planSubnets(vpcCidr, ["a", "b"]).private.map(({ cidr }) => {
    return Math.max(0, addressesIn(known(cidr).prefix) - taken);
  });
  return Math.floor(free.reduce((sum, addresses) => sum + addresses, 0) / addressesPerUser);
}

const checkVpcCidr: Check = (value, report) => {
  if (!isString(value, report, shapeRule)) return;
  const vpc = parseCidr(value);
  if (!vpc) return report(value, "is not an IPv4 network", shapeRule);
  const network = networkOf(vpc);
  if (network.first !== vpc.first) {
    const rule = { ...shapeRule, allowed: `the network's own address, here "${formatCidr(network)}"` };
    report(value, "has bits set beyond its prefix", rule);
  }
  if (vpc.prefix < largestVpc || vpc.prefix > smallestVpc) report(value, `has size /${vpc.prefix}`, sizeRule);
  if (!privateRanges.some((range) => contains(range, network)))
    report(value, "is not a private range", rangeRule);
  if (overlap(network, dockerRange)) {
    report(value, "overlaps a range that SageMaker itself uses", dockerRule);
  }
};

/** Reports a VPC, given or by default, that cannot hold its subnets or the environment's users. */
export const checkRoom: Check = (value, report, settings) => {
  const vpc = usableVpc(value);
  if (!vpc || typeof value !== "string") return;
  if (vpc.prefix > smallestPlannedVpc) {
    const allowed = `/${smallestPlannedVpc} or larger: two public and two private subnets of at least /28`;
    return report(value, "has no room for two subnets a zone", { allowed, source: guide });
  }
  const users = Array.isArray(settings.userProfiles) ? settings.userProfiles.length : 1;
  const room = roomForUsers(value, settings.egress);
  if (users <= room) return;
  let prefix = vpc.prefix - 1;
  while (prefix >= largestVpc && roomForUsers(`10.0.0.0/${prefix}`, settings.egress) < users) prefix--;
  const allowed = prefix >= largestVpc ? `/${prefix} or larger` : "fewer users: no VPC is larger than /16";
  report(value, `has room for ${room} users in its private subnets, not for ${users}`, {
    allowed: `${allowed}; a user takes ${addressesPerUser} addresses`,
    source: "SageMaker Developer Guide, VPC only mode: 2 to 4 addresses per user; AWS keeps 5 per subnet",
  });
};

/** The VPC's range, or undefined if AWS would reject it, so that one mistake is reported once. */
export function usableVpc(value: unknown): Cidr | undefined {
  if (typeof value !== "string") return undefined;
  const vpc = parseCidr(value);
  const usable = vpc && vpc.prefix >= largestVpc && vpc.prefix <= smallestVpc;
  return usable && networkOf(vpc).first === vpc.first ? vpc : undefined;
}

/** The range of an environment's own VPC; none where it has no VPC of its own. */
export const vpcCidrOf = (settings: Untyped): unknown =>
  hasOwnNetwork(settings) ? (settings.vpcCidr ?? networkDefaults.vpcCidr) : undefined;

/** A /16 that overlaps none of these ranges, to suggest. */
export function freeRange(taken: readonly Cidr[]): string | undefined {
  for (let second = 0; second < 256; second++) {
    const range = known(`10.${second}.0.0/16`);
    if (!taken.some((other) => overlap(range, other))) return formatCidr(range);
  }
  return undefined;
}

const checkZones: Check = (value, report, settings) => {
  const region = settings.region ?? basicDefaults.region;
  const example = isRegion(region) ? `, such as ["${region}a", "${region}b"]` : "";
  const rule = {
    allowed: `two different availability zones of the environment's region${example}`,
    source: 'Amazon EC2 User Guide, "Availability Zones"',
  };
  if (!isList(value, report, rule)) return;
  if (value.length !== 2) report(value, `lists ${value.length}, not two`, rule);

  const seen = new Set<string>();
  for (const [index, zone] of value.entries()) {
    const at = `[${index}]`;
    if (!isString(zone, report, rule, at)) continue;
    if (seen.has(zone)) report(zone, "is listed twice", rule, at);
    else if (/^[a-z]+[0-9]+-az[0-9]+$/.test(zone))
      report(zone, "is the ID of a zone, not its name", rule, at);
    else if (/^[a-z]+(-[a-z]+)+-[0-9]+-.*-[0-9]+[a-z]?$/.test(zone))
      // Local and Wavelength Zones: us-east-1-bos-1a, us-east-1-wl1-bos-wlz-1.
      report(zone, "is a local zone, where Studio cannot run", rule, at);
    else if (isRegion(region) && !(zone.startsWith(region) && /^[a-z]$/.test(zone.slice(region.length))))
      report(zone, `is not a zone of ${quote(region)}`, rule, at);
    else if (!/^[a-z]+(-[a-z]+)+-[0-9]+[a-z]$/.test(zone)) report(zone, "is not a valid zone name", rule, at);
    seen.add(zone);
  }
};

const checkPerimeter: Check = (value, report, settings) => {
  if (value !== true) return checkBoolean(value, report, settings);
  const allowed = 'true only with egress: "endpoints-only" and a VPC that the stack creates';
  const rule = {
    allowed,
    source: "IAM User Guide, aws:SourceVpce: policies name the ids of the VPC's endpoints",
  };
  if (!hasOwnNetwork(settings)) report(value, "needs endpoints whose ids the stack knows", rule);
  else if (settings.egress !== "endpoints-only")
    report(value, "would refuse SageMaker, which the spaces reach without an endpoint", rule);
};

export const networkChecks: Checks<NetworkSettings> = {
  vpcCidr: checkVpcCidr,
  availabilityZones: checkZones,
  egress: oneOf(egresses, "src/settings/network.ts"),
  dataPerimeter: checkPerimeter,
};
