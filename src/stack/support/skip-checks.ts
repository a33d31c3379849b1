import type { TerraformResource } from "cdktf";

/**
 * Says why checks of checkov, by their id, do not apply to a resource or to the policy documents that it refers to (cdktf
 * keeps no comment of ours in a data source). The reasons go into the resource's own comment in the JSON, in the form that
 * checkov takes in CloudFormation's metadata (checkov documentation, "Suppressing and Skipping Policies"). From Terraform's
 * JSON it takes none (3.3.30 passes no skips to that framework's checks): `__tests__/aws/checkov.test.ts` applies
 * them, and refuses one that no finding asks for.
 */
export function skipChecks(resource: TerraformResource, reasons: Readonly<Record<string, string>>): void {
  resource.addOverride(
    "//.checkov.skip",
    Object.entries(reasons).map(([id, comment]) => ({ id, comment })),
  );
}
