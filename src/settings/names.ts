import { type Check, isString, type Report } from "./problems.ts";

const rule = {
  allowed:
    '1 to 20 lower-case letters, digits and inner hyphens, starting with a letter, and not "constructor"',
  source: "every name derived from it must fit AWS's shortest limit, 63 characters of a bucket's name",
};

export const checkEnvironmentName: Check = (value, report) => {
  if (value === undefined) return report(value, "is no name: every environment needs one", rule);
  if (!isString(value, report, rule)) return;
  if (value.length > 20) report(value, `has ${value.length} characters`, rule);
  else if (!/^[a-z](-*[a-z0-9])*$/.test(value)) report(value, "is no name of an environment", rule);
  else if (value in Object.prototype) {
    // `constructor`: constructs looks its children up in a plain object, and finds one of that name already.
    report(value, "is a name that JavaScript's objects have", { ...rule, source: "the library constructs" });
  }
};

/** How the name of everything in an environment's stack begins; its Studio domain has just this name. */
export const prefixOf = (environmentName: string) => `marimo-${environmentName}`;

/** An environment's bucket. Account and region make it unique in the world. 55 characters at most, with a prefix of 27. */
export const artifactBucketName = (bucket: {
  readonly prefix: string;
  readonly account: string;
  readonly region: string;
}) => `${bucket.prefix}-${bucket.account}-${bucket.region}`;

const bucketRule = {
  allowed:
    "3 to 63 lower-case letters, digits, dots and hyphens, a letter or digit at both ends, no two dots together, " +
    "no IP address and none of AWS's reserved prefixes and suffixes",
  source: 'Amazon S3 User Guide, "General purpose bucket naming rules"',
};

/** A bucket that is there already. */
export function checkBucketName(bucket: unknown, report: Report, within: string): void {
  if (!isString(bucket, report, bucketRule, within)) return;
  const valid =
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) &&
    !bucket.includes("..") &&
    !/^\d+\.\d+\.\d+\.\d+$/.test(bucket) &&
    !/^(xn--|sthree-|amzn-s3-demo-)/.test(bucket) &&
    !/(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/.test(bucket);
  if (!valid) report(bucket, "is no name of a bucket", bucketRule, within);
}
