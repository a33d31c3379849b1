/** How the private subnets reach what is outside the VPC. */
export type Egress = "nat" | "nat-per-zone" | "endpoints-only";

/** How the browser keeps in touch with marimo's kernel. */
export const transports = ["auto", "sse", "polling", "websocket"] as const;
export type Transport = (typeof transports)[number];

/** One person who may open Studio. */
export interface UserProfileSettings {
  /**
   * Name of the Studio user profile.
   * Limit: 1-63 characters, letters, digits and inner hyphens (SageMaker API, `UserProfileName`).
   */
  readonly name: string;

  /**
   * Instance type that this person's JupyterLab spaces start with.
   * @default the environment's `defaultInstanceType`
   */
  readonly defaultInstanceType?: string;
}

/** Terraform state in a file beside `cdktf.json`: `terraform.<environment>.tfstate`. For one person alone. */
export interface LocalBackendSettings {
  readonly type: "local";
}

/** Terraform state in S3, locked by an object beside it (`use_lockfile`, Terraform >= 1.10). For a team. */
export interface S3BackendSettings {
  readonly type: "s3";
  /** An existing bucket. Limit: 3-63 characters (Amazon S3 User Guide, "General purpose bucket naming rules"). */
  readonly bucket: string;
  /**
   * Object key of the state. Limit: 1-1017 bytes, which leaves room for `.tflock` (Amazon S3 User Guide, "Naming Amazon
   * S3 objects": 1024), with no slash at either end.
   * @default `sagemaker-marimo/<environment>.tfstate`
   */
  readonly key?: string;
  /**
   * Region of the bucket.
   * @default the environment's `region`
   */
  readonly region?: string;
  /**
   * ARN of the KMS key that encrypts the state: a key in the bucket's region, not an alias.
   * @default the bucket's own default encryption
   */
  readonly kmsKeyId?: string;
}

export type BackendSettings = LocalBackendSettings | S3BackendSettings;

/** One environment: one stack, one Terraform state, one Studio domain. Only `name` is required. */
export interface EnvironmentSettings {
  /**
   * Names the stack and, as `marimo-<name>`, every resource in it. Cannot change later: a domain's name is fixed.
   * Limit: 1-20 lower-case letters, digits and inner hyphens, starting with a letter, so that every derived name
   * stays within AWS's shortest limit.
   */
  readonly name: string;

  /**
   * AWS region. Limit: one that has SageMaker (`sagemakerRegions` in `regions.ts`, from botocore 1.43.56).
   * @default "us-east-1"
   */
  readonly region?: string;

  /**
   * Address range of the VPC: a private range (RFC 1918) other than 172.17.0.0/16, which SageMaker uses itself, size /16
   * to /28 (Amazon VPC User Guide, "VPC CIDR blocks"), with room for two subnets a zone (so /26 at the least) and four
   * private addresses a user. Two environments in one region must not overlap.
   * Cannot change later: the domain lives in it.
   * @default "10.0.0.0/16"
   */
  readonly vpcCidr?: string;

  /**
   * The two availability zones, by name. An account may lack one of a region's letters, as in us-west-1 and
   * ap-northeast-1: `aws ec2 describe-availability-zones` lists those it has.
   * Cannot change later: the domain's subnets are in them.
   * @default the region's `a` and `b`
   */
  readonly availabilityZones?: readonly string[];

  /**
   * Way out of the private subnets: one NAT gateway, one per zone, or none with interface endpoints alone.
   * @default "nat", the cheapest that can install packages from the internet
   */
  readonly egress?: Egress;

  /**
   * The people. At most 60 for each call of Studio's user interface to stay quick; AWS has no smaller limit.
   * @default one profile, `data-scientist`
   */
  readonly userProfiles?: readonly UserProfileSettings[];

  /**
   * How people sign in: through the AWS console and presigned URLs (`IAM`), or IAM Identity Center (`SSO`).
   * Cannot change later: it replaces the domain.
   * @default "IAM"
   */
  readonly authentication?: "IAM" | "SSO";

  /**
   * Instance type that a JupyterLab space starts with.
   * Limit: the SageMaker API's `AppInstanceType`, without `system`.
   * @default "ml.t3.medium"
   */
  readonly defaultInstanceType?: string;

