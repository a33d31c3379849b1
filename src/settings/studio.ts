import { checkImages, type ImageSettings, type ResolvedImage, resolveImage } from "./images.ts";
import {
  type Check,
  type Checks,
  checkKeys,
  isList,
  isRecord,
  isString,
  isWhole,
  oneOf,
  type Resolved,
} from "./problems.ts";
import { checkInstanceType } from "./reference/instance-types.ts";
import {
  checkRepositories,
  type RepositorySettings,
  type ResolvedRepository,
  resolveRepository,
} from "./repositories.ts";
import { checkSsoUserNames, checkUserNames } from "./user-names.ts";

/** A person who can open Studio. */
export interface UserProfileSettings {
  /**
   * Name of the Studio user profile, of the user's role and of their jobs.
   * Limit: 1-63 letters, digits and inner hyphens (SageMaker API, `UserProfileName`). Unless
   * `existing.executionRoleArn` is everybody's role: 35 together with the environment's name, and no name that begins
   * with another user's and a hyphen.
   */
  readonly name: string;

  /**
   * The user's name in IAM Identity Center, such as an e-mail address. Cannot change later: the profile would be replaced.
   * Limit: 1-128 letters, digits, symbols and punctuation marks, without spaces, `${` and `%{` (Identity Store API,
   * `UserName`); only with `authentication: "SSO"`; no two users with the same.
   * @default the profile's `name`
   */
  readonly ssoUserName?: string;

  /**
   * Instance type that this user's spaces start with.
   * @default the environment's `defaultInstanceType`
   */
  readonly defaultInstanceType?: string;
}

/** The Studio domain and its users. */
export interface StudioSettings {
  /**
   * The users, each `{ name, ssoUserName?, defaultInstanceType? }`.
   * @default one profile, `data-scientist`
   */
  readonly userProfiles?: readonly UserProfileSettings[];

  /**
   * How users sign in: with the AWS console and presigned URLs (`IAM`), or with IAM Identity Center (`SSO`). Cannot
   * change later: the domain would be replaced.
   * Limit: `IAM` or `SSO`.
   * @default "IAM"
   */
  readonly authentication?: "IAM" | "SSO";

  /**
   * Instance type that a JupyterLab space starts with.
   * Limit: SageMaker API, `AppInstanceType`, except `system`.
   * @default "ml.t3.medium"
   */
  readonly defaultInstanceType?: string;

  /**
   * Minutes without activity after which Studio stops a space's app, JupyterLab or Code Editor.
   * Limit: 60-525600 (SageMaker API, `IdleTimeoutInMinutes`).
   * @default 60
   */
  readonly idleTimeoutMinutes?: number;

  /**
   * Git repositories that JupyterLab offers to clone: the address of a public one, or `{ repositoryUrl, secretArn }`,
   * with the ARN of a secret that has `username` and `password`. A new home gets each of them at its first start, in the
   * background. An existing file or folder of the same name is kept. With `existing.domainId` they are cloned, but not
   * offered. Every user of Studio can read the secrets.
   * Limit: at most 10 https addresses without credentials (SageMaker API, `CodeRepositories` and `RepositoryUrl`); none
   * with `egress: "endpoints-only"`; secrets in the environment's Region, with the account's key `aws/secretsmanager`.
   * @default none
   */
  readonly repositories?: readonly (string | RepositorySettings)[];

  /**
   * Custom images that private JupyterLab spaces can choose, each `{ name, imageUri, gpu? }`. An image must follow
   * AWS's "Custom image specifications", and for marimo have Python 3.11 or later, jupyter-server-proxy, `uv` or pip, and
   * the AWS CLI: `marimo-doctor` says what it lacks. Shared spaces and users added by hand do not get them. Changes need
   * apps that are stopped. After a change of `imageUri`, each space that had the image must choose it again. Not
   * available with `existing.domainId`.
   * Limit: at most 200 (SageMaker API, `CustomImages`); each in the environment's Region.
   * @default none
   */
  readonly images?: readonly ImageSettings[];
}

export interface ResolvedStudio
  extends Omit<Resolved<StudioSettings>, "images" | "repositories" | "userProfiles"> {
  readonly userProfiles: readonly Required<UserProfileSettings>[];
  readonly repositories: readonly ResolvedRepository[];
  readonly images: readonly ResolvedImage[];
}

