import { DataAwsCloudcontrolapiResource } from "@cdktf/provider-aws/lib/data-aws-cloudcontrolapi-resource/index.js";
import { Fn, propertyAccess } from "cdktf";
import { Construct } from "constructs";

export interface ExistingDomainProps {
  readonly domainId: string;
  readonly region: string;
  readonly lifecycleConfigurationArn: string;
}

/**
 * A Studio domain that others made, in place of `StudioDomain`. It is read through AWS Cloud Control API, since Terraform's
 * provider has no data source for domains; that needs `cloudformation:GetResource` beside `sagemaker:DescribeDomain`.
 *
 * What has to be done to it is a command for its owner, not a resource: Terraform would have to own the whole domain,
 * and cannot update one in VpcOnly (provider issue 45528). The AWS CLI can, where it does not name the network access.
 */
export class ExistingDomain extends Construct {
  readonly id: string;
  readonly updateDomainCommand: string;
  readonly updateUserProfileCommand: string;

  constructor(scope: Construct, id: string, props: ExistingDomainProps) {
    super(scope, id);
    const { domainId, lifecycleConfigurationArn, region } = props;
    const domain = new DataAwsCloudcontrolapiResource(this, "domain", {
      typeName: "AWS::SageMaker::Domain",
      identifier: domainId,
    });
    this.id = domain.identifier;

    // An update replaces JupyterLab's settings as a whole: the domain's other ones have to be in it again.
    const found = propertyAccess(Fn.jsondecode(domain.properties), [
      "DefaultUserSettings",
      "JupyterLabAppSettings",
    ]);
    const json = Fn.jsonencode({
      JupyterLabAppSettings: Fn.merge([
        Fn.try([found, {}]),
        { BuiltInLifecycleConfigArn: lifecycleConfigurationArn },
      ]),
    });
    // Quoted for a shell. cdktf escapes no backslash, which Terraform would read.
    const settings = `'${Fn.replace(json, "'", "'\\\\''")}'`;
    const aws = (command: string) => `aws sagemaker ${command} --region ${region} --domain-id ${domainId}`;
    this.updateDomainCommand = `${aws("update-domain")} --default-user-settings ${settings}`;
    this.updateUserProfileCommand = `${aws("update-user-profile")} --user-profile-name NAME --user-settings ${settings}`;
  }
}
