import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { BucketGrant, GrantedServices } from "../../settings/access.ts";
import type { CodeArtifactRepository } from "../../settings/code-artifact.ts";
import { isTrackingServer, type ResolvedServices } from "../../settings/services.ts";
import { bucketArn } from "../access/statements.ts";
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
 * The environment's bucket, and those that the settings grant; the roles' policies say which objects to whom. Nothing else lies in S3 that a space without internet needs: SageMaker pulls its image on its own side
 * (a guess), and Python packages of CodeArtifact do not come from S3 (AWS CodeArtifact User Guide, "Create the Amazon S3 gateway
 * endpoint").
 */
export function s3EndpointStatements(
  account: AwsAccount,
  own: string,
  granted: readonly BucketGrant[],
): DataAwsIamPolicyDocumentStatement[] {
  const arns = (buckets: readonly BucketGrant[]) => [
    ...new Set(buckets.flatMap((one) => [bucketArn(account, one), `${bucketArn(account, one)}/*`])),
  ];
  const statement = (sid: string, actions: string[], resources: string[]) =>
    resources.length === 0 ? [] : [byThisAccount(account, { sid, actions, resources })];
  const isWritten = new Set(granted.filter(({ write }) => write === true).map(({ name }) => name));
  return [
    ...statement("BucketOfTheEnvironment", ["s3:*"], [own, `${own}/*`]),
    ...statement(
      "BucketsToRead",
      ["s3:Get*", "s3:List*"],
      arns(granted.filter(({ name }) => !isWritten.has(name))),
    ),
    ...statement("BucketsToChange", ["s3:*"], arns(granted.filter(({ name }) => isWritten.has(name)))),
  ];
}

/**
 * What a space without internet access cannot do without (SageMaker Developer Guide, "Connect Amazon SageMaker Studio in
 * a VPC to External Resources"). Each costs by zone and hour, so none is here for a feature that this stack does not
 * have. That KMS and images need none is a guess: S3 and EFS call KMS, and SageMaker pulls images, on their own side.
 */
export function interfaceEndpoints(
  account: AwsAccount,
  repository: CodeArtifactRepository | undefined,
  secrets: readonly string[],
  services: Pick<ResolvedServices, "featureStore" | "mlflowArn">,
  granted: GrantedServices,
  ai: boolean,
  schedules: boolean,
  notifications: boolean,
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
    ...(services.featureStore
      ? {
          featurestore_runtime: service("sagemaker.featurestore-runtime", {
            sid: "RecordsOfTheAccount",
            actions: ["sagemaker:*Record"],
            resources: [account.arn("sagemaker", "feature-group/*")],
          }),
        }
      : {}),
    ...(services.mlflowArn !== undefined && isTrackingServer(services.mlflowArn)
      ? {
          mlflow: {
            ...service("", {
              sid: "Experiments",
              actions: ["sagemaker-mlflow:*"],
              resources: [services.mlflowArn],
            }),
            // Of its own form too (SageMaker Developer Guide, "Connect an MLflow tracking server through an interface endpoint").
            serviceName: `aws.sagemaker.${account.region}.experiments`,
          },
        }
      : {}),
    // With grants, the roles' policies say which secrets: 100 teams' names would not fit this one.
    ...(secrets.length === 0 && !granted.secrets
      ? {}
      : {
          secretsmanager: service(
            "secretsmanager",
            ...(granted.secrets
              ? [
                  {
                    sid: "SecretsOfTheAccount",
                    actions: ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
                    resources: [account.arn("secretsmanager", "secret:*")],
                  },
                ]
              : secretStatements(secrets)),
          ),
        }),
    ...(granted.glue
      ? {
          glue: service("glue", {
            sid: "CatalogOfTheAccount",
            actions: ["glue:BatchGetPartition", "glue:Get*"],
            resources: [account.arn("glue", "*")],
          }),
        }
      : {}),
    // Athena reads the catalog and S3 on its own side (Amazon Athena User Guide, "Access to Amazon S3"; the catalog: guess).
    ...(granted.athena
      ? {
          athena: service("athena", {
            sid: "QueriesOfTheAccount",
            actions: ["athena:*"],
            resources: [account.arn("athena", "*")],
          }),
        }
      : {}),
    // The Data API signs in to the database on its own side (a guess), so neither `redshift` nor `redshift-serverless`.
    ...(granted.redshift
      ? {
          redshift_data: service("redshift-data", {
            sid: "Statements",
            actions: ["redshift-data:*"],
            resources: ["*"],
          }),
        }
      : {}),
    // For credentials of tables that a notebook reads from S3 itself. Athena asks for them on its own side (a guess).
    ...(granted.lakeFormation
      ? {
          lakeformation: service("lakeformation", {
            sid: "DataOfTheAccount",
            actions: ["lakeformation:Get*"],
            resources: ["*"],
          }),
        }
      : {}),
    ...(schedules
      ? {
          scheduler: service("scheduler", {
            sid: "SchedulesOfTheAccount",
            actions: ["scheduler:*"],
            resources: ["*"],
          }),
        }
      : {}),
    ...(notifications
      ? {
          sns: service(
            "sns",
            {
              sid: "TopicsOfTheAccount",
              actions: ["sns:ListSubscriptionsByTopic", "sns:Publish", "sns:Subscribe"],
              resources: [account.arn("sns", "*")],
            },
            { sid: "AddressesOfTheAccount", actions: ["sns:Unsubscribe"], resources: ["*"] },
          ),
        }
      : {}),
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
