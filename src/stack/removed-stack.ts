import type { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
import { TerraformResource } from "cdktf";
import type { Construct } from "constructs";
import { resolveEnvironment } from "../settings/environment.ts";
import type { RemovedEnvironment } from "../state/removed.ts";
import { RemovalScripts, RemovalStep } from "./removal/removal-step.ts";
import { NamedStack } from "./support/named-stack.ts";
import { configureTerraform } from "./terraform-settings.ts";

/** How an environment's stack runs each step of its removal. */
const steps: Readonly<Record<string, { readonly script: string; readonly prefix: string }>> = {
  removal_guard_step: { script: "guard.ts", prefix: "GUARD" },
  home_file_system_cleanup_step: { script: "clean-up.ts", prefix: "CLEAN_UP" },
  home_file_system_key_step: { script: "keep-key.ts", prefix: "KEEP_KEY" },
};

/**
 * Destroys an environment that is no longer in the settings. Its resources, and their order, come from its state. The
 * steps of the removal are here because Terraform runs a provisioner only if it is in the configuration.
 */
export class RemovedStack extends NamedStack {
  constructor(scope: Construct, { account, name, settings, steps: inputs }: RemovedEnvironment) {
    super(scope, name);
    configureTerraform(this, resolveEnvironment(settings));
    // With another account's credentials, Terraform would find no resource and forget them all.
    if (account !== undefined) (this.node.findChild("aws") as AwsProvider).allowedAccountIds = [account];
    const scripts = new RemovalScripts(this, "removal_scripts");
    for (const [step, input] of Object.entries(inputs)) {
      const script = steps[step];
      if (script === undefined) continue;
      // Its script gets the input of the state. With the same input here, Terraform would take the step for unchanged and
      // replace its dependencies in the state, so the guard would not be first (hashicorp/terraform,
      // node_resource_plan_instance.go: "If this plan resulted in a NoOp").
      new RemovalStep(this, step, { scripts, ...script, input }).addOverride("input", "from the state");
    }
    // An apply would destroy everything without the guard. Before a destroy, Terraform only warns of a precondition, which
    // must name a value, even where the answer is known.
    const condition = `\${terraform.workspace == ""}`;
    const errorMessage = `The environment "${name}" is not in src/environments.ts any more, so it can only be destroyed: npx cdktf destroy ${name}`;
    new TerraformResource(this, "only_destroy", {
      terraformResourceType: "terraform_data",
      lifecycle: { precondition: [{ condition, errorMessage }] },
    });
  }
}
