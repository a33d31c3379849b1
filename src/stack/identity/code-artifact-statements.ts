import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { CodeArtifactRepository } from "../../settings/code-artifact.ts";
import type { AwsAccount } from "../support/aws-account.ts";

/**
 * What pip asks of a CodeArtifact repository, which may be another account's (AWS CodeArtifact User Guide, "AWS
 * CodeArtifact permissions reference"); its upstream repositories are read on its behalf. `GetRepositoryEndpoint` is what
 * `aws codeartifact login` asks for in a terminal.
 */
export function codeArtifactStatements(
  account: AwsAccount,
  { domain, owner, region, repository }: CodeArtifactRepository,
): DataAwsIamPolicyDocumentStatement[] {
  const arn = (resource: string) => `arn:${account.partition}:codeartifact:${region}:${owner}:${resource}`;
  return [
    {
      sid: "PackageIndexToken",
      actions: ["codeartifact:GetAuthorizationToken"],
      resources: [arn(`domain/${domain}`)],
    },
    {
      sid: "ReadThePackageIndex",
      actions: ["codeartifact:GetRepositoryEndpoint", "codeartifact:ReadFromRepository"],
      resources: [arn(`repository/${domain}/${repository}`)],
    },
    {
      // A token is a bearer token of STS, which knows no resource for it (IAM User Guide, "Service bearer tokens").
      sid: "BearerTokenForCodeArtifact",
      actions: ["sts:GetServiceBearerToken"],
      resources: ["*"],
      condition: [
        {
          test: "StringEquals",
          variable: "sts:AWSServiceName",
          values: [account.servicePrincipal("codeartifact")],
        },
      ],
    },
  ];
}
