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

/** What an environment may cost, and who hears of it. */
export interface BudgetSettings {
  /** Limit: 1 to 1000000000 US dollars a month. */
  readonly monthlyUsd: number;
  /** Who is told. Limit: 1-10 e-mail addresses (AWS Budgets API, `Notification`). */
  readonly alertAddresses: readonly string[];
  /**
   * At which parts of the budget, in per cent of what was spent. Limit: 1-10 whole numbers, 1 to 1000 (AWS Budgets API,
   * `NotificationsWithSubscribers`).
   * @default [50, 80, 100]
   */
  readonly alertPercents?: readonly number[];
  /**
   * From which part on, in per cent, AWS Budgets keeps people from starting apps: it attaches a policy to the execution
   * role. Running apps go on until they are stopped, by hand or for idleness. To lift it:
   * `aws budgets execute-budget-action --execution-type REVERSE_BUDGET_ACTION`, which must come before this is taken away.
   * @default never: alerts alone
   */
  readonly stopAtPercent?: number;
}

/** Limits that people cannot pass, each by what enforces it. */
export interface GuardRailSettings {
  /**
   * Instance types that apps may run on: Studio hides the others from the people in `userProfiles` (but not the eight that
   * Terraform's provider 5.100.0 does not know), and IAM refuses all others to everyone (condition key
   * `sagemaker:InstanceTypes`; Service Authorization Reference, "Amazon SageMaker"). The provider sends no empty list:
   * without this setting again, IAM allows all, and only `aws sagemaker update-user-profile` shows what was hidden.
   * Limit: the SageMaker API's `AppInstanceType`, with every `defaultInstanceType` among them.
   * @default every type
   */
  readonly allowedInstanceTypes?: readonly string[];
  /**
   * How many spaces a person may have. SageMaker has no such limit, so IAM allows spaces by name alone: those of `ana` are
   * called `ana-1`, `ana-2` and so on, and Studio refuses any other name. Limit: 1-40, names of people in lower case (that
   * SageMaker's ARNs have them so is not confirmed on AWS).
   * @default any number, by any name
   */
  readonly maximumSpacesPerUser?: number;
  /**
   * Size in GB of a space's volume: what a new one has, and the most that a person may ask for; it cannot shrink later.
   * Limit: 5-16384 (SageMaker API, `SpaceEbsVolumeSizeInGb`).
   * @default `{ default: 5, maximum: 100 }`
   */
  readonly spaceVolumeGb?: { readonly default?: number; readonly maximum?: number };
  /**
   * Keys that `tags` must have. Spaces and apps get them from the domain (`TagPropagation`), and nobody may give one of
   * theirs another value. Limit: 1-6, so that they fit an IAM policy.
   * @default none
   */
  readonly requiredTags?: readonly string[];
  /**
   * Counts what has the environment's tag `Environment`: activate it as a cost allocation tag first, in the account that
   * pays; until then AWS Budgets counts nothing. Limit: commercial regions, where prices are in US dollars.
   * @default none
   */
  readonly budget?: BudgetSettings;
}

/** A VPC and the private subnets in it that the spaces run in. */
export interface ExistingNetworkSettings {
  /** Id of the VPC. Limit: one with DNS support and DNS host names, which the home file system is reached by. */
  readonly vpcId: string;
  /**
   * Ids of the subnets. Limit: 2-16 (SageMaker API, `SubnetIds`), of that VPC, in two zones or more, none that gives its
   * instances public addresses: in VpcOnly a space has none and would find no way out. Terraform warns of fewer free
   * addresses than two a user.
   */
  readonly subnetIds: readonly string[];
}

/**
 * What others made already, for the stack to use in place of its own. Terraform reads each of these for a plan and
 * refuses one that cannot serve; it changes and destroys none of them. The roles in `.github/roles` may read what is the
 * stack's own alone: let them read these too.
 */
export interface ExistingSettings {
  /**
   * ARN of a KMS key for bucket, logs and Studio domain. Limit: an enabled, symmetric key to encrypt and decrypt with, in
   * the environment's region (SageMaker API, `KmsKeyId`; EFS and EBS take no asymmetric key). Its key policy must have
   * the statements of the output `encryption_key_policy`, which is for its owner to see to.
   * Cannot change later: it replaces the domain.
   * @default a key of the environment's own
   */
  readonly encryptionKeyArn?: string;

  /**
   * Name of a bucket for payload, samples and artifacts. Limit: in the environment's region, and no other environment's.
   * The stack adds objects below `marimo/` and takes them away again; versioning, encryption, access and how long
   * objects are kept are for its owner to see to.
   * @default a bucket of the environment's own
   */
  readonly bucket?: string;

