import { describe, expect, it } from "vitest";
import { synthesizeEvery } from "../../support/every-environment.ts";
import {
  accountId,
  arn,
  expression,
  keyArn,
  partition,
  resource,
  resourceNames,
  servicePrincipal,
  statements,
  synthesize,
} from "../../support/synthesize.ts";

const routes = (stack: ReturnType<typeof synthesize>) => stack.resource.aws_route ?? {};

describe("the network", () => {
  it("has a private and a public subnet in each zone, none of which gives out public addresses", () => {
    const stack = synthesize();
    expect(resourceNames(stack, "aws_subnet")).toEqual([
      "network_private_us-east-1a",
      "network_private_us-east-1b",
      "network_public_us-east-1a",
      "network_public_us-east-1b",
    ]);
    for (const name of resourceNames(stack, "aws_subnet")) {
      expect(resource(stack, "aws_subnet", name)).toMatchObject({
        vpc_id: expression("aws_vpc.network_vpc.id"),
        availability_zone: name.slice(-"us-east-1a".length),
        map_public_ip_on_launch: false,
      });
      expect(resource(stack, "aws_route_table_association", `${name}_association`)).toMatchObject({
        subnet_id: `\${aws_subnet.${name}.id}`,
        route_table_id: `\${aws_route_table.${name}_routes.id}`,
      });
    }
    expect(resource(stack, "aws_vpc", "network_vpc")).toMatchObject({
      cidr_block: "10.0.0.0/16",
      enable_dns_hostnames: true,
      enable_dns_support: true,
    });
  });

  it("goes out by one NAT gateway for all zones by default", () => {
    const stack = synthesize();
    expect(resourceNames(stack, "aws_nat_gateway")).toEqual(["network_nat_us-east-1a"]);
    expect(resourceNames(stack, "aws_eip")).toHaveLength(1);
    for (const zone of ["us-east-1a", "us-east-1b"]) {
      expect(routes(stack)[`network_private_${zone}_nat`]).toMatchObject({
        route_table_id: `\${aws_route_table.network_private_${zone}_routes.id}`,
        destination_cidr_block: "0.0.0.0/0",
        nat_gateway_id: expression("aws_nat_gateway.network_nat_us-east-1a.id"),
      });
      expect(routes(stack)[`network_public_${zone}_internet`]).toMatchObject({
        gateway_id: expression("aws_internet_gateway.network_internet_gateway.id"),
      });
    }
    expect(resourceNames(stack, "aws_vpc_endpoint")).toEqual(["network_s3_endpoint"]);
  });

  it("goes out by a NAT gateway in each zone with nat-per-zone", () => {
    const stack = synthesize({ egress: "nat-per-zone" });
    expect(resourceNames(stack, "aws_nat_gateway")).toEqual([
      "network_nat_us-east-1a",
      "network_nat_us-east-1b",
    ]);
    for (const zone of ["us-east-1a", "us-east-1b"]) {
      expect(routes(stack)[`network_private_${zone}_nat`]).toMatchObject({
        nat_gateway_id: `\${aws_nat_gateway.network_nat_${zone}.id}`,
      });
    }
  });

  it("has no way to the internet with endpoints-only, and the endpoints that Studio needs", () => {
    const stack = synthesize({ egress: "endpoints-only" });
    for (const type of ["aws_internet_gateway", "aws_nat_gateway", "aws_eip", "aws_route"]) {
      expect(resourceNames(stack, type), type).toEqual([]);
    }
    const reverse = `${expression("data.aws_partition.account_partition.reverse_dns_prefix")}.us-east-1`;
    expect(
      Object.values(stack.resource.aws_vpc_endpoint ?? {})
        .map((endpoint) => endpoint.service_name)
        .sort(),
    ).toEqual(
      [
        `${reverse}.logs`,
        `${reverse}.s3`,
        `${reverse}.sagemaker.api`,
        `${reverse}.sagemaker.runtime`,
        `${reverse}.sts`,
        "aws.sagemaker.us-east-1.studio",
      ].sort(),
    );
    expect(resource(stack, "aws_vpc_endpoint", "network_studio_endpoint")).toMatchObject({
      vpc_endpoint_type: "Interface",
      private_dns_enabled: true,
      subnet_ids: [
        expression("aws_subnet.network_private_us-east-1a.id"),
        expression("aws_subnet.network_private_us-east-1b.id"),
      ],
      security_group_ids: [expression("aws_security_group.network_endpoints_group.id")],
    });
    // Terraform removes all other rules.
    expect(resource(stack, "aws_security_group", "network_endpoints_group")).toMatchObject({
      ingress: [{ cidr_blocks: ["10.0.0.0/16"], from_port: 443, to_port: 443 }],
      egress: [],
    });
    // The rule as a resource of its own would take it from the group when it is destroyed.
    expect(String(stack.files.get("removed.tf"))).toBe(
      "removed {\n  from = aws_vpc_security_group_ingress_rule.network_endpoints_https_in\n" +
        "  lifecycle {\n    destroy = false\n  }\n}\n",
    );
    expect([...synthesize().files.keys()]).not.toContain("removed.tf");
  });

  it("reaches EventBridge Scheduler where users may make schedules, which they may not by default", () => {
    const text = (maximumSchedulesPerUser?: number) =>
      synthesize({
        egress: "endpoints-only",
        jobs: maximumSchedulesPerUser === undefined ? {} : { maximumSchedulesPerUser },
      }).text;
    for (const part of ["network_scheduler_endpoint", "scheduler:CreateSchedule"]) {
      expect(text(3)).toContain(part);
      expect(text()).not.toContain(part);
    }
    // Those that exist may go.
    expect(text()).toContain("scheduler:DeleteSchedule");
  });

  it("reaches CodeArtifact by its two endpoints where packages come from there, and has no such endpoints otherwise", () => {
    const packageIndexUrl =
      "https://team-123456789012.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/";
    const services = (settings: Parameters<typeof synthesize>[0]) =>
      Object.values(synthesize(settings).resource.aws_vpc_endpoint ?? {})
        .map((endpoint) => String(endpoint.service_name))
        .filter((name) => name.includes("codeartifact"))
        .sort();
    const reverse = `${expression("data.aws_partition.account_partition.reverse_dns_prefix")}.us-east-1`;
    expect(services({ egress: "endpoints-only", packageIndexUrl })).toEqual([
      `${reverse}.codeartifact.api`,
      `${reverse}.codeartifact.repositories`,
    ]);
    expect(services({ egress: "nat", packageIndexUrl })).toEqual([]);
    expect(
      services({ egress: "endpoints-only", packageIndexUrl: "https://pypi.example.com/simple" }),
    ).toEqual([]);
  });

  describe("the policies of the endpoints", () => {
    const packageIndexUrl =
      "https://team-123456789012.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/";
    const settings = { egress: "endpoints-only", packageIndexUrl } as const;
    const ofTheCaller = { test: "StringEquals", variable: "aws:PrincipalAccount", values: [accountId] };
    const names = resourceNames(synthesize(settings), "aws_vpc_endpoint");

    it("are there for each endpoint", () => {
      expect(names).toHaveLength(8);
      for (const name of names) {
        expect(resource(synthesize(settings), "aws_vpc_endpoint", name).policy, name).toBe(
          `\${data.aws_iam_policy_document.${name}_policy.json}`,
        );
      }
    });

    it.each(names)("hold %s to this account", (name) => {
      const found = Object.values(statements(synthesize(settings), `${name}_policy`));
      expect(found.length).toBeGreaterThan(0);
      for (const { sid, effect, principals, resources, condition } of found) {
        expect(effect, sid).toBeUndefined();
        expect(principals, sid).toEqual([{ type: "AWS", identifiers: ["*"] }]);
        // Studio is asked by browsers, which sign nothing: there it is the resource.
        if (name === "network_studio_endpoint") expect(resources, sid).toEqual([arn("sagemaker", "*")]);
        else expect(condition, sid).toContainEqual(ofTheCaller);
      }
    });

    it("let S3 be asked for the one bucket", () => {
      const bucket = expression("aws_s3_bucket.storage_artifacts_bucket.arn");
      const found = statements(synthesize(settings), "network_s3_endpoint_policy");
      expect(Object.values(found).flatMap(({ resources }) => resources)).toEqual([bucket, `${bucket}/*`]);
    });

    it("let CodeArtifact be asked for the one repository, and only by its two endpoints", () => {
      const stack = synthesize(settings);
      const role = statements(stack, "execution_packages_document");
      for (const name of ["api", "repositories"]) {
        const found = statements(stack, `network_codeartifact_${name}_endpoint_policy`);
        expect(Object.keys(found)).toEqual(Object.keys(role));
        for (const [sid, { actions, resources, condition }] of Object.entries(found)) {
          expect(actions).toEqual(role[sid]?.actions);
          expect(resources).toEqual(role[sid]?.resources);
          expect(condition).toEqual([...(role[sid]?.condition ?? []), ofTheCaller]);
        }
      }
    });

    it("let no role of another account be assumed", () => {
      const { RolesOfTheAccount, WhoAmI } = statements(synthesize(settings), "network_sts_endpoint_policy");
      expect(RolesOfTheAccount?.resources).toEqual([`arn:${partition}:iam::${accountId}:role/*`]);
      expect(WhoAmI?.actions).toEqual(["sts:GetCallerIdentity"]);
    });

    it("are none where a NAT gateway goes round them", () => {
      expect(resource(synthesize(), "aws_vpc_endpoint", "network_s3_endpoint")).not.toHaveProperty("policy");
    });
  });

  it("reaches S3 by a gateway endpoint from every private subnet, whatever the egress", () => {
    for (const egress of ["nat", "nat-per-zone", "endpoints-only"] as const) {
      expect(
        resource(synthesize({ egress }), "aws_vpc_endpoint", "network_s3_endpoint"),
        egress,
      ).toMatchObject({
        vpc_endpoint_type: "Gateway",
        route_table_ids: [
          expression("aws_route_table.network_private_us-east-1a_routes.id"),
          expression("aws_route_table.network_private_us-east-1b_routes.id"),
        ],
      });
    }
  });

  it("takes every rule from the VPC's default security group", () => {
    const group = resource(synthesize(), "aws_default_security_group", "network_default_security_group");
    expect(group.vpc_id).toBe(expression("aws_vpc.network_vpc.id"));
    expect(group).not.toHaveProperty("ingress");
    expect(group).not.toHaveProperty("egress");
  });

  it("logs all its flows to an encrypted group that is kept for a year", () => {
    const stack = synthesize();
    expect(resource(stack, "aws_flow_log", "network_flow_logs_log")).toMatchObject({
      vpc_id: expression("aws_vpc.network_vpc.id"),
      traffic_type: "ALL",
      log_destination: expression("aws_cloudwatch_log_group.network_flow_logs_group.arn"),
      iam_role_arn: expression("aws_iam_role.network_flow_logs_role.arn"),
    });
    expect(resource(stack, "aws_cloudwatch_log_group", "network_flow_logs_group")).toMatchObject({
      name: "marimo-dev-vpc-flow-logs",
      retention_in_days: 365,
      kms_key_id: keyArn,
    });
    expect(statements(stack, "network_flow_logs_trust").VpcFlowLogs).toMatchObject({
      principals: [{ type: "Service", identifiers: [servicePrincipal("vpc-flow-logs")] }],
      condition: [
        { test: "StringEquals", variable: "aws:SourceAccount", values: [accountId] },
        { test: "ArnLike", variable: "aws:SourceArn", values: [arn("ec2", "vpc-flow-log/*")] },
      ],
    });
    const group = expression("aws_cloudwatch_log_group.network_flow_logs_group.arn");
    expect(statements(stack, "network_flow_logs_write_document").WriteToTheGroup?.resources).toEqual([
      group,
      `${group}:*`,
    ]);
  });
});

