import { code, some } from "../markdown.ts";
import {
  after,
  before,
  changesOf,
  isCreated,
  isDestroyed,
  isUnknown,
  isUpdated,
  type Plan,
  priorResources,
  type ResourceChange,
  text,
} from "../plan.ts";
import {
  covers,
  describeTraffic,
  isEverywhere,
  type Traffic,
  trafficBefore,
  trafficOf,
  trafficTypes,
} from "../traffic.ts";
import { publicPolicy, stays } from "./permissions.ts";
import type { Finding, Rule } from "./rule.ts";

/** The traffic that was let through before, by whichever resource. */
const trafficNow = (plan: Plan): readonly Traffic[] =>
  trafficTypes.flatMap((type) =>
    priorResources(plan, type).flatMap(({ values }) => trafficOf(type, values ?? {})),
  );

const isTraffic = ({ type }: ResourceChange) => (trafficTypes as readonly string[]).includes(type);
const comes = (one: ResourceChange) => isCreated(one) || isUpdated(one);

export const trafficRule: Rule = {
  name: "wider-security-group",
  title: "A security group lets more through",
  find: (plan) => {
    const now = trafficNow(plan);
    return changesOf(plan)
      .filter((one) => isTraffic(one) && comes(one))
      .flatMap((about): Finding[] => {
        // A group that Terraform does not know is there: somebody else made it.
        const isThere = ({ group }: Traffic) =>
          ["aws_security_group", "aws_default_security_group"].every((type) =>
            stays(plan, type, "id", group),
          );
        const wider = trafficOf(about.type, after(about))
          .filter((one) => isThere(one) && !now.some((old) => covers(old, one)))
          // What comes in from everywhere is `public-exposure`.
          .filter((one) => !(one.direction === "in" && isEverywhere(one)));
        const old = trafficBefore(about);
        const told =
          old.length > 0 ? ` Before, it was ${some(old.map((one) => code(describeTraffic(one))))}.` : "";
        const unknown = ["cidr_ipv4", "cidr_ipv6", "cidr_blocks", "ingress", "egress"].filter(
          (name) => isUpdated(about) && isUnknown(about, name),
        );
        return [
          ...(wider.length > 0
            ? [`It lets through ${some(wider.map((one) => code(describeTraffic(one))))}.${told}`]
            : []),
          ...(unknown.length > 0
            ? [`Its ${unknown.map(code).join(", ")} is known only after the apply, and may be wider.`]
            : []),
        ].map((reason) => ({
          about,
          reason,
          instead: "let through the one port and the smallest range or group that is needed",
        }));
      });
  },
};

const flags = ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"];

/** Each is one way to the whole world: what it is, or nothing. */
const exposures: readonly ((one: ResourceChange, plan: Plan) => string | undefined)[] = [
  publicPolicy,
  (one) => {
    if (!isTraffic(one) || !comes(one)) return undefined;
    const old = trafficBefore(one);
    const open = trafficOf(one.type, after(one)).filter(
      (traffic) =>
        traffic.direction === "in" && isEverywhere(traffic) && !old.some((was) => covers(was, traffic)),
    );
    return open.length > 0
      ? `It lets in ${some(open.map((traffic) => code(describeTraffic(traffic))))}: anybody.`
      : undefined;
  },
  (one, plan) => {
    if (!["aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block"].includes(one.type))
      return undefined;
    if (isDestroyed(one) && !isCreated(one)) {
      const bucketStays =
        one.type.includes("account") || stays(plan, "aws_s3_bucket", "bucket", before(one).bucket);
      return bucketStays ? "Nothing keeps the bucket from being made public any more." : undefined;
    }
    const off = flags.filter(
      (flag) => after(one)[flag] !== true && before(one)[flag] !== false && !isUnknown(one, flag),
    );
    return off.length > 0 && comes(one) ? `${off.map(code).join(", ")} is off from now on.` : undefined;
  },
  (one) =>
    one.type === "aws_s3_bucket_acl" && comes(one) && /public/.test(text(after(one).acl) ?? "")
      ? `Its ACL is ${code(String(after(one).acl))}.`
      : undefined,
  (one) =>
    one.type === "aws_subnet" &&
    after(one).map_public_ip_on_launch === true &&
    before(one).map_public_ip_on_launch !== true
      ? "What starts in the subnet gets a public address (`map_public_ip_on_launch`)."
      : undefined,
  (one, plan) =>
    one.type === "aws_route" &&
    comes(one) &&
    (text(after(one).gateway_id)?.startsWith("igw-") || isUnknown(one, "gateway_id")) &&
    stays(plan, "aws_route_table", "id", after(one).route_table_id) &&
    text(before(one).gateway_id) !== text(after(one).gateway_id)
      ? "A route table that is there gets a way from and to the internet, for all subnets that use it."
      : undefined,
  (one) =>
    one.type === "aws_sagemaker_domain" &&
    before(one).app_network_access_type === "VpcOnly" &&
    after(one).app_network_access_type === "PublicInternetOnly"
      ? "Apps reach the internet past the VPC, its security groups and its flow logs (`app_network_access_type`)."
      : undefined,
];

export const publicRule: Rule = {
  name: "public-exposure",
  title: "Something becomes reachable for anybody",
  find: (plan) =>
    changesOf(plan).flatMap((about) =>
      exposures.flatMap((exposure) => {
        const reason = exposure(about, plan);
        const instead =
          "undo it. Where outsiders must reach something, name them: accounts, ranges of addresses, or presigned URLs";
        return reason === undefined ? [] : [{ about, reason, instead }];
      }),
    ),
};
