import type { BackendSettings, EnvironmentSettings, ResolvedEnvironment } from "./types.ts";

/** The defaults that other settings depend on. */
export const defaults = {
  region: "us-east-1",
  vpcCidr: "10.0.0.0/16",
} as const;

/** Where an environment's state lies in its bucket. */
export const defaultStateKey = (environment: string): string => `sagemaker-marimo/${environment}.tfstate`;

/** Fills in every default that `types.ts` documents. Expects settings that `validateEnvironments` found fine. */
export function resolveEnvironment(settings: EnvironmentSettings): ResolvedEnvironment {
  const region = settings.region ?? defaults.region;
  const defaultInstanceType = settings.defaultInstanceType ?? "ml.t3.medium";
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
    tags: settings.tags ?? {},
    backend: resolveBackend(settings.backend ?? { type: "local" }, settings.name, region),
    homeFileSystemRetention,
    removalProtection,
    bucketForceDestroy: settings.bucketForceDestroy ?? !removalProtection,
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
