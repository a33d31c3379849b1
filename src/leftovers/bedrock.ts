import { DeleteInferenceProfileCommand, paginateListInferenceProfiles } from "@aws-sdk/client-bedrock";
import type { Tools } from "../removal/aws.ts";
import type { LeftoversClients } from "./clients.ts";
import type { EnvironmentNames, Leftover } from "./leftover.ts";

export async function findInferenceProfiles(
  { prefix }: EnvironmentNames,
  { clients: { bedrock } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  // Of src/stack/ai/inference-profiles.ts.
  const name = new RegExp(`^${prefix}-[0-9a-f]{16}$`);
  const found: Leftover[] = [];
  const query = { typeEquals: "APPLICATION" } as const;
  for await (const page of paginateListInferenceProfiles({ client: bedrock }, query)) {
    for (const { inferenceProfileId: id = "", inferenceProfileName = "" } of page.inferenceProfileSummaries ??
      []) {
      if (!name.test(inferenceProfileName)) continue;
      const remove = () =>
        bedrock.send(new DeleteInferenceProfileCommand({ inferenceProfileIdentifier: id }));
      found.push({ kind: "inference profile", id, remove });
    }
  }
  return found;
}
