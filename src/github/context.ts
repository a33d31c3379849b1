import { readFileSync } from "node:fs";
import { Problem } from "../cli/problem.ts";
import { GitHub } from "./api.ts";

/** A job's context from GitHub's environment variables ("Variables reference", default environment variables). */
export interface JobContext {
  readonly github: GitHub;
  /** The name of the event that started the run: `push`, `pull_request`, `schedule` or `workflow_dispatch`. */
  readonly event: string;
  readonly commit: string;
  /** Identifies the run. It stays the same if jobs of the run are started again. */
  readonly runId: string;
  /** The number of the pull request that started the run, if one did. */
  readonly pullRequest: number | undefined;
  /** The file that receives the step's summary, in Markdown. */
  readonly summary: string;
  /** The file that receives the step's outputs, as `name=value`. */
  readonly outputs: string;
}

const variables = [
  "GITHUB_API_URL",
  "GITHUB_EVENT_NAME",
  "GITHUB_EVENT_PATH",
  "GITHUB_OUTPUT",
  "GITHUB_REPOSITORY",
  "GITHUB_RUN_ID",
  "GITHUB_SHA",
  "GITHUB_STEP_SUMMARY",
] as const;

/** Tokens of the job that Terraform, its provider and its scripts must not get. */
export const jobTokens = ["GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_RUNTIME_TOKEN"] as const;

/** Throws a Problem that names the missing variables. */
export function jobContext(environment: NodeJS.ProcessEnv): JobContext {
  const missing = variables.filter((name) => !environment[name]);
  if (missing.length > 0) {
    throw new Problem({
      message: `This command must run in a GitHub Actions job. These variables are not set: ${missing.join(", ")}.`,
      remedy: "see .github/workflows/environment.yml. To review a plan yourself, run npm run plan",
    });
  }
  const value = (name: (typeof variables)[number]) => environment[name] ?? "";
  const event = JSON.parse(readFileSync(value("GITHUB_EVENT_PATH"), "utf8")) as {
    readonly pull_request?: { readonly number: number };
  };
  return {
    github: new GitHub({
      apiUrl: value("GITHUB_API_URL"),
      repository: value("GITHUB_REPOSITORY"),
      token: environment.GITHUB_TOKEN ?? "",
    }),
    event: value("GITHUB_EVENT_NAME"),
    commit: value("GITHUB_SHA"),
    runId: value("GITHUB_RUN_ID"),
    pullRequest: event.pull_request?.number,
    summary: value("GITHUB_STEP_SUMMARY"),
    outputs: value("GITHUB_OUTPUT"),
  };
}
