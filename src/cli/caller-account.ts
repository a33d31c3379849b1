import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { rehearsalVariable } from "../local-studio/rehearsed-synthesis.ts";
import { clientSettings } from "../removal/aws.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { Problem } from "./problem.ts";

/** The account of the AWS credentials. Throws a Problem if it is not the environment's `account`. */
export async function callerAccount({
  account,
  name,
  region,
}: Pick<ResolvedEnvironment, "account" | "name" | "region">): Promise<string> {
  const sts = new STSClient(clientSettings(region));
  const { Account = "" } = await sts.send(new GetCallerIdentityCommand({}));
  const isRehearsed = process.env[rehearsalVariable] !== undefined;
  if (account !== undefined && account !== Account && !isRehearsed) {
    throw wrongAccount(`The environment "${name}"`, account, Account);
  }
  return Account;
}

/** The credentials are not those of the account that `what` belongs to. */
export const wrongAccount = (what: string, expected: string, actual: string) =>
  new Problem({
    message: `${what} belongs to AWS account ${expected}, and the credentials are for account ${actual}.`,
    remedy:
      `use credentials for account ${expected} (AWS_PROFILE). For a deployment in account ${actual}, add an environment ` +
      "with its own state to src/environments.ts",
  });
