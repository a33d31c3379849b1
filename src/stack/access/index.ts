import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { awsNames } from "../../settings/names.ts";
import type { ResolvedTeam } from "../../settings/teams.ts";
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
  return environment.teams.flatMap((team) => {
    const { access, name } = team;
    const workgroup = awsNames(prefix).scheduledTeam(name);
    const statement = accessStatements({ account, access, bucketArn, prefix, workgroup });
    // IAM refuses a policy without statements.
    if (statement.length === 0) return [];
    const { json } = new DataAwsIamPolicyDocument(teams, `${name}_document`, { statement });
    return new ManagedPolicy(teams, name, {
      ...{ name: awsNames(prefix).teamPolicy(name), json, dependsOn },
      roles: [teamRoles({ context, jobRoles, team })],
    }).attachment;
  });
}

export interface TeamRolesProps extends Pick<TeamPoliciesProps, "context" | "jobRoles"> {
  readonly team: ResolvedTeam;
}

/** Names of the roles with a team's access: of its members, of schedules that run as one, and of schedules with the team. */
export function teamRoles({ context, jobRoles, team }: TeamRolesProps): string[] {
  const { environment, prefix } = context;
  const runAs = new Set(environment.schedules.flatMap((schedule) => schedule.runAs ?? []));
  const jobRole = jobRoles.get(team.name);
  return [
    ...team.members.map(awsNames(prefix).user),
    ...team.members.filter((member) => runAs.has(member)).map(awsNames(prefix).scheduledUser),
    ...(jobRole === undefined ? [] : [jobRole.name]),
  ];
}
