import { describe, expect, it } from "vitest";
import { describeError } from "../../../src/cli/problem.ts";
import { terraformProblem } from "../../../src/cli/terraform-problems.ts";

describe("a locked state", () => {
  // Of Terraform 1.11 with an S3 backend.
  const output = `╷
│ Error: Error acquiring the state lock
│ 
│ Error message: operation error S3: PutObject, https response error
│ StatusCode: 412, RequestID: 1, HostID: 2, api error PreconditionFailed: At least one of the pre-conditions you specified did not hold
│ Lock Info:
│   ID:        0c4f2a9e-0000-0000-0000-000000000000
│   Path:      acme-terraform/dev.tfstate
│   Operation: OperationTypeApply
│   Who:       ana@laptop
│   Version:   1.11.4
│   Created:   2026-01-31 12:00:00.1 +0000 UTC
│   Info:      
`;
  it("names the run that holds the lock, and first says to wait", () => {
    const text = describeError(terraformProblem(output));
    expect(text).toContain(
      "OperationTypeApply by ana@laptop, since 2026-01-31 12:00:00.1 +0000 UTC.\n  What to do: wait until it has ended",
    );
    expect(text).not.toContain("force-unlock");
    expect(terraformProblem("Error: No value for required variable")).toBeUndefined();
  });
});

describe("another account's credentials", () => {
  it("are named with the account of the state", () => {
    const output = `│ Invalid value for "v" parameter: cannot convert "The Terraform state belongs
│ to AWS account 111122223333, and the credentials are for account
│ 444455556666. Nothing was changed." to bool; only the strings "true" or
│ "false" are allowed.`;
    expect(describeError(terraformProblem(output))).toMatch(
      /^The Terraform state belongs to AWS account 111122223333, and the credentials are for account 444455556666\.\n {2}What to do: use credentials for account 111122223333/,
    );
  });
});
