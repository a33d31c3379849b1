import { type Check, isString } from "./problems.ts";

const rule = {
  allowed: "1 to 20 lower-case letters, digits and inner hyphens, starting with a letter",
  source: "every name derived from it must fit AWS's shortest limit, 63 characters of a bucket's name",
};

export const checkEnvironmentName: Check = (value, report) => {
  if (value === undefined) return report(value, "is no name: every environment needs one", rule);
  if (!isString(value, report, rule)) return;
  if (value.length > 20) report(value, `has ${value.length} characters`, rule);
  else if (!/^[a-z](-*[a-z0-9])*$/.test(value)) report(value, "is no name of an environment", rule);
};
