import { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
import {
  App,
  LocalBackend,
  TerraformIterator,
  TerraformOutput,
  TerraformResource,
  TerraformStack,
} from "cdktf";
import type { Construct } from "constructs";
import {
  ArtifactBucket,
  AwsAccount,
  EncryptionKey,
  ExecutionRole,
  HomeFileSystemCleanup,
  LifecycleConfiguration,
  lockFileOf,
  Network,
  Payload,
  RemovalGuard,
  RemovalScripts,
  StudioDomain,
  spaceFiles,
} from "sagemaker-marimo/constructs";

export interface NotebooksProps {
  /** How the name of everything in AWS begins. */
  readonly prefix: string;
  readonly region: string;
  /** Names of the user profiles. */
  readonly people: readonly string[];
}

/** A stack of a platform team's own: its ids, its tags, its state, and notebooks by the constructs of this project. */
export class Notebooks extends TerraformStack {
  constructor(scope: Construct, id: string, { prefix, region, people }: NotebooksProps) {
    super(scope, id);
    new LocalBackend(this, { path: "research.tfstate" });
    new AwsProvider(this, "provider", { region, defaultTags: [{ tags: { Team: "research" } }] });
    this.addOverride("terraform.required_providers.aws.version", ">= 5.100.0, < 7.0.0");

    const account = new AwsAccount(this, "where", { region });
    const scripts = new RemovalScripts(this, "scripts");
    const key = new EncryptionKey(this, "key", {
      prefix,
      account,
      removalProtection: false,
      deletionWindowDays: 7,
    });
    const storage = new ArtifactBucket(this, "storage", {
      prefix,
      account,
      encryptionKeyArn: key.arn,
      forceDestroy: true,
      removalProtection: false,
    });
    const network = new Network(this, "net", {
      prefix,
      account,
      vpcCidr: "10.20.0.0/16",
      availabilityZones: [`${region}a`, `${region}b`],
      egress: "nat",
      encryptionKeyArn: key.arn,
      bucketArn: storage.arn,
    });
    const role = new ExecutionRole(this, "role", {
      prefix,
      account,
      bucketArn: storage.arn,
      encryptionKeyArn: key.arn,
    });
    const payload = new Payload(this, "marimo", {
      source: {
        folder: spaceFiles.payload,
        requirements: lockFileOf({ marimoVersion: "0.25.2", extraPackages: [] }),
        settings: { MARIMO_TRANSPORT: "auto" },
      },
      bucket: storage,
      encryptionKeyArn: key.arn,
    });
    const cleanup = new HomeFileSystemCleanup(this, "cleanup", {
      account,
      network,
      scripts,
      homeFileSystemRetention: "Delete",
    });
    const { domain } = new StudioDomain(this, "studio", {
      prefix,
      network,
      executionRoleArn: role.arn,
      encryptionKeyArn: key.arn,
      lifecycleConfiguration: new LifecycleConfiguration(this, "start", {
        prefix,
        environment: "research",
        region,
        bucketName: storage.name,
        script: spaceFiles.onStart,
        profiles: true,
      }),
      authentication: "IAM",
      defaultInstanceType: "ml.t3.medium",
      idleTimeoutMinutes: 60,
      homeFileSystemRetention: "Delete",
      removalProtection: false,
      spaceVolumeGb: { default: 5, maximum: 50 },
      userProfiles: TerraformIterator.fromMap(
        Object.fromEntries(people.map((name) => [name, "ml.t3.medium"])),
      ),
      domainDependsOn: [cleanup.step, ...role.policies],
      profilesDependOn: [payload.pointer],
    });
    new RemovalGuard(this, "guard", {
      prefix,
      account,
      scripts,
      domainId: domain.id,
      userProfileNames: people,
      homeFileSystemRetention: "Delete",
      bucket: storage,
      before: this.node.findAll().filter((construct) => TerraformResource.isTerraformResource(construct)),
    });
    new TerraformOutput(this, "domain", { value: domain.id });
  }
}

const app = new App();
new Notebooks(app, "research", {
  prefix: process.argv[2] ?? "research",
  region: "us-east-1",
  people: ["ana", "bo"],
});
app.synth();
