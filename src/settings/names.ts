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

/** How the name of everything in an environment's stack begins; its Studio domain has just this name. */
export const prefixOf = (environmentName: string) => `marimo-${environmentName}`;

/** An environment's bucket. Account and region make it unique in the world. 55 characters at most, with a prefix of 27. */
export const artifactBucketName = (bucket: {
  readonly prefix: string;
  readonly account: string;
  readonly region: string;
}) => `${bucket.prefix}-${bucket.account}-${bucket.region}`;
