import { checkSecretArn } from "./arns.ts";
import { type Check, checkKeys, checkList, isRecord, isString, type Report } from "./problems.ts";

/** A git repository that needs credentials. Its settings have the names of SageMaker's `GitConfig`. */
export interface RepositorySettings {
  /** Its https address, without credentials. */
  readonly repositoryUrl: string;
  /**
   * ARN of the secret of AWS Secrets Manager with the credentials, `{"username": …, "password": …}` (SageMaker API,
   * `GitConfig`). Every user of Studio can read it, so a token in it should be allowed to read this repository only. It
   * must be encrypted with the account's own key `aws/secretsmanager`.
   * Limit: in the environment's Region.
   * @default none
   */
  readonly secretArn?: string;
}

export interface ResolvedRepository {
  readonly repositoryUrl: string;
  readonly secretArn: string | undefined;
}

export const resolveRepository = (repository: string | RepositorySettings): ResolvedRepository =>
  typeof repository === "string"
    ? { repositoryUrl: repository, secretArn: undefined }
    : { repositoryUrl: repository.repositoryUrl, secretArn: repository.secretArn };

/** ARNs of the secrets that spaces read to clone the repositories. */
export const repositorySecrets = (repositories: readonly ResolvedRepository[]): readonly string[] => [
  ...new Set(repositories.flatMap(({ secretArn }) => secretArn ?? [])),
];

const listRule = {
  allowed: 'a list of at most 10 different addresses, such as ["https://github.com/marimo-team/marimo"]',
  source: "SageMaker API, CodeRepositories",
};
const urlRule = {
  allowed: "https://HOST/PATH of letters, digits, dots, hyphens and underscores, at most 1024 characters",
  source: "SageMaker API, RepositoryUrl",
};
const credentialsRule = {
  allowed: "an address without credentials, and { repositoryUrl, secretArn } for a private repository",
  source: "src/settings/repositories.ts: every user of Studio sees the addresses",
};
const folderRule = {
  allowed: "last parts that begin with a letter, a digit or an underscore, and that differ without .git",
  source: "src/settings/repositories.ts: a repository is cloned into a folder of that name",
};

const reachableRule = {
  allowed: 'no repositories beside egress: "endpoints-only"',
  source: "src/settings/network.ts: its endpoints reach no git server",
};

/** The name of the folder that git clones an address into. */
const folderOf = (url: string) =>
  url
    .replace(/\/$/, "")
    .replace(/^.*\//, "")
    .replace(/\.git$/, "");

export const checkRepositories: Check = (value, report, settings) => {
  if (settings.egress === "endpoints-only" && Array.isArray(value) && value.length > 0) {
    report(value, "cannot be reached without a route to the internet", reachableRule);
  }
  const folders = new Map<string, string>();
  checkList(value, report, listRule, 0, 10, (repository, report) => {
    if (!isRecord(repository)) return checkUrl(repository, report, folders);
    checkKeys(repository, ["repositoryUrl", "secretArn"], report);
    const reportOn =
      (key: string): Report =>
      (given, problem, rule) =>
        report(given, problem, rule, `.${key}`);
    checkUrl(repository.repositoryUrl, reportOn("repositoryUrl"), folders);
    if (repository.secretArn !== undefined) {
      checkSecretArn(repository.secretArn, reportOn("secretArn"), settings);
    }
  });
};

/** `folders` has the folders of the addresses before this one, with the address of each. */
function checkUrl(url: unknown, report: Report, folders: Map<string, string>): void {
  if (!isString(url, report, urlRule)) return;
  const folder = folderOf(url);
  const other = folders.get(folder);
  if (/^[a-z]+:\/\/[^/]*@/.test(url)) {
    report(url.replace(/\/\/[^/]*@/, "//…@"), "contains credentials", credentialsRule);
  } else if (!/^https:\/\/[\w.-]+(\/[\w.-]+)+\/?$/.test(url) || url.length > 1024) {
    report(url, "is not a valid https address of a repository", urlRule);
  } else if (!/^\w/.test(folder)) {
    report(url, "does not end with the name of a folder", folderRule);
  } else if (other !== undefined) {
    report(url, `has the same folder as ${other}`, folderRule);
  } else {
    folders.set(folder, url);
  }
}
