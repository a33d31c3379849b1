import { code, joinFirst } from "../markdown.ts";
import {
  after,
  before,
  changesOf,
  isCreated,
  isRemoved,
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

/** The traffic that all rules in the prior state allow. */
const trafficNow = (plan: Plan): readonly Traffic[] =>
  trafficTypes.flatMap((type) =>
    priorResources(plan, type).flatMap(({ values }) => trafficOf(type, values ?? {})),
  );

const isTraffic = ({ type }: ResourceChange) => (trafficTypes as readonly string[]).includes(type);
const isCreatedOrUpdated = (one: ResourceChange) => isCreated(one) || isUpdated(one);

export const trafficRule: Rule = {
  name: "wider-security-group",
  title: "A security group allows more traffic",
  find: (plan) => {
    const now = trafficNow(plan);
    return changesOf(plan)
      .filter((one) => isTraffic(one) && isCreatedOrUpdated(one))
      .flatMap((about): Finding[] => {
        // A group that is not in Terraform's state exists already: it was created outside this stack.
        const groupStays = ({ group }: Traffic) =>
          ["aws_security_group", "aws_default_security_group"].every((type) =>
            stays(plan, type, "id", group),
          );
        const wider = trafficOf(about.type, after(about))
          .filter((one) => groupStays(one) && !now.some((old) => covers(old, one)))
          // Inbound traffic from everywhere is the rule `public-exposure`.
          .filter((one) => !(one.direction === "in" && isEverywhere(one)));
        const old = trafficBefore(about);
        const previous =
          old.length > 0 ? ` Previously: ${joinFirst(old.map((one) => code(describeTraffic(one))))}.` : "";
        const unknown = ["cidr_ipv4", "cidr_ipv6", "cidr_blocks", "ingress", "egress"].filter(
          (name) => isUpdated(about) && isUnknown(about, name),
        );
        return [
          ...(wider.length > 0
            ? [`It now allows ${joinFirst(wider.map((one) => code(describeTraffic(one))))}.${previous}`]
            : []),
          ...(unknown.length > 0
            ? [
                `The value of ${unknown.map(code).join(", ")} is known only after the apply and may allow more.`,
              ]
            : []),
        ].map((reason) => ({
          about,
          reason,
          instead: "allow only the needed ports, and the smallest address range or security group",
        }));
      });
  },
};

const flags = ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"];

/** Each function checks for one kind of public exposure and returns its description, or undefined. */
const exposures: readonly ((one: ResourceChange, plan: Plan) => string | undefined)[] = [
  publicPolicy,
  (one) => {
    if (!isTraffic(one) || !isCreatedOrUpdated(one)) return undefined;
    const old = trafficBefore(one);
    const open = trafficOf(one.type, after(one)).filter(
      (traffic) =>
        traffic.direction === "in" && isEverywhere(traffic) && !old.some((was) => covers(was, traffic)),
    );
    return open.length > 0
      ? `It allows inbound traffic from everywhere: ${joinFirst(open.map((traffic) => code(describeTraffic(traffic))))}.`
      : undefined;
  },
  (one, plan) => {
    if (!["aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block"].includes(one.type))
      return undefined;
    if (isRemoved(one)) {
      const bucketStays =
        one.type.includes("account") || stays(plan, "aws_s3_bucket", "bucket", before(one).bucket);
      return bucketStays ? "The bucket is no longer protected from public access." : undefined;
    }
    const off = flags.filter(
      (flag) => after(one)[flag] !== true && before(one)[flag] !== false && !isUnknown(one, flag),
    );
    return off.length > 0 && isCreatedOrUpdated(one)
      ? `It turns off ${off.map(code).join(", ")}.`
      : undefined;
  },
  (one) =>
    one.type === "aws_s3_bucket_acl" && isCreatedOrUpdated(one) && /public/.test(text(after(one).acl) ?? "")
      ? `Its ACL is ${code(String(after(one).acl))}.`
      : undefined,
  (one) =>
    one.type === "aws_subnet" &&
    after(one).map_public_ip_on_launch === true &&
    before(one).map_public_ip_on_launch !== true
      ? "Instances that start in the subnet get a public IP address (`map_public_ip_on_launch`)."
      : undefined,
  (one, plan) =>
    one.type === "aws_route" &&
    isCreatedOrUpdated(one) &&
    (text(after(one).gateway_id)?.startsWith("igw-") || isUnknown(one, "gateway_id")) &&
    stays(plan, "aws_route_table", "id", after(one).route_table_id) &&
    text(before(one).gateway_id) !== text(after(one).gateway_id)
      ? "An existing route table gets a route to an internet gateway, for all of its subnets."
      : undefined,
  (one) =>
    one.type === "aws_sagemaker_domain" &&
    before(one).app_network_access_type === "VpcOnly" &&
    after(one).app_network_access_type === "PublicInternetOnly"
      ? "Apps reach the internet without the VPC, its security groups and its flow logs (`app_network_access_type`)."
      : undefined,
];

export const publicRule: Rule = {
  name: "public-exposure",
  title: "A resource becomes public",
  find: (plan) =>
    changesOf(plan).flatMap((about) =>
      exposures.flatMap((exposure) => {
        const reason = exposure(about, plan);
        const instead =
          "undo the change. To give others access, allow specific accounts or address ranges, or use presigned URLs";
        return reason === undefined ? [] : [{ about, reason, instead }];
      }),
    ),
};
