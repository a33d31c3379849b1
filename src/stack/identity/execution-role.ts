import {
  DataAwsIamPolicyDocument,
  type DataAwsIamPolicyDocumentStatement,
} from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { ResolvedAi } from "../../settings/ai.ts";
import type { CodeArtifactRepository } from "../../settings/code-artifact.ts";
import { awsNames } from "../../settings/names.ts";
import { aiStatements } from "../ai/ai-statements.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { artifactStatements, type BucketAccess } from "./bucket-statements.ts";
import { codeArtifactStatements } from "./code-artifact-statements.ts";
import { listJobStatements, spaceStatements, studioLogStatements } from "./common-statements.ts";
import { describeImageStatements } from "./image-statements.ts";
import { noInlinePolicies } from "./inline-policies.ts";
import { ManagedPolicy } from "./managed-policy.ts";
import { perimeterStatement } from "./perimeter.ts";
import { secretStatements } from "./secret-statements.ts";
import { sagemakerTrust } from "./service-trust.ts";

/** The role of a domain and of its shared spaces, whether the stack creates it or it exists. */
export interface EnvironmentRole {
  readonly arn: string;
  readonly name: string;
  /** The role's policies. A domain must depend on them. */
  readonly policies: readonly ITerraformDependable[];
}

/** What everybody may do in Studio and in notebooks. */
export interface ExecutionPoliciesProps extends BucketAccess {
  readonly account: AwsAccount;
  /** Value of the tag `Environment`. */
  readonly environment: string;
  /** Repository that the spaces install packages from. @default none */
  readonly packages?: CodeArtifactRepository | undefined;
  /** ARNs of the secrets with credentials for repositories. @default none */
  readonly secrets?: readonly string[] | undefined;
  /** Ids of the endpoints that requests must come through. @default from anywhere */
  readonly perimeter?: readonly string[] | undefined;
  /** Statements for those who send jobs, in the policy for Studio: the largest settings fill that for jobs. @default none */
  readonly follow?: readonly DataAwsIamPolicyDocumentStatement[] | undefined;
  /** What the settings grant to everybody. @default nothing */
  readonly access?: readonly DataAwsIamPolicyDocumentStatement[] | undefined;
  /** Models of Amazon Bedrock. @default none */
  readonly ai?: ResolvedAi | undefined;
  /** Name prefix of the custom images that users may choose. @default none */
  readonly imagePrefix?: string | undefined;
}

export interface AttachedPoliciesProps extends ExecutionPoliciesProps {
  /** Name prefix of every resource. Limit: see `checkPrefix`. */
  readonly prefix: string;
  /** Names of further roles that have the same policies. @default none */
  readonly furtherRoles?: readonly string[] | undefined;
  /** Names of roles that have these policies without Studio. @default none */
  readonly rolesWithoutStudio?: readonly string[] | undefined;
  /** Names of roles that have only `access` of these. @default none */
  readonly rolesWithAccess?: readonly string[] | undefined;
}

export interface ExecutionRoleProps extends AttachedPoliciesProps {
  /** Policies that AWS may attach later, and that must outlive the role in a destroy. @default none */
  readonly attachedByOthers?: readonly ITerraformDependable[] | undefined;
}

/**
 * The role of shared spaces and of people added by hand: it has the rights that everybody has, and none of a person.
 * People in `userProfiles` have `UserRoles`, with the same policies. In these, the policy variables
 * `&{sagemaker:DomainId}` and `&{sagemaker:UserProfileName}` (written with `&` in a Terraform policy document, `$` in
 * IAM) stand for the caller.
 */
export class ExecutionRole extends Construct implements EnvironmentRole {
  readonly arn: string;
  readonly name: string;
  readonly policies: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: ExecutionRoleProps) {
    super(scope, id);
    const { account, attachedByOthers = [], prefix } = props;
    checkPrefix(this, prefix);
    const trust = sagemakerTrust(this, "trust", account);
    const role = new IamRole(this, "role", {
      name: awsNames(prefix).executionRole,
      description: "Studio spaces and the notebooks in them",
      assumeRolePolicy: trust.json,
      inlinePolicy: noInlinePolicies,
      ...(attachedByOthers.length === 0
        ? {}
        : { forceDetachPolicies: true, dependsOn: [...attachedByOthers] }),
    });
    this.arn = role.arn;
    this.name = role.name;
    this.policies = executionPolicies(this, role.name, props);
  }
}

/** Policy documents for Studio and the notebooks, by policy name. A role can have 10 policies, so they are few. */
export function executionDocuments(
  scope: Construct,
  props: ExecutionPoliciesProps,
): Readonly<Record<string, DataAwsIamPolicyDocument>> {
  const { account, ai, imagePrefix, packages, perimeter, secrets = [] } = props;
  const documents = {
    spaces: [
      ...spaceStatements(account, props.environment),
      ...(imagePrefix === undefined ? [] : describeImageStatements(account, imagePrefix)),
      ...listJobStatements(account),
      ...studioLogStatements(account),
      ...(props.follow ?? []),
    ],
    artifacts: [
      ...artifactStatements(account, props),
      // Scheduled jobs with a user's rights have these and not `spaces`.
      ...(perimeter === undefined ? [] : [perimeterStatement(perimeter)]),
    ],
    packages: [
      ...(packages === undefined ? [] : codeArtifactStatements(account, packages)),
      ...(secrets.length === 0 ? [] : secretStatements(secrets)),
    ],
    access: [...(props.access ?? [])],
    ai: ai === undefined ? [] : aiStatements(account, ai, props.environment),
  };
  return Object.fromEntries(
    Object.entries(documents)
      .filter(([, statement]) => statement.length > 0)
      .map(([name, statement]) => [
        name,
        new DataAwsIamPolicyDocument(scope, `${name}_document`, { statement }),
      ]),
  );
}

/** Gives these policies to a role, and to the further roles. */
export function executionPolicies(
  scope: Construct,
  role: string,
  props: AttachedPoliciesProps,
): readonly ITerraformDependable[] {
  const { furtherRoles = [], prefix, rolesWithAccess = [], rolesWithoutStudio = [] } = props;
  return Object.entries(executionDocuments(scope, props)).map(([name, { json }]) => {
    const roles = [
      [role],
      furtherRoles,
      ...(name === "spaces" ? [] : [rolesWithoutStudio]),
      ...(name === "access" ? [rolesWithAccess] : []),
    ];
    return new ManagedPolicy(scope, name, { name: `${prefix}-${name}`, json, roles }).attachment;
  });
}