  /**
   * Minutes without activity after which Studio stops a space's app.
   * Limit: 60-525600 (SageMaker API, `IdleTimeoutInMinutes`).
   * @default 60
   */
  readonly idleTimeoutMinutes?: number;

  /**
   * Version of marimo in the spaces. Limit: an exact release, 0.23.14 or later, the first that can serve its kernel over
   * server-sent events, which Studio's gateway lets through.
   * @default "0.25.2"
   */
  readonly marimoVersion?: string;

  /**
   * Python packages that marimo's kernels see beside the image's own: PEP 508 requirements, each pinned with `==`.
   * Spaces install what `npm run lock` made of them: run it after a change of these two settings.
   * @default none
   */
  readonly extraPackages?: readonly string[];

  /**
   * Address of a package index (PEP 503) that spaces install from in place of PyPI, whose packages must be the very same:
   * the lock file's hashes decide. Limit: https, without a name and password, which would be readable in the bucket.
   * AWS CodeArtifact needs none: for `https://DOMAIN-ACCOUNT.d.codeartifact.REGION.amazonaws.com/pypi/REPOSITORY/simple/`
   * the execution role may read that repository, the spaces ask for a token as they install, and `endpoints-only` gets
   * CodeArtifact's two endpoints. With any other index that asks for credentials, people have theirs in `~/.netrc`, which
   * uv and pip both read (uv's documentation, "HTTP credentials"; pip's, "Authentication").
   * marimo's own package panel has no token either: there too it is `~/.netrc` that gives it one.
   * Spaces without any index take their packages from the bucket: `npm run wheelhouse`.
   * @default PyPI
   */
  readonly packageIndexUrl?: string;

  /**
   * How the browser keeps in touch with marimo's kernel: a stream of server-sent events (`sse`), one request after
   * another (`polling`), marimo's own WebSocket (`websocket`, which Studio's gateway is reported to break), or a stream
   * with polling wherever something on the way holds streams back (`auto`).
   * @default "auto"
   */
  readonly transport?: Transport;

  /**
   * Whether each space gets the sample notebooks in `~/marimo-notebooks`.
   * @default true
   */
  readonly sampleNotebooks?: boolean;

  /**
   * Tags on everything that can carry them, beside `Project` and `Environment`.
   * Limit: 48 beside those two, 50 in all; keys 1-128 and values 0-256 characters (SageMaker API, `TagKey`, `TagValue`),
   * no `aws:` prefix, no two keys that differ in case alone (IAM User Guide: a role's tag keys ignore case).
   * @default none
   */
  readonly tags?: Readonly<Record<string, string>>;

  /**
   * Where Terraform keeps its state.
   * @default `{ type: "local" }`
   */
  readonly backend?: BackendSettings;

  /**
   * What happens to the domain's home file system when the domain is destroyed.
   * Cannot change later: it replaces the domain.
   * @default "Retain"
   */
  readonly homeFileSystemRetention?: "Retain" | "Delete";

  /**
   * Whether Terraform refuses any plan that would destroy the domain, the key or the bucket (`prevent_destroy`).
   * May be true beside `homeFileSystemRetention: "Delete"`: that one says what happens once this was lifted on purpose.
   * @default true, or false where `homeFileSystemRetention` is "Delete"
   */
  readonly removalProtection?: boolean;

  /**
   * Whether destroying the stack also deletes the objects in the bucket (`force_destroy`). Limit: true only where
   * `removalProtection` is false.
   * @default false, or true where `removalProtection` is false
   */
  readonly bucketForceDestroy?: boolean;
}

/** An environment with every default filled in: what the constructs work from. */
export interface ResolvedEnvironment
  extends Required<Omit<EnvironmentSettings, "userProfiles" | "backend" | "packageIndexUrl">>,
    Pick<EnvironmentSettings, "packageIndexUrl"> {
  readonly userProfiles: readonly Required<UserProfileSettings>[];
  readonly backend:
    | LocalBackendSettings
    | (Required<Omit<S3BackendSettings, "kmsKeyId">> & Pick<S3BackendSettings, "kmsKeyId">);
}
