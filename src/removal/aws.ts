/** Shared by the removal scripts: the account check, retries, waiting and error messages. */
import { realpathSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { GetCallerIdentityCommand, type STSClient } from "@aws-sdk/client-sts";

export interface Tools<Clients> {
  readonly clients: Clients;
  readonly log: (line: string) => void;
  readonly wait: (milliseconds: number) => Promise<unknown>;
}

/** Attempts and pauses of each wait: 0.5 s, 1 s, 2 s, 4 s, 8 s, then 15 s each, for 10 minutes in total. */
export const attempts = 44;
export const pause = (attempt: number) => Math.min(15_000, 500 * 2 ** attempt);

/**
 * Settings of each client. A throttled or failed (5xx) call has eight attempts, with backoff of about 15 s in total
 * (AWS SDKs and Tools Reference Guide, "Retry behavior").
 */
export const clientSettings = (region: string) => ({
  region,
  maxAttempts: 8,
  requestHandler: { connectionTimeout: 5_000, requestTimeout: 30_000 },
});

/** Terraform runs the scripts with the caller's credentials, which can differ from those of its AWS provider. */
export async function checkAccount(account: string, sts: Pick<STSClient, "send">): Promise<void> {
  const { Account } = await sts.send(new GetCallerIdentityCommand({}));
  if (Account === account) return;
  throw new Error(
    `the AWS credentials are for account ${Account}, but the environment is in account ${account}: ` +
      "nothing was deleted. Destroy again with credentials for that account (AWS_PROFILE or the AWS_… variables)",
  );
}

/** Returns undefined if the resource of a call does not exist. Each service has its own name for this error. */
export async function unlessGone<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Error && /NotFound|NoSuch/.test(error.name)) return undefined;
    throw error;
  }
}

/** Waits until AWS has deleted these resources, and logs the progress. */
export async function untilGone(
  what: string,
  left: () => Promise<readonly string[]>,
  { log, wait }: Pick<Tools<unknown>, "log" | "wait">,
): Promise<void> {
  for (let attempt = 0, before = -1; ; attempt++) {
    const names = await left();
    if (names.length === 0) return;
    if (attempt === attempts) {
      throw new Error(
        `AWS has not deleted ${what} ${names.join(", ")} within 10 minutes. Run the same command again to continue`,
      );
    }
    if (names.length !== before)
      log(`waiting for AWS to delete ${names.length} ${what}: ${summarize(names)}`);
    before = names.length;
    await wait(pause(attempt));
  }
}

/** Lists the first names and counts the rest. */
export function summarize(names: readonly string[], most = 5): string {
  const more = names.length > most ? ` and ${names.length - most} more` : "";
  return names.slice(0, most).join(", ") + more;
}

export function sizeOf(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}

/** An environment variable that Terraform sets for a script. */
export function variable(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (!value) throw new Error(`${name} is not set: Terraform must run this script with the stack's values`);
  return value;
}

export function retentionOf(env: NodeJS.ProcessEnv, name: string): "Retain" | "Delete" {
  const value = variable(env, name);
  if (value === "Retain" || value === "Delete") return value;
  throw new Error(`${name} must be "Retain" or "Delete", got "${value}"`);
}

/** AWS's errors for expired credentials: of IAM and STS, of S3, and of EC2. */
const expired = /^(ExpiredToken|ExpiredTokenException|RequestExpired)$/;

export function whyItStopped(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (expired.test(error.name)) {
    return (
      `the credentials have expired (${error.message}). Resources that are already deleted stay deleted, and the others ` +
      "are still in Terraform's state: sign in again, then destroy again"
    );
  }
  return error.message;
}

/** Runs a script if Terraform started it, but not if a test imports it. A failure stops Terraform. */
export async function runAsScript(
  url: string,
  name: string,
  script: (env: NodeJS.ProcessEnv, tools: Pick<Tools<unknown>, "log" | "wait">) => Promise<void>,
): Promise<void> {
  const runAs = process.argv[1];
  if (runAs === undefined || realpathSync(runAs) !== fileURLToPath(url)) return;
  try {
    await script(process.env, {
      log: (line) => console.log(line),
      wait: (milliseconds) => setTimeout(milliseconds),
    });
  } catch (error) {
    console.error(`${name}: ${whyItStopped(error)}`);
    process.exitCode = 1;
  }
}
