import type { EFSClient } from "@aws-sdk/client-efs";
import { describe, expect, it } from "vitest";
import { type CleanUpOptions, cleanUp } from "../../../src/removal/clean-up.ts";
import { expression, resource, synthesize } from "../../support/synthesize.ts";

const options: CleanUpOptions = {
  region: "us-east-1",
  account: "123456789012",
  vpcId: "vpc-1",
  retention: "Delete",
};

interface World {
  account: string;
  domains: Set<string>;
  fileSystems: Map<string, { domain: string; mountTargets: Set<string> }>;
  groups: Map<string, { name: string; rules: boolean }>;
  /** How many times the deletion of a group fails because it is in use. */
  busy: number;
}

/** A VPC with the leftovers of a deleted domain. */
function leftovers(): World {
  return {
    account: "123456789012",
    domains: new Set(),
    fileSystems: new Map([["fs-1", { domain: "d-gone", mountTargets: new Set(["mt-1", "mt-2"]) }]]),
    groups: new Map([
      ["sg-1", { name: "security-group-for-inbound-nfs-d-gone", rules: true }],
      ["sg-2", { name: "security-group-for-outbound-nfs-d-gone", rules: true }],
    ]),
    busy: 0,
  };
}

function named(name: string): Error {
  return Object.assign(new Error(`${name} from AWS`), { name });
}

/** Answers each command like AWS. An unknown command is an error. */
function answer(world: World, command: string, input: Record<string, string>): unknown {
  const fileSystem = world.fileSystems.get(input.FileSystemId ?? "");
  switch (command) {
    case "GetCallerIdentityCommand":
      return { Account: world.account };
    case "DescribeSecurityGroupsCommand":
      return {
        SecurityGroups: [...world.groups].map(([GroupId, { name, rules }]) => ({
          GroupId,
          GroupName: name,
          IpPermissions: rules ? [{ IpProtocol: "tcp" }] : [],
          IpPermissionsEgress: rules ? [{ IpProtocol: "tcp" }] : [],
        })),
      };
    case "DescribeDomainCommand":
      if (!world.domains.has(input.DomainId ?? "")) throw named("ResourceNotFound");
      return {};
    case "DescribeFileSystemsCommand":
      return {
        FileSystems: [...world.fileSystems].map(([FileSystemId, { domain }]) => ({
          FileSystemId,
          Tags: [
            {
              Key: "ManagedByAmazonSageMakerResource",
              Value: `arn:aws:sagemaker:us-east-1:1:domain/${domain}`,
            },
          ],
        })),
      };
    case "DescribeMountTargetsCommand":
      return {
        MountTargets: [...(fileSystem?.mountTargets ?? [])].map((MountTargetId) => ({
          MountTargetId,
          VpcId: "vpc-1",
        })),
      };
    case "DeleteMountTargetCommand":
      for (const { mountTargets } of world.fileSystems.values())
        mountTargets.delete(input.MountTargetId ?? "");
      return {};
    case "DeleteFileSystemCommand":
      if (fileSystem?.mountTargets.size) throw named("FileSystemInUse");
      world.fileSystems.delete(input.FileSystemId ?? "");
      return {};
    case "RevokeSecurityGroupIngressCommand":
      return {};
    case "RevokeSecurityGroupEgressCommand": {
      const group = world.groups.get(input.GroupId ?? "");
      if (group) group.rules = false;
      return {};
    }
    case "DeleteSecurityGroupCommand":
      if ([...world.groups.values()].some(({ rules }) => rules) || world.busy-- > 0) {
        throw named("DependencyViolation");
      }
      world.groups.delete(input.GroupId ?? "");
      return {};
    default:
      throw new Error(`unexpected ${command}`);
  }
}

async function run(world: World, changed: Partial<CleanUpOptions> = {}) {
  const lines: string[] = [];
  let waited = 0;
  const client = {
    send: async (command: { constructor: { name: string }; input: Record<string, string> }) =>
      answer(world, command.constructor.name, command.input),
  };
  // The SDK's paginator requires an instance of its client class.
  const { EFSClient: Efs } = await import("@aws-sdk/client-efs");
  const efs = Object.assign(Object.create(Efs.prototype), client) as EFSClient;
  const result = cleanUp(
    { ...options, ...changed },
    {
      clients: { ec2: client, efs, sagemaker: client, sts: client } as unknown as Parameters<
        typeof cleanUp
      >[1]["clients"],
      log: (line) => lines.push(line),
      wait: async (milliseconds) => {
        waited += milliseconds;
      },
    },
  );
  return {
    result: await result.then(
      () => "done",
      (error: Error) => error.message,
    ),
    lines,
    waited: () => waited,
  };
}

