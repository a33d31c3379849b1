import { before, changesOf, isUpdated, text } from "../plan.ts";
import { policyAfter } from "../policy-document.ts";
import type { Rule } from "./rule.ts";

const names = (policy: string | undefined) => policy?.includes("aws:SourceVpce") === true;

/** Roles in use that are held to the VPC's endpoints. A new environment has nothing that could break. */
export const perimeterRule: Rule = {
  name: "data-perimeter",
  title: "Roles in use can reach S3 and SageMaker only from the VPC",
  find: (plan) =>
    changesOf(plan)
      .filter((one) => /^aws_iam_(role_)?policy$/.test(one.type) && isUpdated(one))
      .filter((one) => !names(text(before(one).policy)) && names(policyAfter(plan, one, "policy")))
      .map((about) => ({
        about,
        reason:
          "What people do with these roles outside the VPC stops: Studio's pages of jobs and pipelines, its browser of S3, and " +
          "presigned S3 URLs that are opened elsewhere. Jobs fail if SageMaker does not read their data through the VPC.",
        instead: "set `dataPerimeter: false`",
      })),
};