  /**
   * ARN of the role that Studio and the notebooks run as. Limit: of this account, and one that SageMaker may assume. The
   * stack adds inline policies named `marimo-<environment>-…` to it (IAM allows 10,240 characters of those a role), and
   * `guardRails` as managed policies, which then hold in all that the role is used for.
   * @default a role of the environment's own
   */
  readonly executionRoleArn?: string;

  /**
   * The network of the domain. Its routes or endpoints have to reach what `endpoints-only` has endpoints for: the stack
   * adds security groups for the spaces and nothing else. Destroying the domain leaves the two security groups that
   * SageMaker makes for its home file system, `security-group-for-…bound-nfs-<domain>`, and with `Retain` its mount targets.
   * Cannot change later: it replaces the domain.
   * @default a VPC of the environment's own
   */
  readonly network?: ExistingNetworkSettings;

  /**
   * Id of a Studio domain that marimo is brought to. The stack then makes the payload with its bucket and key, a lifecycle
   * configuration and what the execution role may do, and changes nothing of the domain: the outputs
   * `update_domain_command` and `update_user_profile_command` are for its owner to run, and to undo before a destroy
   * (SageMaker deletes no lifecycle configuration that settings name). A destroy takes nothing of the domain, and so asks
   * nothing of its people's work. Terraform reads the domain with `cloudformation:GetResource` and `sagemaker:DescribeDomain`.
   * Without `executionRoleArn` beside it, the output `execution_role_policies` is what its roles have to be allowed.
   * @default a domain of the environment's own
   */
  readonly domainId?: string;
}

/** What notebooks as SageMaker Processing jobs may take, and what they start with. */
export interface JobSettings {
  /**
   * Instance types that a job may ask for; IAM refuses the others. Limit: SageMaker API, `ProcessingInstanceType`; at
   * most 64 (IAM User Guide, "IAM and AWS STS quotas": inline policies of a role).
   * @default any
   */
  readonly allowedInstanceTypes?: readonly string[];
  /**
   * What a job runs on that names no type.
   * @default "ml.m5.large"
   */
  readonly defaultInstanceType?: string;
  /**
   * Minutes after which SageMaker ends a job at the latest. Limit: 12960, 777,600 s (SageMaker API,
   * `ProcessingMaxRuntimeInSeconds`).
   * @default 1440
   */
  readonly maximumMinutes?: number;
  /**
   * GB of a job's volume. Limit: 1-16384 (SageMaker API, `ProcessingVolumeSizeInGB`).
   * @default 30
   */
  readonly volumeGb?: number;
  /**
   * The jobs' image, in Amazon ECR: one with Python 3.12, `uv` or pip, and the AWS CLI in `/opt/conda/bin`.
   * @default SageMaker Distribution 4.4.1 for CPUs; none in regions where its account is not known
   */
  readonly imageUri?: string;
  /**
   * Who gets an e-mail when a scheduled job fails or cannot be started; each has to confirm the first.
   * Limit: 1-10 addresses.
   * @default nobody: the topic is there for others to subscribe
   */
  readonly alertAddresses?: readonly string[];
}

/** A notebook that runs by itself. */
export interface ScheduleSettings {
  /**
   * Names the schedule and its jobs, `marimo-<environment>-<name>-<id>`. Limit: lower-case letters, digits and inner
   * hyphens; with the environment's name 19 characters (SageMaker API, `ProcessingJobName`: 63, of which 36 are the id).
   */
  readonly name: string;
  /** Path of the notebook in this project. */
  readonly notebook: string;
  /**
   * What lies beside it and goes along, as paths from its folder on. Limit: 100.
   * @default nothing
   */
  readonly files?: readonly string[];
  /**
   * Requirements with hashes that it needs beside marimo's, such as `uv export --script … --format requirements-txt`
   * writes. A path from the notebook's folder on.
   * @default none
   */
  readonly lock?: string;
  /** When: `cron(…)` with six fields or `rate(…)` (EventBridge Scheduler User Guide, "Schedule types"). */
  readonly expression: string;
  /**
   * Time zone of a cron expression, with its summer time.
   * @default "UTC"
   */
  readonly timeZone?: string;
  /** @default `jobs.defaultInstanceType` */
  readonly instanceType?: string;
  /**
   * Arguments of the notebook, as `mo.cli_args()` reads them. Limit: 99 of 256 characters (SageMaker API,
   * `ContainerArguments`).
   * @default none
   */
  readonly arguments?: readonly string[];
  /**
   * Minutes after which SageMaker ends it. Limit: `jobs.maximumMinutes`.
   * @default 60, or `jobs.maximumMinutes` where that is less
   */
  readonly timeLimitMinutes?: number;
  /**
   * Whether it fires.
   * @default true
   */
  readonly enabled?: boolean;
}

