import { Problem } from "../cli/problem.ts";
import type { GitHub } from "./api.ts";

/** Identifies the plan of a review, for the apply. */
export interface ReviewedPlan {
  /** Git's tree hash of the planned content. It stays the same after a merge, a squash or a rebase. */
  readonly tree: string;
  /** SHA-256 of the saved plan, or `null` for a plan without changes. */
  readonly sha256: string | null;
}

interface Comment {
  readonly id: number;
  readonly body?: string | undefined;
  readonly user: { readonly login: string } | null;
}

/**
 * GitHub's error for more: "Body is too long (maximum is 65536 characters)" (telia-oss/github-pr-resource, issue 259).
 */
export const longestComment = 65_536;

/** The author of comments that are written with a job's `GITHUB_TOKEN`. Only these comments are reviews. */
const author = "github-actions[bot]";

const markerOf = (environment: string) => `<!-- npm run github: plan of ${environment} `;

/** The text of a comment. A review that is too long is cut at the end of a line, with a link to the full text. */
export function commentBody(props: {
  readonly environment: string;
  readonly review: string;
  /** `undefined` if the plan failed, so that nothing can be applied. */
  readonly plan: ReviewedPlan | undefined;
  /** URL of the run, whose log has the full review. */
  readonly run: string;
}): string {
  const { environment, plan, run } = props;
  const head = `${markerOf(environment)}${JSON.stringify(plan ?? null)} -->\n`;
  const hash =
    plan === undefined
      ? "No plan was saved."
      : plan.sha256 === null
        ? "The plan has no changes to apply."
        : `A merge applies only the plan with the SHA-256 \`${plan.sha256}\`.`;
  const foot = `\n\n<sub>${hash} [Workflow run](${run})</sub>\n`;
  return head + cut(props.review.trim(), longestComment - head.length - foot.length, run) + foot;
}

/** Cuts a Markdown text at the end of a line and closes its open code fences and `<details>`. */
function cut(text: string, room: number, run: string): string {
  if (text.length <= room) return text;
  const lines = text.split("\n");
  // Start with the most lines that fit without the note, because each attempt reads all of them.
  let [most, length] = [0, 0];
  while (length + (lines[most]?.length ?? 0) < room) length += (lines[most++]?.length ?? 0) + 1;
  for (let kept = most; kept >= 0; kept -= 1) {
    const first = lines.slice(0, kept);
    const inFence = first.filter((line) => line.startsWith("```")).length % 2 === 1;
    const open = count(first, /<details[ >]/) - count(first, /<\/details>/);
    const note = `**Cut here: ${kept} of ${lines.length} lines fit in a comment. [The workflow run's log](${run}) has the full review.**`;
    const short = [
      ...first,
      ...(inFence ? ["```"] : []),
      ...Array.from({ length: Math.max(0, open) }, () => "\n</details>"),
      `\n${note}`,
    ].join("\n");
    if (short.length <= room) return short;
  }
  throw new Error(`${room} characters are too few for a review`);
}

const count = (lines: readonly string[], what: RegExp) => lines.filter((line) => what.test(line)).length;

/** Creates or updates an environment's review comment. */
export async function keepComment(
  github: GitHub,
  props: { readonly pullRequest: number; readonly environment: string; readonly body: string },
): Promise<void> {
  const [comment] = await reviewsOf(github, props.pullRequest, props.environment);
  if (comment === undefined)
    await github.send("POST", `issues/${props.pullRequest}/comments`, { body: props.body });
  else await github.send("PATCH", `issues/comments/${comment.id}`, { body: props.body });
}

/** Reads the plan from an environment's comment. Throws a Problem if there is no comment or its plan failed. */
export async function reviewedPlan(
  github: GitHub,
  props: { readonly pullRequest: number; readonly environment: string },
): Promise<ReviewedPlan> {
  const { pullRequest, environment } = props;
  const [comment] = await reviewsOf(github, pullRequest, environment);
  const line = comment?.body?.split(/\r?\n/, 1)[0] ?? "";
  const plan = parsePlan(line.slice(markerOf(environment).length, -" -->".length));
  if (plan !== undefined) return plan;
  const what = comment === undefined ? "no plan" : "no successful plan";
  throw new Problem({
    message: `Pull request ${pullRequest} has ${what} of "${environment}": nothing was applied.`,
    remedy: planAgain,
  });
}

/** The remedy after a merge, when the pull request can no longer be planned again. */
export const planAgain =
  "open a new pull request, with an empty commit if there is nothing else to change (`git commit --allow-empty`): its " +
  "plan is made from the current main branch";

async function reviewsOf(
  github: GitHub,
  pullRequest: number,
  environment: string,
): Promise<readonly Comment[]> {
  const comments = await github.list<Comment>(`issues/${pullRequest}/comments`);
  return comments.filter(
    ({ body, user }) => user?.login === author && body?.startsWith(markerOf(environment)),
  );
}

function parsePlan(json: string): ReviewedPlan | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { tree, sha256 } = value as Record<string, unknown>;
  // Both become part of an object key in S3.
  const isTree = typeof tree === "string" && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(tree);
  const isHash = sha256 === null || (typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256));
  return isTree && isHash ? { tree, sha256 } : undefined;
}