describe("the security groups of the spaces", () => {
  type Rule = Readonly<Record<string, unknown>>;
  const rulesOf = (stack: ReturnType<typeof synthesize>, direction: "ingress" | "egress", group: string) =>
    resource(stack, "aws_security_group", group)[direction] as readonly Rule[];
  const ports = (rule: Rule) => `${rule.protocol} ${rule.from_port}-${rule.to_port}`;
  /** Whom a rule names, whatever the kind. */
  const peers = (rule: Rule) =>
    ["self", "cidr_blocks", "ipv6_cidr_blocks", "prefix_list_ids", "security_groups"].flatMap((kind) =>
      rule[kind] === null ? [] : [[kind, rule[kind]]],
    );

  it.each(["studio_shared_group", "studio_profile_group"])("%s lets nothing in but itself", (group) => {
    const rules = rulesOf(synthesize(), "ingress", group);
    expect(rules.map(ports).sort()).toEqual(["tcp 2049-2049", "tcp 8192-65535"]);
    for (const rule of rules) {
      expect(peers(rule)).toEqual([["self", true]]);
      expect(rule.description).toMatch(/^[\w .:,/()-]{10,}$/);
    }
  });

  it.each(["studio_shared_group", "studio_profile_group"])("%s lets out to itself and HTTPS", (group) => {
    const rules = rulesOf(synthesize(), "egress", group);
    expect(rules.map(ports).sort()).toEqual(["tcp 2049-2049", "tcp 443-443", "tcp 8192-65535"]);
    for (const rule of rules)
      expect(peers(rule)).toEqual(
        rule.from_port === 443 ? [["cidr_blocks", ["0.0.0.0/0"]]] : [["self", true]],
      );
  });

  it("of everybody's private spaces lets HTTPS out and nothing in", () => {
    const stack = synthesize();
    expect(rulesOf(stack, "ingress", "studio_everyone_group")).toEqual([]);
    expect(rulesOf(stack, "egress", "studio_everyone_group").map(ports)).toEqual(["tcp 443-443"]);
  });

  // SageMaker API, CreateDomain, DefaultUserSettings: a profile's groups come beside the domain's, not in their place.
  it.each([
    ["people's private spaces do not reach each other", "default_user_settings", []],
    ["shared spaces do", "default_space_settings", ["tcp 2049-2049", "tcp 8192-65535"]],
  ] as const)("%s", (_, settings, reached) => {
    const stack = synthesize();
    const domain = resource(stack, "aws_sagemaker_domain", "studio_domain");
    const { security_groups: common } = domain[settings] as { security_groups: string[] };
    const within = Object.keys(stack.resource.aws_security_group ?? {})
      .filter((group) => common.includes(expression(`aws_security_group.${group}.id`)))
      .flatMap((group) => rulesOf(stack, "ingress", group));
    expect(within.map(ports).sort()).toEqual(reached);
  });

  it("allow outgoing HTTPS only to the endpoints with endpoints-only", () => {
    const stack = synthesize({ egress: "endpoints-only" });
    const https = rulesOf(stack, "egress", "studio_profile_group").filter((rule) => rule.from_port === 443);
    expect(https.flatMap(peers)).toEqual([
      ["cidr_blocks", ["10.0.0.0/16"]],
      ["prefix_list_ids", [expression("aws_vpc_endpoint.network_s3_endpoint.prefix_list_id")]],
    ]);
    expect(stack.text).not.toContain("0.0.0.0/0");
  });

  it("list all rules themselves, so that Terraform removes others, and each person adds none to every plan", () => {
    for (const [name, { resource }] of synthesizeEvery()) {
      expect(Object.keys(resource).filter((type) => /security_group_.*rule/.test(type))).toEqual([]);
      for (const [group, { egress, ingress }] of Object.entries(resource.aws_security_group ?? {}))
        expect([egress, ingress], `${name}: ${group}`).toEqual([expect.any(Array), expect.any(Array)]);
    }
  });
});
