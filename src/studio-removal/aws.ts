/** What the removal scripts have in common: whose account it is, patience with AWS, and how they end. */
import { realpathSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { GetCallerIdentityCommand, type STSClient } from "@aws-sdk/client-sts";

export interface Tools<Clients> {
  readonly clients: Clients;
  readonly log: (line: string) => void;
  readonly wait: (milliseconds: number) => Promise<unknown>;
}

/** Attempts and pauses of each wait: 0.5 s, 1 s, 2 s, 4 s, 8 s, then 15 s each, 10 minutes in all. */
export const attempts = 44;
export const pause = (attempt: number) => Math.min(15_000, 500 * 2 ** attempt);

/**
 * For each client. Throttling and 5xx are tried eight times in all, with the SDK's growing pauses: some 15 s (AWS SDKs
 * and Tools Reference Guide, "Retry behavior").
 */
export const clientSettings = (region: string) => ({
  region,
  maxAttempts: 8,
  requestHandler: { connectionTimeout: 5_000, requestTimeout: 30_000 },
});

/** Terraform runs the scripts with the caller's own credentials, which need not be those of its provider. */
export async function checkAccount(account: string, sts: Pick<STSClient, "send">): Promise<void> {
  const { Account } = await sts.send(new GetCallerIdentityCommand({}));
  if (Account === account) return;
  throw new Error(
    `the credentials at hand are for account ${Account}, the environment is in ${account}: ` +
      "nothing was deleted. Destroy again with that account's credentials (AWS_PROFILE or the AWS_… variables)",
  );
}

/** What a call answers, or undefined where its subject does not exist (any more): each service has its own name for it. */
export async function unlessGone<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Error && /NotFound|NoSuch/.test(error.name)) return undefined;
    throw error;
  }
}

/** Waits until nothing is left of what was asked to go, and says how it goes on. */
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
        `AWS has not deleted ${what} ${names.join(", ")} within 10 minutes. Destroy again: it goes on from here`,
      );
    }
    if (names.length !== before) log(`waiting for ${names.length} ${what} to go: ${few(names)}`);
    before = names.length;
    await wait(pause(attempt));
  }
}

/** The first of many names, and how many more there are. */
export function few(names: readonly string[], most = 5): string {
  const more = names.length > most ? ` and ${names.length - most} more` : "";
  return names.slice(0, most).join(", ") + more;
}

export function sizeOf(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}

/** A variable that Terraform gives to a script. */
export function variable(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (!value) throw new Error(`${name} is not set: Terraform runs this script, with what the stack knows`);
  return value;
}

export function retentionOf(env: NodeJS.ProcessEnv, name: string): "Retain" | "Delete" {
  const value = variable(env, name);
  if (value === "Retain" || value === "Delete") return value;
  throw new Error(`${name} is "${value}": "Retain" or "Delete" is allowed`);
}

/** AWS's own names for credentials that were good once: of IAM and STS, of S3, and of EC2. */
const expired = /^(ExpiredToken|ExpiredTokenException|RequestExpired)$/;

export function whyItStopped(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (expired.test(error.name)) {
    return (
      `the credentials have expired (${error.message}). What was deleted until now stays deleted, and ` +
      "Terraform's state still has the rest: sign in again, then destroy again"
    );
  }
  return error.message;
}

/** Runs a script when Terraform does, not when a test imports it. Its exit status stops Terraform. */
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
