import { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
import { App, LocalBackend, TerraformOutput, TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import {
  environmentTags,
  StudioEnvironment,
  type StudioEnvironmentSettings,
} from "sagemaker-marimo/constructs";

export interface NotebooksProps {
  /** The environment's name. */
  readonly name: string;
  readonly region: string;
  /** Names of the user profiles. */
  readonly people: readonly string[];
}

/** A stack of a platform team's own: its ids, its tags, its state, and an environment of this project. */
export class Notebooks extends TerraformStack {
  constructor(scope: Construct, id: string, { name, region, people }: NotebooksProps) {
    super(scope, id);
    const settings: StudioEnvironmentSettings = {
      name,
      region,
      tags: { Team: "research" },
      vpcCidr: "10.20.0.0/16",
      egress: "nat",
      homeFileSystemRetention: "Delete",
      bucketForceDestroy: true,
      userProfiles: people.map((person) => ({ name: person })),
    };
    new LocalBackend(this, { path: "research.tfstate" });
    new AwsProvider(this, "provider", { region, defaultTags: [{ tags: environmentTags(settings) }] });
    this.addOverride("terraform.required_providers.aws.version", "~> 5.100");

    const { outputs } = new StudioEnvironment(this, "notebooks", settings);
    for (const [output, [description, value]] of Object.entries(outputs)) {
      new TerraformOutput(this, output, { description, value });
    }
  }
}

const app = new App();
new Notebooks(app, "research", {
  name: process.argv[2] ?? "research",
  region: "us-east-1",
  people: ["ana", "bo"],
});
app.synth();
