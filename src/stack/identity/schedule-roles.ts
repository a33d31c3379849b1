import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { TerraformIterator, Token } from "cdktf";
import { Construct } from "constructs";
import { awsNames, userTag } from "../../settings/names.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { noInlinePolicies } from "./inline-policies.ts";
import { sagemakerTrust } from "./service-trust.ts";

export interface ScheduleRolesProps {
  /** Name prefix of the roles. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Names of users, in lower case. */
  readonly users: readonly string[];
}

/**
 * A role for each user whose rights a schedule of the settings has. By its tag `StudioUser` the shared policies give it
 * that user's data. It is not the user's role: only the scheduler can pass it, it can neither use Studio nor send jobs,
 * and CloudTrail tells the schedule's requests from the user's.
 */
export class ScheduleRoles extends Construct {
  /** List of the roles' names. */
  readonly names: readonly string[];
  readonly role: IamRole;

  constructor(scope: Construct, id: string, props: ScheduleRolesProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);
    const trust = sagemakerTrust(this, "trust", account);
    const user = TerraformIterator.fromList([...props.users]);
    this.role = new IamRole(this, "role", {
      forEach: user,
      name: awsNames(prefix).scheduledUser(user.value),
      description: `Scheduled notebooks with the rights of ${user.value}`,
      assumeRolePolicy: trust.json,
      inlinePolicy: noInlinePolicies,
      tags: { [userTag]: user.value },
      forceDetachPolicies: true,
    });
    this.names = Token.asList(TerraformIterator.fromResources(this.role).pluckProperty("name"));
  }
}
