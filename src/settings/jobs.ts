import { type Check, checkAddress, checkList, checkParts, isRecord, isWhole, quote } from "./problems.ts";
import { checkImageUri, checkProcessingInstanceType, longestMinutes } from "./processing.ts";
import { defaults } from "./resolve.ts";

const types = "src/settings/types.ts";
const minutesRule = {
  allowed: `a whole number of minutes, 1 to ${longestMinutes}`,
  source: "SageMaker API, ProcessingMaxRuntimeInSeconds: 777600",
};
const volumeRule = {
  allowed: "a whole number of GB, 1 to 16384",
  source: "SageMaker API, ProcessingVolumeSizeInGB",
};

export const checkJobs: Check = (value, report, settings) => {
  if (!isRecord(value)) {
    return report(value, "is no set of settings", {
      allowed: 'an object such as { defaultInstanceType: "ml.m5.large" }',
      source: types,
    });
  }
  checkParts(value, checks, report, settings);
  const allowed = value.allowedInstanceTypes;
  const started = value.defaultInstanceType ?? defaults.jobInstanceType;
  if (Array.isArray(allowed) && !allowed.includes(started)) {
    report(
      allowed,
      `lacks ${quote(started)}, which is defaultInstanceType`,
      { allowed: "a list with the defaultInstanceType in it", source: types },
      ".allowedInstanceTypes",
    );
  }
};

/** With them, the execution role's inline policies stay below IAM's limit however long the other names are. */
export const mostJobInstanceTypes = 64;
const allowedTypesRule = {
  allowed: `a list of 1 to ${mostJobInstanceTypes}, such as ["ml.m5.large"]`,
  source:
    'IAM User Guide, "IAM and AWS STS quotas": 10,240 characters in all inline policies of a role, which name each',
};

const checkAllowed: Check = (value, report, settings) => {
  checkList(value, report, allowedTypesRule, 1, mostJobInstanceTypes, (type, at) =>
    checkProcessingInstanceType(type, at, settings),
  );
};

const checkAddresses: Check = (value, report, settings) => {
  if (!Array.isArray(settings.schedules) || settings.schedules.length === 0) {
    report(value, "would never be told anything", {
      allowed: "addresses beside schedules, whose failures they are told",
      source: types,
    });
  }
  const rule = { allowed: "1 to 10 e-mail addresses", source: types };
  checkList(value, report, rule, 1, 10, checkAddress);
};

const checks: Readonly<Record<string, Check>> = {
  allowedInstanceTypes: checkAllowed,
  defaultInstanceType: checkProcessingInstanceType,
  maximumMinutes: (value, report) => void isWhole(value, report, minutesRule, 1, longestMinutes),
  volumeGb: (value, report) => void isWhole(value, report, volumeRule, 1, 16_384),
  imageUri: checkImageUri,
  alertAddresses: checkAddresses,
};
