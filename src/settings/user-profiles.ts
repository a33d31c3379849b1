import { checkInstanceType } from "./instance-types.ts";
import { type Check, checkKeys, isList, isRecord, isString } from "./problems.ts";

const listRule = {
  allowed: 'a list of profiles, such as [{ name: "ana" }]',
  source: "src/settings/types.ts",
};
const nameRule = {
  allowed: "1 to 63 letters, digits and inner hyphens",
  source: "SageMaker API, UserProfileName",
};
const uniqueRule = {
  allowed: "names that differ in more than the case of their letters",
  source: "SageMaker writes names in lower case into its ARNs, and IAM policies match on those",
};

export const checkUserProfiles: Check = (value, report, settings) => {
  if (!isList(value, report, listRule)) return;
  const positions = new Map<string, { readonly index: number; readonly name: string }>();
  for (const [index, profile] of value.entries()) {
    const at = `[${index}]`;
    if (!isRecord(profile)) {
      report(profile, "is no profile", listRule, at);
      continue;
    }
    checkKeys(profile, ["name", "defaultInstanceType"], report, at);
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
      report(name, "is no name of a user profile", nameRule, `${at}.name`);
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
