import { checkPrincipalArn } from "./arns.ts";
import { type Check, checkList } from "./problems.ts";

const patternSize = "Amazon EventBridge User Guide, quotas: 2,048 characters an event pattern";
const longestArn = 200;
/** With them and the longest names, each rule of `src/stack/audit` fits that limit. */
export const mostDeployers = 5;

export const checkDeployers: Check = (value, report) => {
  const rule = { allowed: `1 to ${mostDeployers} ARNs of roles or users`, source: patternSize };
  checkList(value, report, rule, 1, mostDeployers, (arn, at) => {
    checkPrincipalArn(arn, at);
    if (typeof arn === "string" && arn.length > longestArn) {
      at(arn, `has ${arn.length} characters`, {
        allowed: `at most ${longestArn} characters`,
        source: patternSize,
      });
    }
  });
};
