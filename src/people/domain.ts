import {
  CreatePresignedDomainUrlCommand,
  DescribeDomainCommand,
  paginateListDomains,
  paginateListUserProfiles,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { Problem } from "../cli/problem.ts";
import { prefixOf } from "../settings/basics.ts";

/** The domain `marimo-<environment>` of an environment's stack. */
export async function domainIdOf(client: SageMakerClient, environmentName: string): Promise<string> {
  const name = prefixOf(environmentName);
  for await (const { Domains = [] } of paginateListDomains({ client }, {})) {
    const domain = Domains.find(({ DomainName }) => DomainName === name);
    if (domain?.DomainId !== undefined) return domain.DomainId;
  }
  throw new Problem({
    message: `The Studio domain "${name}" does not exist in this account and Region.`,
    remedy: `deploy it with \`npx cdktf deploy ${environmentName}\`, or check AWS_PROFILE and AWS_REGION`,
  });
}

/** Names of a domain's user profiles, in order: Terraform creates them in parallel, so AWS's order is not stable. */
export async function profileNamesOf(client: SageMakerClient, DomainIdEquals: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { UserProfiles = [] } of paginateListUserProfiles({ client }, { DomainIdEquals })) {
    names.push(...UserProfiles.flatMap(({ UserProfileName }) => UserProfileName ?? []));
  }
  return names.sort();
}

/** The name as the profile has it: SageMaker does not distinguish the case of names (SageMaker API, CreateUserProfile). */
export const profileNamed = (name: string, profiles: readonly string[]): string | undefined =>
  profiles.find((profile) => profile.toLowerCase() === name.toLowerCase());

export function noSuchProfile(name: string, profiles: readonly string[], environmentName: string): Problem {
  const there = profiles.length === 0 ? "It has none" : `It has ${profiles.join(", ")}`;
  return new Problem({
    message: `The Studio domain "${prefixOf(environmentName)}" has no user profile "${name}". ${there}.`,
    remedy: "name one of its profiles, or another environment with --environment",
  });
}

export const noProfile = (environmentName: string) =>
  new Problem({
    message: `The Studio domain "${prefixOf(environmentName)}" has no user profile.`,
    remedy: "add a profile to `userProfiles` in src/environments.ts and deploy",
  });

export interface StudioLink {
  readonly url: string;
  /** The profile that the link signs in. Undefined with IAM Identity Center, where people sign in themselves. */
  readonly profile: string | undefined;
}

/** A link to Studio: for 5 minutes and one profile (default: the first), or the domain's address with IAM Identity Center. */
export async function studioLink(
  client: SageMakerClient,
  props: {
    readonly domainId: string;
    readonly environmentName: string;
    readonly person: string | undefined;
  },
): Promise<StudioLink> {
  const { domainId: DomainId, environmentName, person } = props;
  const { AuthMode, Url } = await client.send(new DescribeDomainCommand({ DomainId }));
  const profiles = await profileNamesOf(client, DomainId);
  const profile = person === undefined ? profiles[0] : profileNamed(person, profiles);
  if (person !== undefined && profile === undefined) throw noSuchProfile(person, profiles, environmentName);
  // CreatePresignedDomainUrl works with AuthMode IAM only (SageMaker API).
  if (AuthMode === "SSO") return { url: Url ?? "", profile: undefined };
  if (profile === undefined) throw noProfile(environmentName);
  const { AuthorizedUrl = "" } = await client.send(
    new CreatePresignedDomainUrlCommand({ DomainId, UserProfileName: profile, ExpiresInSeconds: 300 }),
  );
  return { url: AuthorizedUrl, profile };
}