/** One environment: one stack, one Terraform state, one Studio domain. Only `name` is required. */
export interface EnvironmentSettings {
  /**
   * Names the stack and, as `marimo-<name>`, every resource in it. Cannot change later: a domain's name is fixed.
   * Limit: 1-20 lower-case letters, digits and inner hyphens, starting with a letter, so that every derived name
   * stays within AWS's shortest limit.
   */
  readonly name: string;

  /**
   * AWS region. Limit: one that has SageMaker (`sagemakerRegions` in `regions.ts`, from botocore 1.43.56),
   * and that Terraform's provider 5.100.0 knows: not "ap-southeast-6".
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
   * Name of a folder in `~/marimo-notebooks` whose notebooks each space offers as apps: a tile **marimo apps** in
   * JupyterLab's launcher opens the gallery of `marimo run`, without code. Limit: one folder, 64 characters.
   * @default no gallery
   */
  readonly appsFolder?: string;

  /**
   * Tags on everything that can carry them, beside `Project` and `Environment`.
   * Limit: 48 beside those two, 50 in all; keys 1-128 and values 0-256 characters (SageMaker API, `TagKey`, `TagValue`),
   * no `aws:` prefix, no two keys that differ in case alone (IAM User Guide: a role's tag keys ignore case).
   * @default none
   */
  readonly tags?: Readonly<Record<string, string>>;

  /**
   * What people may not pass: instance types, spaces, volumes, tags and money.
   * @default volumes alone, of 5 to 100 GB
   */
  readonly guardRails?: GuardRailSettings;

  /**
   * Notebooks as SageMaker Processing jobs: `marimo-job run`, and `schedules`. They run in the private subnets, with a
   * role of their own. There are none beside `existing.domainId`, whose network is others'.
   * @default any instance type, a day at most
   */
  readonly jobs?: JobSettings;

  /**
   * Notebooks that run by themselves, by EventBridge Scheduler.
   * @default none
   */
  readonly schedules?: readonly ScheduleSettings[];

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
   * What is there already, to use in place of the stack's own. Cannot change later where the domain refers to it.
   * @default nothing
   */
  readonly existing?: ExistingSettings;

  /**
   * ARN of the managed policy that bounds every role of the stack (IAM's permissions boundary): one of the account or of
   * AWS's own. A role may do only what its policies and this one allow.
   * @default none
   */
  readonly permissionsBoundaryArn?: string;

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

export interface ResolvedGuardRails
  extends Pick<GuardRailSettings, "allowedInstanceTypes" | "maximumSpacesPerUser"> {
  readonly spaceVolumeGb: { readonly default: number; readonly maximum: number };
  readonly requiredTags: readonly string[];
  readonly budget?: ResolvedBudget;
}

export type ResolvedBudget = Required<Omit<BudgetSettings, "stopAtPercent">> &
  Pick<BudgetSettings, "stopAtPercent">;

export type ResolvedJobs = Required<Omit<JobSettings, "allowedInstanceTypes" | "imageUri">> &
  Pick<JobSettings, "allowedInstanceTypes" | "imageUri">;

export type ResolvedSchedule = Required<Omit<ScheduleSettings, "lock">> & Pick<ScheduleSettings, "lock">;

/** An environment with every default filled in: what the constructs work from. */
export interface ResolvedEnvironment
  extends Required<
      Omit<
        EnvironmentSettings,
        | "userProfiles"
        | "backend"
        | "packageIndexUrl"
        | "permissionsBoundaryArn"
        | "guardRails"
        | "appsFolder"
        | "jobs"
        | "schedules"
      >
    >,
    Pick<EnvironmentSettings, "packageIndexUrl" | "permissionsBoundaryArn" | "appsFolder"> {
  readonly userProfiles: readonly Required<UserProfileSettings>[];
  readonly guardRails: ResolvedGuardRails;
  readonly jobs: ResolvedJobs;
  readonly schedules: readonly ResolvedSchedule[];
  readonly backend:
    | LocalBackendSettings
    | (Required<Omit<S3BackendSettings, "kmsKeyId">> & Pick<S3BackendSettings, "kmsKeyId">);
}
