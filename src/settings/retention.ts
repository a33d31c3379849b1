import { type Checks, checkBoolean, oneOf, type Report, type Resolved, type Untyped } from "./problems.ts";

/** What a destroy leaves. */
export interface RetentionSettings {
  /**
   * What happens to the domain's home file system (EFS) when the domain is destroyed. `Retain` keeps it with its key, and
   * nothing else: notebooks of JupyterLab and Code Editor spaces are on the volumes of the spaces (EBS), which are deleted
   * with the spaces, and the bucket is deleted too. `removalProtection` is what refuses the destroy. Cannot change later:
   * the AWS provider's update fails for a domain in VpcOnly.
   * Limit: `Retain` or `Delete` (SageMaker API, `RetentionType`).
   * @default "Retain"
   */
  readonly homeFileSystemRetention?: "Retain" | "Delete";

  /**
   * Whether Terraform refuses every plan that would destroy the domain, the key, the bucket or the trail's bucket
   * (`prevent_destroy`).
   * @default true, unless `homeFileSystemRetention` is "Delete"
   */
  readonly removalProtection?: boolean;

  /**
   * Whether destroying the stack also deletes the objects in the bucket and in the trail's (`force_destroy`).
   * Limit: true only if `removalProtection` is false.
   * @default false, unless `removalProtection` is false
   */
  readonly bucketForceDestroy?: boolean;
}

export type ResolvedRetention = Resolved<RetentionSettings>;

const retentionDefaults = { homeFileSystemRetention: "Retain" } as const;

export function resolveRetention(settings: RetentionSettings): ResolvedRetention {
  const homeFileSystemRetention =
    settings.homeFileSystemRetention ?? retentionDefaults.homeFileSystemRetention;
  const removalProtection = settings.removalProtection ?? homeFileSystemRetention === "Retain";
  return {
    homeFileSystemRetention,
    removalProtection,
    bucketForceDestroy: settings.bucketForceDestroy ?? !removalProtection,
  };
}

export const retentionChecks: Checks<RetentionSettings> = {
  homeFileSystemRetention: oneOf(["Retain", "Delete"], "SageMaker API, RetentionType"),
  removalProtection: checkBoolean,
  bucketForceDestroy: checkBoolean,
};

/**
 * A protected bucket that deletes its objects is a contradiction: a later change of `removalProtection` would destroy
 * them. `removalProtection` may be true beside `homeFileSystemRetention: "Delete"`, which cannot change later and takes
 * effect only once the protection is removed.
 */
export function checkForceDestroy(value: unknown, report: Report, settings: Untyped): void {
  const given = settings.removalProtection;
  const retention = settings.homeFileSystemRetention ?? retentionDefaults.homeFileSystemRetention;
  const isProtected = given ?? retention === "Retain";
  if (value !== true || isProtected !== true) return;
  report(
    value,
    `cannot be combined with removalProtection true${given === undefined ? " (its default here)" : ""}`,
    {
      allowed: "true only beside removalProtection: false",
      source: "src/settings/retention.ts",
    },
  );
}