export const studioDefaults = {
  userProfiles: [{ name: "data-scientist" }],
  authentication: "IAM",
  defaultInstanceType: "ml.t3.medium",
  idleTimeoutMinutes: 60,
  repositories: [],
  images: [],
} as const;

export function resolveStudio(settings: StudioSettings): ResolvedStudio {
  const { authentication, idleTimeoutMinutes, images, repositories, userProfiles } = settings;
  const defaultInstanceType = settings.defaultInstanceType ?? studioDefaults.defaultInstanceType;
  return {
    userProfiles: (userProfiles ?? studioDefaults.userProfiles).map((profile: UserProfileSettings) => ({
      name: profile.name,
      ssoUserName: profile.ssoUserName ?? profile.name,
      defaultInstanceType: profile.defaultInstanceType ?? defaultInstanceType,
    })),
    authentication: authentication ?? studioDefaults.authentication,
    defaultInstanceType,
    idleTimeoutMinutes: idleTimeoutMinutes ?? studioDefaults.idleTimeoutMinutes,
    repositories: (repositories ?? studioDefaults.repositories).map(resolveRepository),
    images: (images ?? studioDefaults.images).map(resolveImage),
  };
}

/** SageMaker API, `IdleTimeoutInMinutes`. */
const idleTimeoutLimits = { least: 60, most: 525_600 } as const;
const idleTimeoutRule = {
  allowed: `a whole number of minutes, ${idleTimeoutLimits.least} to ${idleTimeoutLimits.most}`,
  source: "SageMaker API, IdleTimeoutInMinutes",
};

const listRule = {
  allowed: 'a list of profiles, such as [{ name: "ana" }]',
  source: "src/settings/studio.ts",
};
const nameRule = {
  allowed: "1 to 63 letters, digits and inner hyphens",
  source: "SageMaker API, UserProfileName",
};
const uniqueRule = {
  allowed: "names that differ in more than the case of their letters",
  source: "SageMaker writes names in lower case into its ARNs, and IAM policies match on those",
};

/** One for each profile, so that positions stay. */
const lowerCaseNames = (profiles: readonly unknown[]) =>
  profiles.map((profile) =>
    isRecord(profile) && typeof profile.name === "string" ? profile.name.toLowerCase() : "",
  );

const checkUserProfiles: Check = (value, report, settings) => {
  if (!isList(value, report, listRule)) return;
  checkUserNames(lowerCaseNames(value), report, settings);
  checkSsoUserNames(value, report, settings);
  const positions = new Map<string, { readonly index: number; readonly name: string }>();
  for (const [index, profile] of value.entries()) {
    const at = `[${index}]`;
    if (!isRecord(profile)) {
      report(profile, "is not a user profile", listRule, at);
      continue;
    }
    checkKeys(profile, ["name", "ssoUserName", "defaultInstanceType"], report, at);
    if (profile.defaultInstanceType !== undefined) {
      checkInstanceType(
        profile.defaultInstanceType,
        (given, problem, rule) => report(given, problem, rule, `${at}.defaultInstanceType`),
        settings,
      );
    }

    const { name } = profile;
    if (!isString(name, report, nameRule, `${at}.name`)) continue;
    if (name.length > 63) {
      report(name, `has ${name.length} characters`, nameRule, `${at}.name`);
    } else if (!/^[a-zA-Z0-9](-*[a-zA-Z0-9])*$/.test(name)) {
      const hint = name.includes("@") ? " (an e-mail address is an ssoUserName)" : "";
      report(name, `is not a valid user profile name${hint}`, nameRule, `${at}.name`);
    }
    const earlier = positions.get(name.toLowerCase());
    if (earlier === undefined) {
      positions.set(name.toLowerCase(), { index, name });
    } else {
      const problem = earlier.name === name ? "is a duplicate of" : `collides with "${earlier.name}" of`;
      report(name, `${problem} userProfiles[${earlier.index}]`, uniqueRule, `${at}.name`);
    }
  }
};

export const studioChecks: Checks<StudioSettings> = {
  userProfiles: checkUserProfiles,
  authentication: oneOf(["IAM", "SSO"], "SageMaker API, AuthMode"),
  defaultInstanceType: checkInstanceType,
  idleTimeoutMinutes: (value, report) =>
    void isWhole(value, report, idleTimeoutRule, idleTimeoutLimits.least, idleTimeoutLimits.most),
  repositories: checkRepositories,
  images: checkImages,
};
