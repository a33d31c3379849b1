import { Problem } from "../../src/local-studio/problem.ts";
import type { GitHub } from "./api.ts";

/** What a review says of the plan that it shows, for those who apply it. */
export interface ReviewedPlan {
  /** Git's hash of the whole content that was planned: the same after a merge, a squash or a rebase. */
  readonly tree: string;
  /** SHA-256 of the saved plan; `null` where there was nothing to change. */
  readonly sha256: string | null;
}

interface Comment {
  readonly id: number;
  readonly body?: string;
  readonly user: { readonly login: string } | null;
}

/** GitHub answers 422 "Body is too long (maximum is 65536 characters)" beyond it: telia-oss/github-pr-resource, issue 259. */
export const longestComment = 65_536;

/** Who writes with a job's `GITHUB_TOKEN`: no one else's comment is a review. */
const author = "github-actions[bot]";

const markerOf = (environment: string) => `<!-- npm run github: plan of ${environment} `;

/** The whole comment; a review that is too long ends at the end of a line, and says where the rest is. */
export function commentBody(props: {
  readonly environment: string;
  readonly review: string;
  /** `undefined` where the plan failed: nothing may be applied. */
  readonly plan: ReviewedPlan | undefined;
  /** Address of the run whose log has all of the review. */
  readonly run: string;
}): string {
  const { environment, plan, run } = props;
  const head = `${markerOf(environment)}${JSON.stringify(plan ?? null)} -->\n`;
  const hash =
    plan === undefined
      ? "No plan was kept."
      : plan.sha256 === null
        ? "There is nothing to apply."
        : `A merge applies the plan with the SHA-256 \`${plan.sha256}\`, or none.`;
  const foot = `\n\n<sub>${hash} [The run](${run})</sub>\n`;
  return head + cut(props.review.trim(), longestComment - head.length - foot.length, run) + foot;
}

/** Whole lines of a Markdown text that fit, with what they opened closed again. */
function cut(text: string, room: number, run: string): string {
  if (text.length <= room) return text;
  const lines = text.split("\n");
  // No more lines than fit without the note: each attempt looks at all of them.
  let [most, length] = [0, 0];
  while (length + (lines[most]?.length ?? 0) < room) length += (lines[most++]?.length ?? 0) + 1;
  for (let kept = most; kept >= 0; kept -= 1) {
    const some = lines.slice(0, kept);
    const inFence = some.filter((line) => line.startsWith("```")).length % 2 === 1;
    const open = count(some, /<details[ >]/) - count(some, /<\/details>/);
    const note = `**Cut here: ${kept} of ${lines.length} lines fit into a comment. [The run's log](${run}) has all of them.**`;
    const short = [
      ...some,
      ...(inFence ? ["```"] : []),
      ...Array.from({ length: Math.max(0, open) }, () => "\n</details>"),
      `\n${note}`,
    ].join("\n");
    if (short.length <= room) return short;
  }
  throw new Error(`${room} characters are no room for a review`);
}

const count = (lines: readonly string[], what: RegExp) => lines.filter((line) => what.test(line)).length;

/** Writes the one comment of an environment, or brings it up to date. */
export async function keepComment(
  github: GitHub,
  props: { readonly pullRequest: number; readonly environment: string; readonly body: string },
): Promise<void> {
  const [comment] = await reviewsOf(github, props.pullRequest, props.environment);
  if (comment === undefined)
    await github.send("POST", `issues/${props.pullRequest}/comments`, { body: props.body });
  else await github.send("PATCH", `issues/comments/${comment.id}`, { body: props.body });
}

/** What the comment says of the plan; a Problem where there is no such comment, or its plan failed. */
export async function reviewedPlan(
  github: GitHub,
  props: { readonly pullRequest: number; readonly environment: string },
): Promise<ReviewedPlan> {
  const { pullRequest, environment } = props;
  const [comment] = await reviewsOf(github, pullRequest, environment);
  const line = comment?.body?.split(/\r?\n/, 1)[0] ?? "";
  const plan = parsePlan(line.slice(markerOf(environment).length, -" -->".length));
  if (plan !== undefined) return plan;
  const what = comment === undefined ? "no plan" : "no plan that succeeded";
  throw new Problem({
    message: `Pull request ${pullRequest} has ${what} of "${environment}": nothing was applied.`,
    remedy: planAgain,
  });
}

/** After a merge there is no pull request any more whose plan could be made again. */
export const planAgain =
  "open a pull request with what is still to change, or with an empty commit (`git commit --allow-empty`): its plan " +
  "is of what is on the main branch now";

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
  // They become part of an object's key.
  const isTree = typeof tree === "string" && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(tree);
  const isHash = sha256 === null || (typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256));
  return isTree && isHash ? { tree, sha256 } : undefined;
}
