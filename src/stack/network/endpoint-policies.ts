import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { CodeArtifactRepository } from "../../settings/code-artifact.ts";
import { aiEndpointStatement } from "../ai/ai-statements.ts";
import { codeArtifactStatements } from "../identity/code-artifact-statements.ts";
import { secretStatements } from "../identity/secret-statements.ts";
import type { AwsAccount } from "../support/aws-account.ts";

/** An endpoint service of the VPC, and what may be asked of it there. */
export interface EndpointService {
  readonly serviceName: string;
  readonly statements: readonly DataAwsIamPolicyDocumentStatement[];
}

/**
 * Only callers of this account, so that nobody inside the VPC takes data out with another account's credentials. Not
 * by the account as principal, which at a gateway endpoint is only its root user (AWS PrivateLink Guide, "Control access
 * to VPC endpoints using endpoint policies").
 */
function byThisAccount(
  account: AwsAccount,
  statement: DataAwsIamPolicyDocumentStatement,
): DataAwsIamPolicyDocumentStatement {
  return {
    ...statement,
    principals: anyone,
    condition: [
      ...(Array.isArray(statement.condition) ? statement.condition : []),
      { test: "StringEquals", variable: "aws:PrincipalAccount", values: [account.id] },
    ],
  };
}

const anyone = [{ type: "AWS", identifiers: ["*"] }];

/**
 * The one bucket. Nothing else lies in S3 that a space without internet needs: SageMaker pulls its image on its own side
 * (a guess), and Python packages of CodeArtifact do not come from S3 (AWS CodeArtifact User Guide, "Create the Amazon S3 gateway
 * endpoint").
 */
export const s3EndpointStatements = (account: AwsAccount, bucketArn: string) => [
  byThisAccount(account, {
    sid: "BucketOfTheEnvironment",
    actions: ["s3:*"],
    resources: [bucketArn, `${bucketArn}/*`],
  }),
];

/**
 * What a space without internet access cannot do without (SageMaker Developer Guide, "Connect Amazon SageMaker Studio in
 * a VPC to External Resources"). Each costs by zone and hour, so none is here for a feature that this stack does not
 * have. That KMS and images need none is a guess: S3 and EFS call KMS, and SageMaker pulls images, on their own side.
 */
export function interfaceEndpoints(
  account: AwsAccount,
  repository: CodeArtifactRepository | undefined,
  secrets: readonly string[],
  ai: boolean,
): Readonly<Record<string, EndpointService>> {
  const service = (name: string, ...statements: readonly DataAwsIamPolicyDocumentStatement[]) => ({
    serviceName: `${account.reverseDnsPrefix}.${account.region}.${name}`,
    statements: statements.map((statement) => byThisAccount(account, statement)),
  });
  const codeArtifact = repository === undefined ? [] : codeArtifactStatements(account, repository);
  return {
    // Lists have no resource, and the images of new apps are AWS's own account's: only the caller is held here.
    sagemaker_api: service("sagemaker.api", {
      sid: "SageMaker",
      actions: ["sagemaker:*"],
      resources: ["*"],
    }),
    sagemaker_runtime: service("sagemaker.runtime", {
      sid: "EndpointsOfTheAccount",
      actions: ["sagemaker:InvokeEndpoint*"],
      resources: [account.arn("sagemaker", "endpoint/*")],
    }),
    studio: {
      // Studio's own endpoint service has a name of its own form.
      serviceName: `aws.sagemaker.${account.region}.studio`,
      // Held by the resource, as in the SageMaker Developer Guide, "Create a VPC Endpoint Policy for SageMaker Studio":
      // a browser signs its requests with no account's credentials (a guess).
      statements: [
        {
          sid: "StudioOfTheAccount",
          actions: ["sagemaker:*"],
          resources: [account.arn("sagemaker", "*")],
          principals: anyone,
        },
      ],
    },
    sts: service(
      "sts",
      { sid: "WhoAmI", actions: ["sts:GetCallerIdentity"], resources: ["*"] },
      {
        sid: "RolesOfTheAccount",
        actions: ["sts:AssumeRole", "sts:TagSession"],
        resources: [`arn:${account.partition}:iam::${account.id}:role/*`],
      },
    ),
    logs: service("logs", {
      sid: "LogsOfTheAccount",
      actions: ["logs:*"],
      resources: [account.arn("logs", "*")],
    }),
    ...(secrets.length === 0
      ? {}
      : { secretsmanager: service("secretsmanager", ...secretStatements(secrets)) }),
    ...(ai ? { bedrock_runtime: service("bedrock-runtime", aiEndpointStatement) } : {}),
    // One for tokens, one for packages (AWS CodeArtifact User Guide, "Create VPC endpoints for CodeArtifact"), with one
    // policy for both (the same, "Create a VPC endpoint policy for CodeArtifact").
    ...(repository === undefined
      ? {}
      : {
          codeartifact_api: service("codeartifact.api", ...codeArtifact),
          codeartifact_repositories: service("codeartifact.repositories", ...codeArtifact),
        }),
  };
}
