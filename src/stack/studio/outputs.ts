import { Fn } from "cdktf";
import type { EnvironmentRole } from "../identity/execution-role.ts";
import type { EnvironmentNetwork } from "../network/network.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import type { Outputs } from "../support/outputs.ts";
import type { LifecycleConfiguration } from "./lifecycle-configuration.ts";
import type { StudioDomain } from "./studio-domain.ts";

export interface StudioOutputsProps {
  readonly region: string;
  readonly studio: StudioDomain;
  readonly network: EnvironmentNetwork;
  readonly role: EnvironmentRole;
  readonly bucket: EnvironmentBucket;
  readonly lifecycleConfiguration: LifecycleConfiguration;
  /** Terraform map with the name of each user profile as a key. */
  readonly userProfiles: unknown;
}

/** Outputs of an environment with its own Studio domain. */
export function studioOutputs(props: StudioOutputsProps): Outputs {
  const { bucket, lifecycleConfiguration, network, region, role, studio, userProfiles } = props;
  const { domain } = studio;
  const names = Fn.keys(userProfiles);
  return {
    studio_domain_id: ["Id of the Studio domain", domain.id],
    studio_url: ["Address of the Studio domain", domain.url],
    console_url: [
      "The domain in the AWS console",
      `https://${consoleHost(region)}/sagemaker/home?region=${region}#/studio/${domain.id}`,
    ],
    user_profile_names: ["Names of the Studio user profiles", names],
    execution_role_arn: ["Role of the domain and its shared spaces", role.arn],
    vpc_id: ["VPC of the Studio domain", network.vpcId],
    marimo_job_environment: [
      "What marimo-job needs on a laptop: paste it into a shell, with your user profile for NAME",
      `export MARIMO_BUCKET=${bucket.name} AWS_REGION=${region} MARIMO_USER=NAME`,
    ],
    lifecycle_configuration_arn: [
      "Lifecycle configuration that starts marimo in the JupyterLab spaces of the user profiles",
      lifecycleConfiguration.jupyterLab.profiles,
    ],
  };
}

/** The data source `aws_partition` does not have it. */
function consoleHost(region: string): string {
  if (region.startsWith("cn-")) return "console.amazonaws.cn";
  if (region.startsWith("us-gov-")) return "console.amazonaws-us-gov.com";
  return `${region}.console.aws.amazon.com`;
}
