import { DataAwsCloudcontrolapiResource } from "@cdktf/provider-aws/lib/data-aws-cloudcontrolapi-resource/index.js";
import { Fn, propertyAccess } from "cdktf";
import { Construct } from "constructs";

export interface ExistingDomainProps {
  readonly domainId: string;
  readonly region: string;
  readonly lifecycleConfigurationArns: Readonly<Record<"JupyterLab" | "CodeEditor", string>>;
}

/**
 * An existing Studio domain, instead of `StudioDomain`. It is read through AWS Cloud Control API, since Terraform's
 * provider has no data source for domains; that needs `cloudformation:GetResource` beside `sagemaker:DescribeDomain`.
 *
 * Its changes are commands for its owner, not resources: Terraform would have to manage the whole domain, and it cannot
 * update one in VpcOnly (provider issue 45528). The AWS CLI can, where it does not name the network access.
 */
export class ExistingDomain extends Construct {
  readonly id: string;
  readonly updateDomainCommand: string;
  readonly updateUserProfileCommand: string;

  constructor(scope: Construct, id: string, props: ExistingDomainProps) {
    super(scope, id);
    const { domainId, lifecycleConfigurationArns, region } = props;
    const domain = new DataAwsCloudcontrolapiResource(this, "domain", {
      typeName: "AWS::SageMaker::Domain",
      identifier: domainId,
    });
    this.id = domain.identifier;

    // An update replaces an app's settings as a whole: the domain's other ones have to be in it again.
    const json = Fn.jsonencode(
      Object.fromEntries(
        Object.entries(lifecycleConfigurationArns).map(([app, arn]) => {
          const name = `${app}AppSettings`;
          const found = propertyAccess(Fn.jsondecode(domain.properties), ["DefaultUserSettings", name]);
          return [name, Fn.merge([Fn.try([found, {}]), { BuiltInLifecycleConfigArn: arn }])];
        }),
      ),
    );
    // Quoted for a shell. cdktf escapes no backslash, which Terraform would read.
    const settings = `'${Fn.replace(json, "'", "'\\\\''")}'`;
    const aws = (command: string) => `aws sagemaker ${command} --region ${region} --domain-id ${domainId}`;
    this.updateDomainCommand = `${aws("update-domain")} --default-user-settings ${settings}`;
    this.updateUserProfileCommand = `${aws("update-user-profile")} --user-profile-name NAME --user-settings ${settings}`;
  }
}
