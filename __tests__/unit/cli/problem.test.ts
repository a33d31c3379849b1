import { STSServiceException } from "@aws-sdk/client-sts";
import { describe, expect, it } from "vitest";
import { describeError, Problem, StepFailure } from "../../../src/cli/problem.ts";

const named = (name: string, message: string, more: object = {}) =>
  Object.assign(new Error(message), { name }, more);
const answer = (name: string, message: string) =>
  new STSServiceException({ name, message, $fault: "client", $metadata: { httpStatusCode: 403 } });

describe("the text of an error", () => {
  it.each([
    named("CredentialsProviderError", "Could not load credentials from any providers"),
    named("ProviderError", "Unable to connect to instance metadata service"),
    answer("InvalidClientTokenId", "The security token included in the request is invalid."),
    answer("ExpiredToken", "The security token included in the request is expired"),
  ])("says in one sentence that there are no valid credentials: $name", (error) => {
    const text = `No valid AWS credentials were found: ${error.message}\n  What to do: set AWS_PROFILE, or run aws sso login`;
    expect(describeError(error)).toBe(text);
    expect(describeError(new StepFailure("search the account", error))).toBe(text);
  });

  it("has no stack trace for a request that AWS refused or did not answer", () => {
    expect(describeError(answer("AccessDenied", "not authorized to perform: iam:ListRoles"))).toBe(
      "A request to AWS failed: AccessDenied: not authorized to perform: iam:ListRoles",
    );
    expect(describeError(named("Error", "getaddrinfo ENOTFOUND", { $metadata: { attempts: 8 } }))).toBe(
      "A request to AWS failed: Error: getaddrinfo ENOTFOUND",
    );
  });

  it("names the step of another failure, has a problem's remedy, and the stack of an error in the code", () => {
    expect(describeError(new StepFailure("synthesize", new Error("broken")))).toBe(
      'The step "synthesize" failed: broken',
    );
    expect(describeError(new Problem({ message: "wrong", remedy: "correct it" }))).toBe(
      "wrong\n  What to do: correct it",
    );
    expect(describeError(new TypeError("x is undefined"))).toContain("    at ");
  });
});
