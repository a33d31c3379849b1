import { Fn } from "cdktf";
import type { ResolvedAccess } from "../../settings/access.ts";
import type { ScheduledJobRoles } from "../jobs/index.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import type { Outputs } from "../support/outputs.ts";
import { teamRoles } from "./index.ts";

export interface GrantPrincipalsProps {
  readonly context: EnvironmentContext;
  readonly jobRoles: ScheduledJobRoles;
  /** Lists of the names of the roles with `access`. */
  readonly rolesWithAccess: readonly (readonly string[])[];
}

/**
 * To whom the administrators of Redshift and Lake Formation must grant what the settings grant. The stack does not:
 * it would have to be an administrator of each database and of the data lake, and Lake Formation has a resource for each
 * user and database, which is 50,000 with 1,000 users and 50 databases.
 */
export function grantPrincipals({ context, jobRoles, rolesWithAccess }: GrantPrincipalsProps): Outputs {
  const { account, environment } = context;
  const grants = [
    { access: environment.access, names: Fn.concat([...rolesWithAccess]) as string[] },
    ...environment.teams.map((team) => ({
      access: team.access,
      names: teamRoles({ context, jobRoles, team }),
    })),
  ];
  const having = (has: (access: ResolvedAccess) => boolean) => grants.filter(({ access }) => has(access));
  const redshift = having((access) => access.redshift.length > 0);
  const lakeFormation = having((access) => access.lakeFormation);
  return {
    ...(redshift.length === 0
      ? {}
      : {
          redshift_users: [
            'Database users for whom an administrator runs CREATE USER "IAMR:…" PASSWORD DISABLE and GRANT',
            redshift.map(({ access, names }) => ({
              databases: access.redshift,
              // Amazon Redshift Management Guide: `IAMR:` and the name of the role that asks for credentials.
              users: Fn.formatlist("IAMR:%s", [names]),
            })),
          ],
        }),
    ...(lakeFormation.length === 0
      ? {}
      : {
          lake_formation_principals: [
            "Roles to which an administrator of AWS Lake Formation grants databases and tables",
            lakeFormation.map(({ access, names }) => ({
              glue_databases: access.glueDatabases,
              principals: Fn.formatlist(`arn:${account.partition}:iam::${account.id}:role/%s`, [names]),
            })),
          ],
        }),
  };
}
