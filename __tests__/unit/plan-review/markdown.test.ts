import { expect, it } from "vitest";
import { count } from "../../../src/plan-review/markdown.ts";

it.each([
  [1, "policy", "1 policy"],
  [2, "policy", "2 policies"],
  [2, "gateway", "2 gateways"],
  [2, "attachment of a policy", "2 attachments of a policy"],
  [2, "alias of a KMS key", "2 aliases of a KMS key"],
  [2, "Elastic IP address", "2 Elastic IP addresses"],
  [2, "settings of jobs", "2 settings of jobs"],
  [0, "risk", "0 risks"],
])("counts %d %s", (number, noun, text) => {
  expect(count(number, noun)).toBe(text);
});
