export interface Leftover {
  readonly kind: string;
  /** The ID or name in AWS and in Terraform's state. */
  readonly id: string;
  /** The Terraform type, if a resource of another type can have the same ID. */
  readonly type?: string | undefined;
  /** Additional information for the list. */
  readonly note?: string | undefined;
  /** The domain for which SageMaker created it. */
  readonly domainId?: string | undefined;
  /** Whether it contains users' files, so that it is deleted only with consent. */
  readonly work?: boolean | undefined;
  /** The KMS key that is needed to read it. */
  readonly keyId?: string | undefined;
  /** The resource that it is deleted with. It is listed separately only if Terraform's state contains that resource. */
  readonly partOf?: string | undefined;
  /**
   * The resource that users created it with, as `TYPE id`. Not a leftover while Terraform's state contains that
   * resource.
   */
  readonly madeWith?: string | undefined;
  readonly remove: () => Promise<unknown>;
}

export interface EnvironmentNames {
  /** The ID of the AWS account. */
  readonly account: string;
  readonly environment: string;
  /** Prefix of all names in it. */
  readonly prefix: string;
  /** Name of an existing role that its jobs run as. */
  readonly existingRole?: string | undefined;
  /** Name of its bucket in this account. The access log bucket has the suffix `-logs`, the trail's `-trail`. */
  readonly bucket: string;
}

interface Tag {
  readonly Key?: string | undefined;
  readonly Value?: string | undefined;
}

/**
 * Whether a resource has the environment's tags. Checked also where AWS filters by them, because what is found is
 * deleted. A name does not say it: `marimo-a-b` can also be of the environment `a-b`.
 */
export const isOwn = (tags: readonly Tag[] | undefined, { environment }: EnvironmentNames): boolean =>
  [
    ["Project", "sagemaker-marimo"],
    ["Environment", environment],
  ].every(([key, value]) => tags?.some(({ Key, Value }) => Key === key && Value === value));
