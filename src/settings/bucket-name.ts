import { isString, type Report } from "./problems.ts";

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
  if (!valid) report(bucket, "is not a valid bucket name", bucketRule, within);
}
