import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { awsNames } from "../../settings/names.ts";
import { ManagedPolicy } from "../identity/managed-policy.ts";
import type { ScheduledJobRoles } from "../jobs/index.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import { accessStatements } from "./statements.ts";

export interface TeamPoliciesProps {
  readonly context: EnvironmentContext;
  /** The environment's bucket. */
  readonly bucketArn: string;
  readonly jobRoles: ScheduledJobRoles;
  /** The roles of users and of schedules with a user's rights, which the attachments name. */
  readonly roles: readonly ITerraformDependable[];
}

/**
 * A policy for each team, attached to the roles of its members, of schedules that run as a member, and of schedules that
 * name the team. By their names: a plan then shows who gets it, and the JSON has one line for each membership.
 */
export function teamPolicies(scope: Construct, props: TeamPoliciesProps): readonly ITerraformDependable[] {
  const { bucketArn, context, jobRoles, roles: dependsOn } = props;
  const { account, environment, prefix } = context;
  if (environment.teams.length === 0) return [];
  const teams = new Construct(scope, "teams");
  const runAs = new Set(environment.schedules.flatMap((schedule) => schedule.runAs ?? []));
  return environment.teams.flatMap(({ access, members, name }) => {
    const workgroup = awsNames(prefix).scheduledTeam(name);
    const statement = accessStatements({ account, access, bucketArn, prefix, workgroup });
    // IAM refuses a policy without statements.
    if (statement.length === 0) return [];
    const { json } = new DataAwsIamPolicyDocument(teams, `${name}_document`, { statement });
    const jobRole = jobRoles.get(name);
    const roles = [
      members.map(awsNames(prefix).user),
      members.filter((member) => runAs.has(member)).map(awsNames(prefix).scheduledUser),
      jobRole === undefined ? [] : [jobRole.name],
    ];
    return new ManagedPolicy(teams, name, {
      ...{ name: awsNames(prefix).teamPolicy(name), json, dependsOn },
      roles: [roles.flat()],
    }).attachment;
  });
}
