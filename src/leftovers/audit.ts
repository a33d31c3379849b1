import { DeleteTrailCommand, paginateListTrails } from "@aws-sdk/client-cloudtrail";
import type { Tools } from "../removal/aws.ts";
import { awsNames } from "../settings/names.ts";
import type { LeftoversClients } from "./clients.ts";
import type { EnvironmentNames, Leftover } from "./leftover.ts";

/** Before its bucket, which it writes to. */
export async function findTrails(
  { prefix }: EnvironmentNames,
  { clients: { trails } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const found: Leftover[] = [];
  const region = await trails.config.region();
  for await (const { Trails = [] } of paginateListTrails({ client: trails }, {})) {
    for (const { HomeRegion, Name, TrailARN = "" } of Trails) {
      if (Name !== awsNames(prefix).trail || HomeRegion !== region) continue;
      // The provider's ID of a trail (terraform-provider-aws, `resourceCloudTrailCreate`).
      found.push({
        kind: "trail",
        id: TrailARN,
        remove: () => trails.send(new DeleteTrailCommand({ Name: TrailARN })),
      });
    }
  }
  return found;
}
