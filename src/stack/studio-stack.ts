import { TerraformOutput } from "cdktf";
import type { Construct } from "constructs";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { environmentResources } from "./environment-resources.ts";
import { NamedStack } from "./support/named-stack.ts";
import { configureTerraform } from "./terraform-settings.ts";

/** One environment as a Terraform stack of its own. */
export class StudioStack extends NamedStack {
  constructor(scope: Construct, environment: ResolvedEnvironment) {
    super(scope, environment.name);
    configureTerraform(this, environment);
    const outputs = environmentResources(this, environment);
    for (const [name, [description, value]] of Object.entries(outputs)) {
      new TerraformOutput(this, name, { description, value });
    }
  }
}
