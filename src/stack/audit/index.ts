import type { Construct } from "constructs";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import type { Outputs } from "../support/outputs.ts";
import { AuditAlerts } from "./audit-alerts.ts";
import { Trail } from "./trail.ts";

export interface EnvironmentTrailProps {
  readonly context: EnvironmentContext;
  readonly bucket: EnvironmentBucket;
  readonly encryptionKeyArn: string;
}

/** Records writes to the bucket, and alerts, unless the settings turn it off. */
export function environmentTrail(
  scope: Construct,
  { bucket, context, encryptionKeyArn }: EnvironmentTrailProps,
): { readonly trail: Trail | undefined; readonly outputs: Outputs } {
  const { account, environment, prefix } = context;
  const { audit, bucketForceDestroy, removalProtection } = environment;
  if (audit === undefined) return { trail: undefined, outputs: {} };
  const trail = new Trail(scope, "audit", {
    ...{ prefix, account, bucket, removalProtection },
    retentionDays: audit.retentionDays,
    forceDestroy: bucketForceDestroy,
  });
  const { topicArn } = new AuditAlerts(scope, "audit_alerts", {
    ...{ prefix, account, encryptionKeyArn },
    bucketName: bucket.name,
    deployers: environment.deployers,
    addresses: audit.alertAddresses,
  });
  return {
    trail,
    outputs: {
      audit_alert_topic_arn: ["Topic for alerts about writes that only deployers make", topicArn],
      audit_bucket: ["Bucket with the trail of writes to the environment's bucket", trail.bucketName],
    },
  };
}
