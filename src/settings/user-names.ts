import { prefixOf } from "./basics.ts";
import { isExisting } from "./existing-lookup.ts";
import { isRecord, isString, quote, type Report, type Untyped } from "./problems.ts";

/**
 * Characters of an environment's and a user's name together. A job is named `marimo-<environment>-<user>-<notebook>-<time>`
 * (SageMaker API, `ProcessingJobName`: 63, of which the time takes 17), which is shorter than a role's name may be (64).
 */
export const longestUserOf = (environment: string) => 43 - `${prefixOf(environment)}-`.length;

const extensionRule = (what: string) => ({
  allowed: `${what} of which none is another with a hyphen and more`,
  source: "IAM allows jobs by name, such as marimo-dev-ana-*, which would include those of ana-b",
});

/** Whether a name begins with another one of `names` and a hyphen: returns that name. All are in lower case. */
export function extended(name: string, names: ReadonlySet<string>): string | undefined {
  for (let end = name.indexOf("-"); end !== -1; end = name.indexOf("-", end + 1)) {
    if (names.has(name.slice(0, end))) return name.slice(0, end);
  }
  return undefined;
}

/** Names of the user profiles, in lower case, that the settings give or that are the default. */
export function userNamesOf(
  { userProfiles }: Untyped,
  defaults: readonly { readonly name: string }[],
): string[] {
  const profiles: readonly unknown[] = Array.isArray(userProfiles) ? userProfiles : defaults;
  return profiles.flatMap((profile) => {
    const name =
      typeof profile === "object" && profile !== null && "name" in profile ? profile.name : undefined;
    return typeof name === "string" ? [name.toLowerCase()] : [];
  });
}

/** Users each have a role, unless everybody has the existing one. */
export const haveRoles = (settings: Untyped) =>
  !isExisting(settings, "executionRoleArn") && !isExisting(settings, "domainId");

/** Reports names of user profiles that a role, or the pattern of another user's jobs, would not tell apart. */
export function checkUserNames(names: readonly string[], report: Report, settings: Untyped): void {
  if (!haveRoles(settings)) return;
  const environment = typeof settings.name === "string" ? settings.name : "";
  const longest = longestUserOf(environment);
  const all = new Set(names.filter((name) => name !== ""));
  for (const [index, name] of names.entries()) {
    const at = `[${index}].name`;
    if (name.length > longest && name.length <= 63) {
      const rule = {
        allowed: `at most ${longest} characters beside the environment ${quote(environment)}`,
        source: "SageMaker API, ProcessingJobName: 63 characters with environment, user, notebook and time",
      };
      report(name, `has ${name.length} characters`, rule, at);
    }
    const other = extended(name, all);
    if (other !== undefined)
      report(name, `begins with the user ${quote(other)}`, extensionRule("user profiles"), at);
  }
}

const ssoRule = {
  allowed: "1 to 128 letters, digits, symbols and punctuation marks, without spaces, ${ or %{",
  source: "Identity Store API, UserName",
};

/** Reports names that IAM Identity Center does not allow, or that two user profiles would share. */
export function checkSsoUserNames(profiles: readonly unknown[], report: Report, settings: Untyped): void {
  const isSso = settings.authentication === "SSO";
  const earlier = new Map<string, number>();
  for (const [index, profile] of profiles.entries()) {
    if (!isRecord(profile)) continue;
    const { name, ssoUserName = name } = profile;
    const own = profile.ssoUserName !== undefined;
    const at = `[${index}].${own ? "ssoUserName" : "name"}`;
    if (own && !isSso) {
      const source = "SageMaker API, CreateUserProfile, SingleSignOnUserValue";
      report(ssoUserName, "cannot be set", { allowed: 'with authentication: "SSO" only', source }, at);
    }
    if (own && !isString(ssoUserName, report, ssoRule, at)) continue;
    if (typeof ssoUserName !== "string") continue;
    // Terraform would read `${` and `%{` as the beginning of its own templates.
    if (own && (!/^[\p{L}\p{M}\p{S}\p{N}\p{P}]{1,128}$/u.test(ssoUserName) || /[$%]\{/.test(ssoUserName)))
      report(ssoUserName, "is not a valid user name of IAM Identity Center", ssoRule, at);
    const other = earlier.get(ssoUserName.toLowerCase());
    if (other === undefined) earlier.set(ssoUserName.toLowerCase(), index);
    // Two equal names of profiles are reported as such.
    else if (own || (isRecord(profiles[other]) && profiles[other].ssoUserName !== undefined)) {
      const rule = {
        allowed: "one user profile for each user of IAM Identity Center",
        source: "userProfiles",
      };
      report(ssoUserName, `is the user name of userProfiles[${other}] too`, rule, at);
    }
  }
}

/** Reports a schedule whose jobs would have names of a user's jobs, or the other way round. */
export function checkScheduleBesideUsers(
  schedule: string,
  users: readonly string[],
  report: Report,
  settings: Untyped,
): void {
  if (!haveRoles(settings)) return;
  const user = users.find((one) => `${schedule}-`.startsWith(`${one}-`) || one.startsWith(`${schedule}-`));
  if (user === undefined) return;
  const rule = {
    allowed: "a name that does not begin with a user's, nor a user's with it",
    source: `jobs of the schedule and of the user would both be named ${prefixOf(String(settings.name))}-${user}-…`,
  };
  report(schedule, `could be mistaken for the user ${quote(user)}`, rule);
}

/** Reports a schedule's `runAs` that names no user with a role. */
export function checkRunAs(
  value: unknown,
  users: readonly string[],
  report: Report,
  settings: Untyped,
): void {
  const rule = {
    allowed:
      users.length === 0 ? "nothing, because there are no users" : `one of ${users.map(quote).join(", ")}`,
    source: "userProfiles",
  };
  if (!isString(value, report, rule)) return;
  if (!haveRoles(settings)) {
    report(value, "has no role of their own, and so no rights of their own", {
      allowed: "no runAs beside existing.executionRoleArn",
      source: "src/settings/user-names.ts",
    });
  } else if (!users.includes(value.toLowerCase())) report(value, "is not the name of a user", rule);
}

/** Reports an environment that begins with another one's name: `names` are those of the other environments. */
export function checkEnvironmentName(name: string, names: ReadonlySet<string>, report: Report): void {
  const other = extended(name, names);
  if (other !== undefined) {
    report(name, `begins with the environment ${quote(other)}`, {
      ...extensionRule("environments"),
      source: "IAM allows by name: marimo-dev-* includes the roles and jobs of the environment dev-b",
    });
  }
}
