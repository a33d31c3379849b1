import { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
import {
  Fn,
  LocalBackend,
  S3Backend,
  TerraformElement,
  TerraformIterator,
  TerraformLocal,
  TerraformOutput,
  TerraformResource,
  TerraformStack,
} from "cdktf";
import { Construct, type Node } from "constructs";
import { ArtifactBucket, type EnvironmentBucket } from "./constructs/artifact-bucket.ts";
import { AwsAccount } from "./constructs/aws-account.ts";
import { Budget, BudgetStopPolicy } from "./constructs/budget.ts";
import { EncryptionKey } from "./constructs/encryption-key.ts";
import { ExecutionRole, type ExecutionRoleProps, executionDocuments } from "./constructs/execution-role.ts";
import { ExistingBucket } from "./constructs/existing-bucket.ts";
import { ExistingDomain } from "./constructs/existing-domain.ts";
import { ExistingKey } from "./constructs/existing-key.ts";
import { ExistingNetwork } from "./constructs/existing-network.ts";
import { ExistingRole } from "./constructs/existing-role.ts";
import { GuardRails } from "./constructs/guard-rails.ts";
import { HomeFileSystemCleanup } from "./constructs/home-file-system-cleanup.ts";
import { HomeFileSystemKey } from "./constructs/home-file-system-key.ts";
import { JobAlerts } from "./constructs/job-alerts.ts";
import { Jobs } from "./constructs/jobs.ts";
import { LifecycleConfiguration } from "./constructs/lifecycle-configuration.ts";
import { Network } from "./constructs/network.ts";
import { Payload } from "./constructs/payload.ts";
import { PermissionsBoundary } from "./constructs/permissions-boundary.ts";
import { RemovalGuard } from "./constructs/removal-guard.ts";
import { RemovalScripts } from "./constructs/removal-step.ts";
import { Schedules } from "./constructs/schedules.ts";
import { spaceFiles } from "./constructs/space-files.ts";
import { StudioDomain } from "./constructs/studio-domain.ts";
import { codeArtifactRepository } from "./settings/code-artifact.ts";
import { lockFileOf } from "./settings/locks.ts";
import { prefixOf } from "./settings/names.ts";
import { projectRoot } from "./settings/schedules.ts";
import { stateFileOf } from "./settings/state-file.ts";
import type { ResolvedEnvironment } from "./settings/types.ts";

/** What a domain is given, whether it is the stack's own or there already. */
interface Parts {
  readonly environment: ResolvedEnvironment;
  readonly account: AwsAccount;
  readonly rights: ExecutionRoleProps;
  readonly lifecycleConfiguration: LifecycleConfiguration;
  readonly payload: Payload;
  readonly bucket: EnvironmentBucket;
  readonly scripts: RemovalScripts;
}

/** Tags of everything that can carry them, jobs among it. */
const tagsOf = ({ name, tags }: ResolvedEnvironment) => ({
  ...tags,
  Project: "sagemaker-marimo",
  Environment: name,
});

/** One environment: a Studio domain whose JupyterLab spaces have marimo, and all that it needs. */
export class StudioStack extends TerraformStack {
  private readonly logicalIds = new Map<string, string>();

  constructor(scope: Construct, environment: ResolvedEnvironment) {
    super(scope, environment.name);
    const { existing, region, removalProtection } = environment;
    const prefix = prefixOf(environment.name);
    this.terraformSettings(environment);
    new AwsProvider(this, "aws", {
      region,
      // The provider's own 25 go on for 51 minutes where EC2 says that a token has expired (provider issue 15618). Its
      // pauses double, of up to 1 s, 2 s, 4 s and so on: these 8 attempts in all last two minutes at most.
      maxRetries: 8,
      defaultTags: [
        {
          tags: tagsOf(environment),
        },
      ],
    });
    const account = new AwsAccount(this, "account", { region });
    const packages = codeArtifactRepository(environment.packageIndexUrl);

    if (environment.permissionsBoundaryArn !== undefined) {
      new PermissionsBoundary(this, "permissions_boundary", {
        account,
        arn: environment.permissionsBoundaryArn,
      });
    }

    const scripts = new RemovalScripts(this, "removal_scripts");
    // A domain of others keeps its home file system with a key of theirs.
    const retained = existing.domainId === undefined && environment.homeFileSystemRetention === "Retain";
    const alerts = environment.schedules.length > 0;
    const key =
      existing.encryptionKeyArn === undefined
        ? new EncryptionKey(this, "encryption", {
            prefix,
            account,
            removalProtection,
            // A home file system that stays is unreadable without its key: the longest that KMS can wait, and kept after all.
            deletionWindowDays: retained ? 30 : 7,
            alerts,
            ...(retained
              ? {
                  keptBy: new HomeFileSystemKey(this, "home_file_system_key", {
                    account,
                    scripts,
                    environment: environment.name,
                  }).step,
                }
              : {}),
          })
        : new ExistingKey(this, "encryption", { prefix, account, arn: existing.encryptionKeyArn, alerts });
    const bucket =
      existing.bucket === undefined
        ? new ArtifactBucket(this, "storage", {
            prefix,
            account,
            encryptionKeyArn: key.arn,
            forceDestroy: environment.bucketForceDestroy,
            removalProtection,
          })
        : new ExistingBucket(this, "storage", { name: existing.bucket, region });
    const rights = { prefix, account, bucketArn: bucket.arn, encryptionKeyArn: key.arn, packages };
    const payload = new Payload(this, "payload", {
      source: {
        folder: spaceFiles.payload,
        ...(environment.sampleNotebooks ? { samplesFolder: spaceFiles.sampleNotebooks } : {}),
        requirements: lockFileOf(environment),
        settings: {
          MARIMO_TRANSPORT: environment.transport,
          ...(environment.appsFolder === undefined ? {} : { MARIMO_APPS_FOLDER: environment.appsFolder }),
          ...(environment.packageIndexUrl === undefined
            ? {}
            : { MARIMO_PACKAGE_INDEX_URL: environment.packageIndexUrl }),
          ...(packages === undefined
            ? {}
            : {
                MARIMO_CODEARTIFACT_DOMAIN: packages.domain,
                MARIMO_CODEARTIFACT_OWNER: packages.owner,
                MARIMO_CODEARTIFACT_REGION: packages.region,
              }),
        },
      },
      bucket,
      encryptionKeyArn: key.arn,
    });
    const lifecycleConfiguration = new LifecycleConfiguration(this, "lifecycle_configuration", {
      prefix,
      environment: environment.name,
      region,
      bucketName: bucket.name,
      script: spaceFiles.onStart,
      profiles: existing.domainId === undefined,
    });

    this.outputs({
      artifact_bucket: ["Bucket for artifacts and sample data", bucket.name],
      ...(key instanceof ExistingKey
        ? {
            encryption_key_policy: [
              "Statements that the policy of the existing key must have",
              key.policyStatements,
            ] as const,
          }
        : {}),
    });
    const parts = { environment, account, bucket, lifecycleConfiguration, payload, rights, scripts };
    if (existing.domainId === undefined) this.ownDomain(parts);
    else this.existingDomain(parts, existing.domainId);
  }

  private ownDomain(parts: Parts) {
    const { account, bucket, environment, lifecycleConfiguration, payload, rights, scripts } = parts;
    const { existing, guardRails, region } = environment;
    const { encryptionKeyArn, packages, prefix } = rights;
    const network =
      existing.network === undefined
        ? new Network(this, "network", {
            prefix,
            account,
            vpcCidr: environment.vpcCidr,
            availabilityZones: environment.availabilityZones,
            egress: environment.egress,
            encryptionKeyArn,
            bucketArn: bucket.arn,
            codeArtifact: packages,
          })
        : new ExistingNetwork(this, "network", {
            ...existing.network,
            users: environment.userProfiles.length,
          });
    const jobs = new Jobs(this, "jobs", {
      prefix,
      account,
      environment: environment.name,
      network,
      bucket,
      encryptionKeyArn,
      settings: environment.jobs,
      tags: tagsOf(environment),
      packages,
    });
    if (environment.schedules.length > 0) this.schedules(parts, jobs);
    const rightsWithJobs = { ...rights, jobs: jobs.rights };
    const stopPolicy =
      guardRails.budget?.stopAtPercent === undefined
        ? undefined
        : new BudgetStopPolicy(this, "budget_stop", { prefix, account });
    const role =
      existing.executionRoleArn === undefined
        ? new ExecutionRole(this, "execution", {
            ...rightsWithJobs,
            ...(stopPolicy === undefined ? {} : { attachedByOthers: [stopPolicy.policy] }),
          })
        : new ExistingRole(this, "execution", { ...rightsWithJobs, arn: existing.executionRoleArn });
    const { policies: guardRailPolicies } = new GuardRails(this, "guard_rails", {
      prefix,
      account,
      roleName: role.name,
      allowedInstanceTypes: guardRails.allowedInstanceTypes,
      maximumSpacesPerUser: guardRails.maximumSpacesPerUser,
      requiredTags: Object.fromEntries(
        guardRails.requiredTags.map((key) => [key, environment.tags[key] ?? ""]),
      ),
    });
    if (guardRails.budget !== undefined) {
      new Budget(this, "budget", {
        prefix,
        account,
        environment: environment.name,
        budget: guardRails.budget,
        ...(stopPolicy === undefined || guardRails.budget.stopAtPercent === undefined
          ? {}
          : { stop: { role, policy: stopPolicy, atPercent: guardRails.budget.stopAtPercent } }),
      });
    }
    // It takes all that deleted domains left in the VPC, which in a VPC of others may be theirs.
    const cleanup =
      network instanceof Network
        ? [
            new HomeFileSystemCleanup(this, "home_file_system_cleanup", {
              account,
              network,
              scripts,
              homeFileSystemRetention: environment.homeFileSystemRetention,
            }).step,
          ]
        : [];
    // The map is written once, and everything a person has is made from it: the JSON grows by a line a person.
    const userProfiles = new TerraformLocal(
      this,
      "user_profiles",
      Object.fromEntries(environment.userProfiles.map((user) => [user.name, user.defaultInstanceType])),
    );
    const studio = new StudioDomain(this, "studio", {
      prefix,
      network,
      executionRoleArn: role.arn,
      encryptionKeyArn,
      lifecycleConfiguration,
      authentication: environment.authentication,
      defaultInstanceType: environment.defaultInstanceType,
      idleTimeoutMinutes: environment.idleTimeoutMinutes,
      homeFileSystemRetention: environment.homeFileSystemRetention,
      removalProtection: environment.removalProtection,
      spaceVolumeGb: guardRails.spaceVolumeGb,
      allowedInstanceTypes: guardRails.allowedInstanceTypes,
      userProfiles: TerraformIterator.fromMap(userProfiles.asAnyMap),
      domainDependsOn: [...cleanup, ...role.policies, ...guardRailPolicies],
      profilesDependOn: [payload.pointer],
    });

    const { domain } = studio;
    // The last of the resources: it depends on all those before it.
    new RemovalGuard(this, "removal_guard", {
      account,
      scripts,
      prefix,
      domainId: domain.id,
      userProfileNames: Fn.keys(userProfiles.asAnyMap),
      homeFileSystemRetention: environment.homeFileSystemRetention,
      ...(bucket instanceof ArtifactBucket ? { bucket } : {}),
      before: this.node.findAll().filter((construct) => TerraformResource.isTerraformResource(construct)),
    });
    this.outputs({
      studio_domain_id: ["Id of the Studio domain", domain.id],
      studio_url: ["Address of the Studio domain", domain.url],
      console_url: [
        "The domain in the AWS console",
        `https://${consoleHost(region)}/sagemaker/home?region=${region}#/studio/${domain.id}`,
      ],
      user_profile_names: ["Names of the Studio user profiles", Fn.keys(userProfiles.asAnyMap)],
      execution_role_arn: ["Role that Studio and the notebooks run as", role.arn],
      vpc_id: ["VPC of the Studio domain", network.vpcId],
      marimo_job_environment: [
        "What marimo-job needs on a laptop: paste it into a shell",
        `export MARIMO_BUCKET=${bucket.name} AWS_REGION=${region}`,
      ],
      lifecycle_configuration_arn: [
        "Lifecycle configuration that starts marimo in the spaces of the user profiles",
        lifecycleConfiguration.profilesArn,
      ],
      open_studio_command:
        environment.authentication === "IAM"
          ? [
              "Command that prints a link to Studio for the first user profile, good for 5 minutes",
              `aws sagemaker create-presigned-domain-url --region ${region} --domain-id ${domain.id} ` +
                `--user-profile-name ${environment.userProfiles[0]?.name ?? "NAME"} ` +
                "--query AuthorizedUrl --output text",
            ]
          : [
              "Command that prints the address where people sign in with IAM Identity Center",
              `aws sagemaker describe-domain --region ${region} --domain-id ${domain.id} --query Url --output text`,
            ],
    });
  }

  private schedules({ account, bucket, environment, payload, rights }: Parts, jobs: Jobs) {
    const { encryptionKeyArn, prefix } = rights;
    if (jobs.defaults === undefined) throw new Error(`no image for jobs in ${environment.region}`);
    const { deadLetterQueue } = new Schedules(this, "schedules", {
      prefix,
      account,
      schedules: environment.schedules,
      root: projectRoot,
      bucket,
      payload,
      jobs: jobs.defaults,
    });
    const { topicArn } = new JobAlerts(this, "job_alerts", {
      prefix,
      account,
      jobRoleArn: jobs.roleArn,
      schedules: environment.schedules.map(({ name }) => name),
      deadLetterQueueName: deadLetterQueue.name,
      encryptionKeyArn,
      addresses: environment.jobs.alertAddresses,
    });
    this.outputs({ job_alert_topic_arn: ["Topic that tells of scheduled jobs that failed", topicArn] });
  }

  private existingDomain({ environment, rights, lifecycleConfiguration }: Parts, domainId: string) {
    const { existing, region } = environment;
    const domain = new ExistingDomain(this, "studio", {
      domainId,
      region,
      lifecycleConfigurationArn: lifecycleConfiguration.domainArn,
    });
    this.outputs({
      studio_domain_id: ["Id of the Studio domain", domain.id],
      lifecycle_configuration_arn: [
        "Lifecycle configuration that starts marimo, for the domain's settings to name",
        lifecycleConfiguration.domainArn,
      ],
      update_domain_command: [
        "Command that brings marimo to private spaces, and keeps the domain's other JupyterLab settings",
        domain.updateDomainCommand,
      ],
      update_user_profile_command: [
        "Command that gives one person, in place of NAME, these JupyterLab settings: for whoever has some of their own",
        domain.updateUserProfileCommand,
      ],
      ...(existing.executionRoleArn === undefined
        ? {
            execution_role_policies: [
              "Policies that the execution roles of the domain must have",
              Object.fromEntries(
                Object.entries(executionDocuments(new Construct(this, "execution"), rights)).map(
                  ([name, { json }]) => [name, json],
                ),
              ),
            ] as const,
          }
        : {
            execution_role_arn: [
              "Role that was given what the spaces need",
              new ExistingRole(this, "execution", { ...rights, arn: existing.executionRoleArn }).arn,
            ] as const,
          }),
    });
  }

  /**
   * Names in Terraform's state are the constructs' path: `network_vpc`. cdktf's own carry a hash, which says nothing to
   * whoever reviews a plan; it is there to keep names apart, so two of the same are refused here.
   */
  protected override allocateLogicalId(element: TerraformElement | Node): string {
    const node = TerraformElement.isTerraformElement(element) ? element.node : element;
    const path = node.path;
    const ids = node.scopes.slice(node.scopes.indexOf(this) + 1).map((scope) => scope.node.id);
    const logicalId = ids.join("_");
    const owner = this.logicalIds.get(logicalId) ?? path;
    if (owner !== path) throw new Error(`"${owner}" and "${path}" would both be named "${logicalId}"`);
    this.logicalIds.set(logicalId, path);
    return logicalId;
  }

  private terraformSettings({ backend, name }: ResolvedEnvironment) {
    // 1.10 is the first with `use_lockfile`.
    this.addOverride("terraform.required_version", ">= 1.10");
    // The bindings would ask for exactly the version they were made from. This range was tried from its lower end.
    this.addOverride("terraform.required_providers.aws.version", ">= 5.100.0, < 7.0.0");
    if (backend.type === "local") {
      // As seen from the stack's folder: beside cdktf.json. cdktf's own default is an absolute path.
      new LocalBackend(this, { path: `../../../${stateFileOf(name)}` });
    } else {
      const { bucket, key, kmsKeyId, region } = backend;
      new S3Backend(this, {
        bucket,
        key,
        region,
        encrypt: true,
        ...(kmsKeyId === undefined ? {} : { kmsKeyId }),
      }).addOverride("use_lockfile", true);
    }
  }

  private outputs(outputs: Readonly<Record<string, readonly [description: string, value: unknown]>>) {
    for (const [name, [description, value]] of Object.entries(outputs)) {
      new TerraformOutput(this, name, { description, value });
    }
  }
}

/** Not part of `data.aws_partition`. */
function consoleHost(region: string): string {
  if (region.startsWith("cn-")) return "console.amazonaws.cn";
  if (region.startsWith("us-gov-")) return "console.amazonaws-us-gov.com";
  return `${region}.console.aws.amazon.com`;
}
