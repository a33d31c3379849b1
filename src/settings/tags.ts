import { type Check, isRecord, isString } from "./problems.ts";

/** The tags that the stack itself sets on everything. */
export const ownTagKeys: readonly string[] = ["Project", "Environment"];

const mostTags = 50;
const characters = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

const tagsRule = {
  allowed: 'keys with a string each, such as { CostCenter: "42" }',
  source: "src/settings/types.ts",
};
const countRule = {
  allowed: `${mostTags - ownTagKeys.length} tags: ${mostTags} a resource less our own ${ownTagKeys.join(" and ")}`,
  source: "SageMaker API, TagList",
};
const keyRule = {
  allowed: "1 to 128 letters, digits, spaces and _ . : / = + - @",
  source: "SageMaker API, TagKey",
};
const valueRule = {
  allowed: "a string of 0 to 256 letters, digits, spaces and _ . : / = + - @",
  source: "SageMaker API, TagValue",
};
const prefixRule = {
  allowed: 'keys and values that do not begin with "aws:" in any case',
  source: 'IAM User Guide, "Rules for tagging in IAM and AWS STS"',
};
const caseRule = {
  allowed: "keys that differ in more than the case of their letters",
  source: 'IAM User Guide, "Rules for tagging in IAM and AWS STS": a role\'s tag keys ignore case',
};
const reservedRule = {
  allowed: `any key but ${ownTagKeys.join(" and ")}, in any case`,
  source: "the stack sets these itself",
};

export const checkTags: Check = (tags, report) => {
  if (!isRecord(tags)) return report(tags, "is no set of tags", tagsRule);
  const entries = Object.entries(tags);
  if (entries.length + ownTagKeys.length > mostTags) report(tags, `has ${entries.length} tags`, countRule);

  const own = new Set(ownTagKeys.map((key) => key.toLowerCase()));
  const seen = new Map<string, string>();
  for (const [key, value] of entries) {
    const at = `[${JSON.stringify(key)}]`;
    const lowerCase = key.toLowerCase();
    const earlier = seen.get(lowerCase);
    if (lowerCase.startsWith("aws:")) report(key, "is a key with AWS's own prefix", prefixRule, at);
    else if (own.has(lowerCase)) report(key, "is a key of the stack's own tags", reservedRule, at);
    else if (earlier !== undefined) report(key, `collides with key "${earlier}"`, caseRule, at);
    else if (key === "" || lengthOf(key) > 128)
      report(key, `is a key of ${lengthOf(key)} characters`, keyRule, at);
    else if (!characters.test(key)) report(key, "is a key with other characters", keyRule, at);
    seen.set(lowerCase, key);

    if (!isString(value, report, valueRule, at)) continue;
    if (value.toLowerCase().startsWith("aws:")) report(value, "begins with AWS's own prefix", prefixRule, at);
    else if (lengthOf(value) > 256) report(value, `has ${lengthOf(value)} characters`, valueRule, at);
    else if (!characters.test(value)) report(value, "has other characters", valueRule, at);
  }
};

/** AWS counts Unicode characters, not UTF-16's halves of them. */
const lengthOf = (text: string): number => [...text].length;
