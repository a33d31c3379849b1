import { leftoversClients } from "../leftovers/clients.ts";
import { findLeftovers } from "../leftovers/leftovers.ts";
import { artifactBucketName, prefixOf } from "../settings/basics.ts";

/** The only account of the local AWS (moto, `DEFAULT_ACCOUNT_ID`). */
const account = "123456789012";

/**
 * Says what is left in the local AWS after a destroy, and whose it is: of the rehearsed environment, of other
 * environments that were deployed there from another terminal, or unknown.
 *
 * @param lines of the inventory
 * @param settings of clients of the local AWS
 */
export async function describeLeft(
  lines: readonly string[],
  environmentName: string,
  settings: { readonly region: string },
): Promise<string> {
  const tools = { clients: leftoversClients(settings), log: () => {}, wait: async () => {} };
  const others = lines.flatMap((line) => /^iam role marimo-(.+)-execution$/.exec(line)?.[1] ?? []);
  const said = [`${lines.length} resources are left in the local AWS.`];
  let rest = lines;
  for (const environment of new Set([environmentName, ...others])) {
    const prefix = prefixOf(environment);
    const bucket = artifactBucketName({ prefix, account, region: settings.region });
    const found = await findLeftovers({ account, environment, prefix, bucket }, tools);
    const names = new Set(found.map(({ id }) => nameOf(id)));
    const own = rest.filter((line) => names.has(nameOf(line)));
    rest = rest.filter((line) => !own.includes(line));
    if (own.length === 0) continue;
    const heading =
      environment === environmentName
        ? `Of "${environment}", whose destroy should have deleted them:`
        : `Of "${environment}", which was deployed in this rehearsal too, and must be destroyed on its own:`;
    said.push(heading, ...own.map((line) => `  ${line}`));
  }
  if (rest.length > 0)
    said.push("Created by other stacks, by people or by AWS's services:", ...rest.map((line) => `  ${line}`));
  return said.join("\n");
}

/** What an ID and a line of the inventory have in common: the last part. */
const nameOf = (id: string) => id.split(/[ /:]/).at(-1) ?? "";
