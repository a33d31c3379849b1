import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { AwsAccount } from "../support/aws-account.ts";
import { inRegion } from "./conditions.ts";

/** Pulls images of Amazon ECR, and nothing else from it. */
export function pullImageStatements(
  account: AwsAccount,
  uris: readonly string[],
): DataAwsIamPolicyDocumentStatement[] {
  const repositories = uris.map((uri) => {
    const [host = "", path = ""] = [uri.slice(0, uri.indexOf("/")), uri.slice(uri.indexOf("/") + 1)];
    const [owner = "", , , region = ""] = host.split(".");
    const name = path.replace(/[:@].*$/, "");
    return { region, arn: `arn:${account.partition}:ecr:${region}:${owner}:repository/${name}` };
  });
  return [
    {
      sid: "PullTheImage",
      actions: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      resources: [...new Set(repositories.map(({ arn }) => arn))],
    },
    {
      // A token has no resource (Service Authorization Reference, Amazon ECR).
      sid: "TokenForTheRegistry",
      actions: ["ecr:GetAuthorizationToken"],
      resources: ["*"],
      condition: inRegion(...new Set(repositories.map(({ region }) => region))),
    },
  ];
}

/** That Studio describes the images of its list with the user's role is a guess. */
export function describeImageStatements(
  account: AwsAccount,
  prefix: string,
): DataAwsIamPolicyDocumentStatement[] {
  return [
    {
      sid: "DescribeImages",
      actions: [
        "sagemaker:DescribeAppImageConfig",
        "sagemaker:DescribeImage",
        "sagemaker:DescribeImageVersion",
        "sagemaker:ListImageVersions",
      ],
      resources: ["app-image-config", "image", "image-version"].map((kind) =>
        account.arn("sagemaker", `${kind}/${prefix}-*`),
      ),
    },
  ];
}
