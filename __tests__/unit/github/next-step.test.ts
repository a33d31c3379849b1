import { describe, expect, it } from "vitest";
import { nextStep } from "../../../src/github/next-step.ts";
import { change, plan, review } from "../../support/plan-fixture.ts";

const removed = plan([change("aws_sagemaker_user_profile.p", { user_profile_name: "ana" }, null)]);
const harmless = plan([change("aws_kms_key.k", null, {})]);
const step = (of = harmless, event = "push", labelled: number | undefined = 7, accept: string[] = []) =>
  nextStep({
    environment: "dev",
    context: { event, runId: "12", repository: "our/team" },
    review: review(of, { accept }),
    labelled,
  });
const name = "replaced-user-profile:p";
const labels = [
  `gh label create 'accept ${name}' --force --repo our/team`,
  `gh pr edit 7 --add-label 'accept ${name}' --repo our/team`,
];

describe("what applies a plan of the workflow", () => {
  it("approves the run that saved it", () => {
    expect(step()).toEqual({
      words: "To approve exactly this plan, once the job Apply waits:",
      command:
        "gh api repos/our/team/actions/runs/12/pending_deployments -f state=approved -f comment=reviewed " +
        '-F "environment_ids[]=$(gh api repos/our/team/environments/dev --jq .id)"',
    });
    // Labels accept the risks: the same command.
    expect(step(removed, "push", 7, [name])).toEqual(step());
  });

  it("first accepts the risks by labels, and plans again", () => {
    expect(step(removed)?.command.split("\n")).toEqual([
      ...labels,
      "gh run rerun 12 --failed --repo our/team",
    ]);
    expect(step(removed)?.words).toBe(
      "These commands accept all risks above. The last one plans again in this run:",
    );
  });

  it("is the merge of a pull request, and a new run after a nightly one", () => {
    expect(step(harmless, "pull_request")?.command).toBe("gh pr merge 7 --repo our/team");
    expect(step(removed, "pull_request")?.command.split("\n")).toEqual([
      ...labels,
      "gh pr merge 7 --repo our/team",
    ]);
    expect(step(harmless, "schedule")?.command).toBe("gh workflow run deploy.yml --ref main --repo our/team");
  });

  it("is nothing without changes, and for a risk without a pull request for its label", () => {
    expect(step(plan([]))).toBeUndefined();
    const context = { event: "push", runId: "12", repository: "our/team" };
    const of = review(removed);
    expect(nextStep({ environment: "dev", context, review: of, labelled: undefined })).toBeUndefined();
  });
});
