import type { GitHub } from "./api.ts";

/** A person's acceptance of a risk by a label on a pull request. */
export interface Acceptance {
  readonly label: string;
  /** Login of the person who added the label. */
  readonly by: string;
  /** When, as GitHub writes it: `2026-01-31T12:00:00Z`. */
  readonly at: string;
  readonly pullRequest: number;
}

/** Guess: the longest name of a label. GitHub's REST API rejects longer ones ("name is too long (maximum is 50 characters)"). */
const longestLabel = 50;

/** The label that accepts a risk. Labels have a limit, so two risks with long names can have the same label. */
export const labelOf = (risk: string): string => `accept ${risk}`.slice(0, longestLabel);

/**
 * `merge_commit_sha` is the commit on the base branch, for each merge method (GitHub REST API, "Get a pull request").
 */
interface PullRequest {
  readonly number: number;
  readonly merge_commit_sha: string | null;
  readonly merged_at: string | null;
}

/** GitHub REST API, "List issue events": pull requests are issues. Oldest first. */
interface IssueEvent {
  readonly event: string;
  readonly created_at: string;
  readonly actor: { readonly login: string } | null;
  readonly label?: { readonly name: string } | undefined;
}

/** The pull request whose merge made a commit of the main branch, if one did. */
export async function mergedAs(github: GitHub, commit: string): Promise<number | undefined> {
  const found = await github.list<PullRequest>(`commits/${commit}/pulls`);
  return found.find(({ merge_commit_sha, merged_at }) => merged_at !== null && merge_commit_sha === commit)
    ?.number;
}

/** The labels on a pull request that accept risks. Read from its events, which say who added a label, and when. */
export async function acceptancesOf(github: GitHub, pullRequest: number): Promise<readonly Acceptance[]> {
  const events = await github.list<IssueEvent>(`issues/${pullRequest}/events`);
  const found = new Map<string, Acceptance>();
  for (const { event, actor, created_at: at, label } of events) {
    if (!label?.name.startsWith("accept ")) continue;
    found.delete(label.name);
    if (event === "labeled" && actor !== null)
      found.set(label.name, { label: label.name, by: actor.login, at, pullRequest });
  }
  return [...found.values()];
}
