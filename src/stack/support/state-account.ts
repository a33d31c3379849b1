import { Fn, Op, TerraformLocal, TerraformResource } from "cdktf";
import type { Construct } from "constructs";
import { stateAccountName } from "../../state/state.ts";
import type { AwsAccount } from "./aws-account.ts";

/**
 * Stops Terraform if the credentials are of another account than those that made the state. It would find nothing
 * there, forget every resource, and create all of them again.
 *
 * The account is kept in the state, since `ignore_changes` leaves it as the first apply wrote it. The comparison is an
 * error of an expression: a postcondition is only a warning in the refresh that begins a destroy (Terraform,
 * NodePlannableResourceInstance, checkRuleSeverity), after which the state is as empty.
 */
export function checkStateAccount(scope: Construct, account: AwsAccount): void {
  const kept = new TerraformResource(scope, stateAccountName, {
    // cdktf's own class for it, DataResource, runs `terraform version` at each synthesis.
    terraformResourceType: "terraform_data",
    lifecycle: { ignoreChanges: ["input"] },
  });
  kept.addOverride("input", account.id);
  const known = kept.getStringAttribute("input");
  new TerraformLocal(
    scope,
    `${stateAccountName}_check`,
    Fn.conditional(
      Op.eq(known, account.id),
      known,
      Fn.tobool(
        `The Terraform state belongs to AWS account ${known}, and the credentials are for account ${account.id}. ` +
          "Nothing was changed.",
      ),
    ),
  );
}
