import {
  type DocumentName,
  environmentEntry,
  environmentsVariable,
  iamPath,
  policiesOf,
  policyArn,
  policyName,
  type RolesProps,
  repositoryName,
  roleName,
  roles,
} from "./roles.ts";

export interface CommandsProps extends RolesProps {
  /** Users (`ana`) or teams (`acme/platform`) of GitHub who approve what is applied. Limit: 1-6 (GitHub REST API). */
  readonly reviewers: readonly string[];
  /** Path of the file with a document. */
  readonly file: (document: DocumentName) => string;
}

/**
 * The commands for an administrator of AWS and GitHub, in the order in which they must run: the protected environment is
 * there before a role trusts it.
 */
export function roleCommands(props: CommandsProps): readonly string[] {
  const { environment, reviewers, file } = props;
  const repository = repositoryName(props.repository);
  const { name, permissionsBoundaryArn } = environment;
  const api = `repos/${repository}/environments/${name}`;
  const documents: readonly DocumentName[] = [
    ...(permissionsBoundaryArn === policyArn("boundary", props) ? (["boundary"] as const) : []),
    ...new Set(roles.flatMap((role) => policiesOf[role])),
  ];
  return [
    `# The protected environment "${name}": only the main branch, and only after a reviewer's approval.`,
    "# Private repositories need GitHub Enterprise for required reviewers.",
    `gh api -X PUT ${api} --input - <<END`,
    '{"deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true},',
    ` "prevent_self_review": true, "reviewers": [${reviewers.map(reviewer).join(", ")}]}`,
    "END",
    `gh api -X POST ${api}/deployment-branch-policies -f name=main -f type=branch`,
    "# Once per account:",
    "aws iam create-open-id-connect-provider --url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com",
    `# The policies of "${name}". A policy that exists gets a new version; IAM keeps five, so delete an old one first.`,
    ...documents.map((document) => {
      const content = `--policy-document file://${file(document)}`;
      return (
        `aws iam create-policy --path ${iamPath} --policy-name ${policyName(document, environment)} ${content} || ` +
        `aws iam create-policy-version --set-as-default --policy-arn ${policyArn(document, props)} ${content}`
      );
    }),
    "# The two roles. They must not have the tag Environment, by which they find what they may change:",
    ...roles.flatMap((role) => {
      const own = roleName(role, environment);
      const session = role === "apply" ? " --max-session-duration 7200" : "";
      const trust = file(`${role}-trust`);
      return [
        `aws iam create-role --path ${iamPath} --role-name ${own}${session} --assume-role-policy-document file://${trust} || ` +
          `aws iam update-assume-role-policy --role-name ${own} --policy-document file://${trust}`,
        ...policiesOf[role].map(
          (document) =>
            `aws iam attach-role-policy --role-name ${own} --policy-arn ${policyArn(document, props)}`,
        ),
      ];
    }),
    `# Without this variable, the workflow is skipped. For several environments, put one entry for each into the list:`,
    `gh variable set ${environmentsVariable} --repo ${repository} --body '${JSON.stringify([environmentEntry(props)])}'`,
  ];
}

/** The API takes ids (GitHub REST API, "Create or update an environment"), which the shell asks GitHub for. */
function reviewer(name: string): string {
  const [owner, team] = name.split("/");
  const path = team === undefined ? `users/${owner}` : `orgs/${owner}/teams/${team}`;
  return `{"type": "${team === undefined ? "User" : "Team"}", "id": $(gh api ${path} --jq .id)}`;
}

/** The setting that an environment needs before its roles can be created, or undefined if it has a boundary. */
export const missingBoundary = (props: Omit<RolesProps, "repository">): string | undefined =>
  props.environment.permissionsBoundaryArn === undefined
    ? `permissionsBoundaryArn: "${policyArn("boundary", props)}"`
    : undefined;
