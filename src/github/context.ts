import { readFileSync } from "node:fs";
import { Problem } from "../cli/problem.ts";
import { GitHub } from "./api.ts";

/** A job's context from GitHub's environment variables ("Variables reference", default environment variables). */
export interface JobContext {
  readonly github: GitHub;
  readonly commit: string;
  /** URL of the workflow run. */
  readonly run: string;
  /** The pull request that started the job, if any. */
  readonly pullRequest: { readonly number: number; readonly labels: readonly string[] } | undefined;
}

const variables = [
  "GITHUB_API_URL",
  "GITHUB_EVENT_PATH",
  "GITHUB_REPOSITORY",
  "GITHUB_RUN_ID",
  "GITHUB_SERVER_URL",
  "GITHUB_SHA",
  "GITHUB_TOKEN",
] as const;

export function jobContext(environment: NodeJS.ProcessEnv): JobContext {
  const missing = variables.filter((name) => !environment[name]);
  if (missing.length > 0) {
    throw new Problem({
      message: `This command must run in a GitHub Actions job. These variables are not set: ${missing.join(", ")}.`,
      remedy:
        "see .github/workflows: pass GITHUB_TOKEN to the step in `env`. GitHub sets the other variables. To review a plan " +
        "yourself, run npm run plan",
    });
  }
  const value = (name: (typeof variables)[number]) => environment[name] ?? "";
  const repository = value("GITHUB_REPOSITORY");
  const event = JSON.parse(readFileSync(value("GITHUB_EVENT_PATH"), "utf8")) as {
    readonly pull_request?: {
      readonly number: number;
      readonly labels: readonly { readonly name: string }[];
    };
  };
  const pullRequest = event.pull_request;
  return {
    github: new GitHub({ apiUrl: value("GITHUB_API_URL"), repository, token: value("GITHUB_TOKEN") }),
    commit: value("GITHUB_SHA"),
    run: `${value("GITHUB_SERVER_URL")}/${repository}/actions/runs/${value("GITHUB_RUN_ID")}`,
    pullRequest: pullRequest && {
      number: pullRequest.number,
      labels: pullRequest.labels.map(({ name }) => name),
    },
  };
}
