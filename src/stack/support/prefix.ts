import type { Construct } from "constructs";

/**
 * Refuses, when the app is synthesized and together with all else that is wrong, a name that AWS would refuse in the
 * middle of an apply. The settings' own check of an environment's name sees to it for this project's stacks.
 *
 * Limit: the longest name made from it is the trail bucket's, prefix, account (12), region (14 at most today) and
 * `-trail`, in 63 characters (Amazon S3 User Guide, "General purpose bucket naming rules"): 27 leave room for two more.
 */
export function checkPrefix(construct: Construct, prefix: string, property = "prefix"): void {
  construct.node.addValidation({
    validate: () =>
      prefix.length <= 27 && /^[a-z](-*[a-z0-9])*$/.test(prefix)
        ? []
        : [
            `${property} ${JSON.stringify(prefix)} is not a valid name prefix: 1 to 27 lower-case letters, digits and ` +
              "inner hyphens, starting with a letter (Amazon S3 User Guide, naming rules: a bucket's name has 63)",
          ],
  });
}
