import { BlockList, isIPv6 } from "node:net";
import { before as beforeOf, type ResourceChange, text, type Values, valuesOf } from "./plan.ts";

/** The traffic that a security group rule allows, for each of Terraform's resource types for rules. */
export interface Traffic {
  readonly direction: "in" | "out";
  readonly group: string | undefined;
  /** `-1` means all protocols. */
  readonly protocol: string;
  readonly from: number;
  readonly to: number;
  /** An address range, a security group or a prefix list. */
  readonly peer: string;
}

/** The types whose values `trafficOf` reads. */
export const trafficTypes = [
  "aws_vpc_security_group_ingress_rule",
  "aws_vpc_security_group_egress_rule",
  "aws_security_group_rule",
  "aws_security_group",
  "aws_default_security_group",
] as const;

export function trafficOf(type: string, values: Values): readonly Traffic[] {
  const group = text(values.security_group_id);
  switch (type) {
    case "aws_vpc_security_group_ingress_rule":
    case "aws_vpc_security_group_egress_rule": {
      const peers = ["cidr_ipv4", "cidr_ipv6", "referenced_security_group_id", "prefix_list_id"];
      const direction = type.includes("ingress") ? "in" : "out";
      return rulesTo(
        peers.map((name) => values[name]),
        { direction, group, ...ports(values, values.ip_protocol) },
      );
    }
    case "aws_security_group_rule":
      return rulesTo(inlinePeers(values, group), {
        direction: values.type === "egress" ? "out" : "in",
        group,
        ...ports(values, values.protocol),
      });
    default:
      return (["ingress", "egress"] as const).flatMap((block) =>
        listOf(values[block])
          .map(valuesOf)
          .flatMap((rule) =>
            rulesTo(inlinePeers(rule, text(values.id)), {
              direction: block === "egress" ? "out" : "in",
              group: text(values.id),
              ...ports(rule, rule.protocol),
            }),
          ),
      );
  }
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function inlinePeers(rule: Values, self: string | undefined): readonly unknown[] {
  const lists = ["cidr_blocks", "ipv6_cidr_blocks", "prefix_list_ids", "security_groups"];
  const peers = lists.flatMap((name) => listOf(rule[name]));
  return [
    ...peers,
    rule.source_security_group_id,
    rule.self === true ? (self ?? "the group itself") : undefined,
  ];
}

function ports(rule: Values, protocol: unknown): Pick<Traffic, "protocol" | "from" | "to"> {
  const any = ["-1", "all"].includes(String(protocol));
  const [from, to] = [rule.from_port, rule.to_port].map((port) => (typeof port === "number" ? port : -1));
  // For ICMP these are types and codes, and -1 means all of them.
  const every = any || from === -1;
  return {
    protocol: any ? "-1" : String(protocol),
    from: every ? 0 : (from ?? 0),
    to: every ? 65535 : (to ?? 65535),
  };
}

function rulesTo(peers: readonly unknown[], rule: Omit<Traffic, "peer">): readonly Traffic[] {
  return peers
    .filter((peer) => typeof peer === "string" && peer !== "")
    .map((peer) => ({ ...rule, peer: String(peer) }));
}

/** Whether the first rule allows everything that the second allows. */
export function covers(wide: Traffic, narrow: Traffic): boolean {
  return (
    wide.direction === narrow.direction &&
    wide.group === narrow.group &&
    (wide.protocol === "-1" || wide.protocol === narrow.protocol) &&
    wide.from <= narrow.from &&
    wide.to >= narrow.to &&
    (wide.peer === narrow.peer ||
      isWithin(narrow.peer, wide.peer) ||
      // Groups and prefix lists stand for addresses, and this range is all of them.
      (wide.peer === "0.0.0.0/0" && !narrow.peer.includes("/")))
  );
}

/** Whether an address range is within another. False for anything that is not an address range. */
export function isWithin(narrow: string, wide: string): boolean {
  const [inner, outer] = [narrow, wide].map((range) => range.split("/"));
  const [address, prefix, network, bits] = [inner?.[0], Number(inner?.[1]), outer?.[0], Number(outer?.[1])];
  if (!address || !network || !Number.isInteger(prefix) || !Number.isInteger(bits) || prefix < bits)
    return false;
  const family = isIPv6(network) ? "ipv6" : "ipv4";
  if (isIPv6(address) !== isIPv6(network)) return false;
  try {
    const list = new BlockList();
    list.addSubnet(network, bits, family);
    return list.check(address, family);
  } catch {
    return false;
  }
}

export const isEverywhere = ({ peer }: Traffic) => peer === "0.0.0.0/0" || peer === "::/0";

/** The traffic that a resource allowed before the change. */
export const trafficBefore = (one: ResourceChange) => trafficOf(one.type, beforeOf(one));

export function describeTraffic({ direction, protocol, from, to, peer }: Traffic): string {
  const which =
    protocol === "-1" ? "all traffic" : `${protocol} ${from === to ? `port ${from}` : `ports ${from}-${to}`}`;
  return `${which} ${direction === "in" ? "from" : "to"} ${peer}`;
}
