import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity/index.js";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition/index.js";
import { DataAwsServicePrincipal } from "@cdktf/provider-aws/lib/data-aws-service-principal/index.js";
import { Construct } from "constructs";

export interface AwsAccountProps {
  /** The AWS provider's region, such as `us-east-1`. */
  readonly region: string;
}

/**
 * The account that Terraform deploys to. ARNs and service names are built from its partition, so the same JSON works in
 * AWS, AWS China and AWS GovCloud.
 */
export class AwsAccount extends Construct {
  readonly region: string;
  /** 12 digits, known only to Terraform. */
  readonly id: string;
  /** `aws`, `aws-cn` or `aws-us-gov`. */
  readonly partition: string;
  /** `amazonaws.com`, in China `amazonaws.com.cn`. */
  readonly dnsSuffix: string;
  /** `com.amazonaws`, in China `cn.com.amazonaws`: how the names of endpoint services begin. */
  readonly reverseDnsPrefix: string;
  private readonly principals = new Map<string, string>();

  constructor(scope: Construct, id: string, props: AwsAccountProps) {
    super(scope, id);
    const partition = new DataAwsPartition(this, "partition");
    this.region = props.region;
    this.id = new DataAwsCallerIdentity(this, "identity").accountId;
    this.partition = partition.partition;
    this.dnsSuffix = partition.dnsSuffix;
    this.reverseDnsPrefix = partition.reverseDnsPrefix;
  }

  /** ARN of a resource in this account and Region, such as `arn("sagemaker", "app/*")`. */
  arn(service: string, resource: string): string {
    return `arn:${this.partition}:${service}:${this.region}:${this.id}:${resource}`;
  }

  /** The account's root principal: in a policy it stands for whatever the account's own IAM policies allow. */
  get rootArn(): string {
    return `arn:${this.partition}:iam::${this.id}:root`;
  }

  /** Regional name of a service, such as `s3.us-east-1.amazonaws.com`: what `kms:ViaService` compares with. */
  serviceName(service: string): string {
    return `${service}.${this.region}.${this.dnsSuffix}`;
  }

  /**
   * Principal of a service, such as `sagemaker.amazonaws.com` for `sagemaker`. Which services have another suffix in
   * which partition is the provider's to know (data source `aws_service_principal`).
   */
  servicePrincipal(service: string): string {
    const known = this.principals.get(service);
    if (known !== undefined) return known;
    const id = `service_${service.replaceAll(/[.-]/g, "_")}`;
    const { name } = new DataAwsServicePrincipal(this, id, { serviceName: service });
    this.principals.set(service, name);
    return name;
  }
}
