import { count } from "../markdown.ts";
import { changesOf, isCreated, isRemoved, type Plan, priorResources } from "../plan.ts";
import { environmentStays } from "./protection.ts";
import type { Rule } from "./rule.ts";

const type = "aws_nat_gateway";

export const egressRule: Rule = {
  name: "lost-internet",
  title: "Spaces and jobs lose the internet",
  find: (plan: Plan) => {
    const going = changesOf(plan).filter((one) => one.type === type && isRemoved(one));
    const [about] = going;
    const others = priorResources(plan, type).length - going.length;
    const comes = changesOf(plan).some((one) => one.type === type && isCreated(one));
    if (about === undefined || others > 0 || comes || !environmentStays(plan)) return [];
    const people = count(priorResources(plan, "aws_sagemaker_user_profile").length, "person", "people");
    return [
      {
        about,
        reason:
          `The last NAT gateway goes: from the private subnets, ${people} reach no package index, git host or other ` +
          "website any more, also in spaces and jobs that run.",
        instead:
          "first run `npm run wheelhouse`, so that spaces that start afterwards find marimo's packages in the bucket, " +
          "and tell the people",
      },
    ];
  },
};
