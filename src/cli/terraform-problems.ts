import { wrongAccount } from "./caller-account.ts";
import { Problem } from "./problem.ts";
import { providerProblem } from "./terraform-cli.ts";

/** Recognizes messages of Terraform and OpenTofu, and adds a remedy. */
export const terraformProblem = (output: string): Problem | undefined =>
  providerProblem(output) ?? lockProblem(output) ?? accountProblem(output);

/** Recognizes that another run kept the state locked, and names that run (Terraform's message has its lock's fields). */
function lockProblem(output: string): Problem | undefined {
  if (!/Error acquiring the state lock/.test(output)) return undefined;
  const field = (name: string) => new RegExp(`${name}: +(\\S.*)`).exec(output)?.[1] ?? "unknown";
  return new Problem({
    message: `Another run has held the lock of the Terraform state for 10 minutes: ${field("Operation")} by ${field("Who")}, since ${field("Created")}.`,
    remedy:
      "wait until it has ended, then run this command again. If it was killed, see `Error acquiring the state lock` in " +
      "scripts/README.md",
  });
}

/** Recognizes the message of src/stack/support/state-account.ts, which Terraform breaks into lines. */
function accountProblem(output: string): Problem | undefined {
  const [, state, credentials] =
    /(?:belongs to AWS account) (\d{12}), and the credentials are for account (\d{12})/.exec(
      output.replaceAll(/[\s│]+/g, " "),
    ) ?? [];
  return state === undefined || credentials === undefined
    ? undefined
    : wrongAccount("The Terraform state", state, credentials);
}
