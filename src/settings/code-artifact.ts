/** A repository of AWS CodeArtifact, as the address of its package index names it. */
export interface CodeArtifactRepository {
  readonly domain: string;
  /** Account that the domain is in. */
  readonly owner: string;
  readonly region: string;
  readonly repository: string;
}

/**
 * AWS CodeArtifact User Guide, "Configure and use pip with CodeArtifact"; names by its API's DomainName,
 * RepositoryName.
 */
const host =
  /^https:\/\/([a-z][a-z0-9-]{0,48}[a-z0-9])-([0-9]{12})\.d\.codeartifact\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\//;
const path = /^pypi\/([A-Za-z0-9][A-Za-z0-9._-]{1,99})\/simple\/?$/;

/** Whether an address leads to CodeArtifact, whatever repository or none it names. */
export const isCodeArtifact = (packageIndexUrl: string) =>
  /^https:\/\/[^/]*\.codeartifact\.[^/]*\.amazonaws\.com/.test(packageIndexUrl);

/** The repository of a package index that is CodeArtifact's; none for any other index. */
export function codeArtifactRepository(
  packageIndexUrl: string | undefined,
): CodeArtifactRepository | undefined {
  const [whole, domain, owner, region] = host.exec(packageIndexUrl ?? "") ?? [];
  const repository = path.exec(packageIndexUrl?.slice(whole?.length) ?? "")?.[1];
  return domain && owner && region && repository ? { domain, owner, region, repository } : undefined;
}
