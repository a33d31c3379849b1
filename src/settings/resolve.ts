import { defaultImageUri } from "./processing.ts";
import type {
  BackendSettings,
  EnvironmentSettings,
  GuardRailSettings,
  JobSettings,
  ResolvedEnvironment,
  ResolvedGuardRails,
  ResolvedJobs,
  ResolvedSchedule,
  ScheduleSettings,
} from "./types.ts";

/** The defaults that other settings depend on. */
export const defaults = {
  region: "us-east-1",
  vpcCidr: "10.0.0.0/16",
  defaultInstanceType: "ml.t3.medium",
  spaceVolumeGb: { default: 5, maximum: 100 },
  jobInstanceType: "ml.m5.large",
  jobMaximumMinutes: 1440,
} as const;

/** Where an environment's state lies in its bucket. */
export const defaultStateKey = (environment: string): string => `sagemaker-marimo/${environment}.tfstate`;

/** Fills in every default that `types.ts` documents. Expects settings that `validateEnvironments` found fine. */
export function resolveEnvironment(settings: EnvironmentSettings): ResolvedEnvironment {
  const region = settings.region ?? defaults.region;
  const defaultInstanceType = settings.defaultInstanceType ?? defaults.defaultInstanceType;
  const homeFileSystemRetention = settings.homeFileSystemRetention ?? "Retain";
  const removalProtection = settings.removalProtection ?? homeFileSystemRetention === "Retain";
  return {
    name: settings.name,
    region,
    vpcCidr: settings.vpcCidr ?? defaults.vpcCidr,
    availabilityZones: settings.availabilityZones ?? [`${region}a`, `${region}b`],
    egress: settings.egress ?? "nat",
    userProfiles: (settings.userProfiles ?? [{ name: "data-scientist" }]).map((profile) => ({
      name: profile.name,
      defaultInstanceType: profile.defaultInstanceType ?? defaultInstanceType,
    })),
    authentication: settings.authentication ?? "IAM",
    defaultInstanceType,
    idleTimeoutMinutes: settings.idleTimeoutMinutes ?? 60,
    marimoVersion: settings.marimoVersion ?? "0.25.2",
    extraPackages: settings.extraPackages ?? [],
    ...(settings.packageIndexUrl === undefined ? {} : { packageIndexUrl: settings.packageIndexUrl }),
    transport: settings.transport ?? "auto",
    sampleNotebooks: settings.sampleNotebooks ?? true,
    ...(settings.appsFolder === undefined ? {} : { appsFolder: settings.appsFolder }),
    tags: settings.tags ?? {},
    guardRails: resolveGuardRails(settings.guardRails ?? {}),
    jobs: resolveJobs(settings.jobs ?? {}, region),
    schedules: (settings.schedules ?? []).map((schedule) => resolveSchedule(schedule, settings.jobs ?? {})),
    backend: resolveBackend(settings.backend ?? { type: "local" }, settings.name, region),
    homeFileSystemRetention,
    existing: settings.existing ?? {},
    ...(settings.permissionsBoundaryArn === undefined
      ? {}
      : { permissionsBoundaryArn: settings.permissionsBoundaryArn }),
    removalProtection,
    bucketForceDestroy: settings.bucketForceDestroy ?? !removalProtection,
  };
}

function resolveGuardRails(settings: GuardRailSettings): ResolvedGuardRails {
  const { allowedInstanceTypes, maximumSpacesPerUser, budget } = settings;
  return {
    ...(allowedInstanceTypes === undefined ? {} : { allowedInstanceTypes }),
    ...(maximumSpacesPerUser === undefined ? {} : { maximumSpacesPerUser }),
    spaceVolumeGb: {
      default: settings.spaceVolumeGb?.default ?? defaults.spaceVolumeGb.default,
      maximum: settings.spaceVolumeGb?.maximum ?? defaults.spaceVolumeGb.maximum,
    },
    requiredTags: settings.requiredTags ?? [],
    ...(budget === undefined
      ? {}
      : { budget: { ...budget, alertPercents: budget.alertPercents ?? [50, 80, 100] } }),
  };
}

function resolveJobs(settings: JobSettings, region: string): ResolvedJobs {
  const imageUri = settings.imageUri ?? defaultImageUri(region);
  return {
    ...(settings.allowedInstanceTypes === undefined
      ? {}
      : { allowedInstanceTypes: settings.allowedInstanceTypes }),
    defaultInstanceType: settings.defaultInstanceType ?? defaults.jobInstanceType,
    maximumMinutes: settings.maximumMinutes ?? defaults.jobMaximumMinutes,
    volumeGb: settings.volumeGb ?? 30,
    ...(imageUri === undefined ? {} : { imageUri }),
    alertAddresses: settings.alertAddresses ?? [],
  };
}

function resolveSchedule(settings: ScheduleSettings, jobs: JobSettings): ResolvedSchedule {
  return {
    ...settings,
    files: settings.files ?? [],
    timeZone: settings.timeZone ?? "UTC",
    instanceType: settings.instanceType ?? jobs.defaultInstanceType ?? defaults.jobInstanceType,
    arguments: settings.arguments ?? [],
    timeLimitMinutes: settings.timeLimitMinutes ?? Math.min(60, jobs.maximumMinutes ?? 60),
    enabled: settings.enabled ?? true,
  };
}

function resolveBackend(
  backend: BackendSettings,
  name: string,
  region: string,
): ResolvedEnvironment["backend"] {
  if (backend.type === "local") return backend;
  return {
    ...backend,
    key: backend.key ?? defaultStateKey(name),
    region: backend.region ?? region,
  };
}
