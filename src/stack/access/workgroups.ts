import { AthenaWorkgroup } from "@cdktf/provider-aws/lib/athena-workgroup/index.js";
import { TerraformIterator } from "cdktf";
import { Construct } from "constructs";
import { type AthenaWorkgroups, queryResults, sharedQueryResults } from "../../settings/athena.ts";
import { awsNames, bucketPrefixes } from "../../settings/names.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";

export interface WorkgroupsProps {
  /** Name prefix of the workgroups. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** The environment's bucket, with the results. */
  readonly bucketName: string;
  readonly encryptionKeyArn: string;
  readonly workgroups: AthenaWorkgroups;
}

const bytesOfGb = 1024 ** 3;

/**
 * An Athena workgroup for each user with a grant, because a workgroup has one place for the results of everybody in it. In
 * Terraform's state by the user's name.
 */
export class Workgroups extends Construct {
  constructor(scope: Construct, id: string, props: WorkgroupsProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);
    const { shared, teams, users } = props.workgroups;
    const names = awsNames(prefix);
    const settings = (name: string, folder: string, cutoff: number) => ({
      name,
      // Deletes the history of queries with it, but no result. Nobody is allowed to save queries in it.
      forceDestroy: true,
      configuration: {
        enforceWorkgroupConfiguration: true,
        bytesScannedCutoffPerQuery: cutoff,
        resultConfiguration: {
          outputLocation: `s3://${props.bucketName}/${folder}/`,
          expectedBucketOwner: account.id,
          encryptionConfiguration: { encryptionOption: "SSE_KMS", kmsKeyArn: props.encryptionKeyArn },
        },
      },
    });
    if (Object.keys(users).length > 0) {
      const cutoffs = Object.entries(users).map(([user, cutoff]) => [user, cutoff * bytesOfGb] as const);
      const each = TerraformIterator.fromMap(Object.fromEntries(cutoffs));
      new AthenaWorkgroup(this, "users", {
        forEach: each,
        ...settings(
          names.user(each.key),
          `${bucketPrefixes.people}/${each.key}/${queryResults}`,
          each.value as number,
        ),
      });
    }
    if (shared !== undefined)
      new AthenaWorkgroup(
        this,
        "shared",
        settings(names.sharedWorkgroup, sharedQueryResults, shared * bytesOfGb),
      );
    for (const [team, cutoff] of Object.entries(teams))
      new AthenaWorkgroup(
        this,
        `team_${team}`,
        settings(names.scheduledTeam(team), sharedQueryResults, cutoff * bytesOfGb),
      );
  }
}