describe("the clean-up after a domain", () => {
  it("deletes the mount targets, the file system and both groups, and logs it", async () => {
    const world = leftovers();
    const { result, lines } = await run(world);
    expect(result).toBe("done");
    expect(world.fileSystems.size).toBe(0);
    expect(world.groups.size).toBe(0);
    expect(lines).toEqual([
      "deleted 2 mount targets of fs-1",
      "deleted home file system fs-1",
      "deleted sg-1 (security-group-for-inbound-nfs-d-gone)",
      "deleted sg-2 (security-group-for-outbound-nfs-d-gone)",
    ]);
  });

  it("keeps the file system with Retain, and logs how to access it", async () => {
    const world = leftovers();
    const { result, lines } = await run(world, { retention: "Retain" });
    expect(result).toBe("done");
    expect(world.fileSystems.get("fs-1")?.mountTargets.size).toBe(0);
    expect(world.groups.size).toBe(0);
    expect(lines.join("\n")).toMatch(
      /kept home file system fs-1 of domain d-gone in us-east-1.*--region us-east-1 --file-system-id fs-1 .*destroy\.md/s,
    );
  });

  it("keeps the resources of an existing domain", async () => {
    const world = { ...leftovers(), domains: new Set(["d-gone"]) };
    const { result, lines } = await run(world);
    expect(result).toBe("done");
    expect(world.fileSystems.get("fs-1")?.mountTargets.size).toBe(2);
    expect(world.groups.size).toBe(2);
    expect(lines[0]).toContain("domain d-gone still exists in vpc-1");
  });

  it("rejects credentials for another account before it deletes anything", async () => {
    const world = { ...leftovers(), account: "999999999999" };
    const { result } = await run(world);
    expect(result).toContain("the AWS credentials are for account 999999999999");
    expect(world.groups.size).toBe(2);
    expect(world.fileSystems.size).toBe(1);
  });

  it("keeps other security groups of the VPC", async () => {
    const world = leftovers();
    world.groups.set("sg-3", { name: "security-group-for-inbound-nfs-of-mine", rules: false });
    expect((await run(world)).result).toBe("done");
    expect([...world.groups.keys()]).toEqual(["sg-3"]);
  });

  it("waits for a group that is in use", async () => {
    const world = { ...leftovers(), busy: 3 };
    const { result, waited } = await run(world);
    expect(result).toBe("done");
    expect(waited()).toBe(500 + 1_000 + 2_000);
  });

  it("gives up after ten minutes and names the possible cause", async () => {
    const world = { ...leftovers(), busy: Number.POSITIVE_INFINITY };
    const { result, waited } = await run(world);
    expect(result).toMatch(/sg-1 .* still in use after 10 minutes.*Network interfaces/);
    expect(waited()).toBeGreaterThan(590_000);
    expect(waited()).toBeLessThan(630_000);
  });

  it("does nothing if there are no leftovers", async () => {
    const world = { ...leftovers(), fileSystems: new Map(), groups: new Map() };
    expect((await run(world)).lines).toEqual(["deleted domains left nothing in vpc-1"]);
  });
});

describe("the step in Terraform's graph", () => {
  it("runs only at destroy time, with values from the state", () => {
    const step = resource(synthesize(), "terraform_data", "home_file_system_cleanup_step");
    expect(step).toMatchObject({
      depends_on: ["aws_subnet.network_private_us-east-1a", "aws_subnet.network_private_us-east-1b"],
      input: { region: "us-east-1", vpc_id: expression("aws_vpc.network_vpc.id"), retention: "Retain" },
    });
    expect(step).not.toHaveProperty("triggers_replace");
    expect(step).not.toHaveProperty("lifecycle");
    expect(step.provisioner).toEqual([
      {
        "local-exec": expect.objectContaining({
          when: "destroy",
          command: expect.stringMatching(
            /^node --import tsx "\$\{path\.module\}\/assets\/[\w/]+\/clean-up\.ts"$/,
          ),
          environment: expect.objectContaining({ CLEAN_UP_VPC_ID: expression("self.input.vpc_id") }),
        }),
      },
    ]);
  });
});
