import { relative } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { inShell } from "../local-studio/session.ts";
import type { Review } from "./review.ts";

/** What comes after a review: words, and a command that can be pasted into a shell. */
export interface NextStep {
  readonly words: string;
  readonly command: string;
}

/** Where the plan of a review can be applied. */
export interface Target {
  /** Options of `npm run apply` that select the plan. */
  readonly options: readonly string[];
  /** What the command does. */
  readonly does: string;
  /** The Terraform to apply with. @default that of the PATH, or of the rehearsal */
  readonly terraform?: string | undefined;
}

/** Applies the plan in a file. `select` says for which stack. */
export const savedPlan = (file: string, ...select: readonly string[]): Target => ({
  options: [...select, "--plan", fromProject(file)],
  does: "applies the saved plan",
  // A plan of OpenTofu needs OpenTofu.
  terraform: process.env.TERRAFORM_BINARY_NAME,
});

/** A rehearsal plans again, because the folder of its plan is temporary. */
export const rehearsed = (run: string): Target => ({
  options: ["--rehearsal", "--run", run],
  does: "plans again and applies to the rehearsal",
});

/** A path for commands, which npm runs in the project's folder. */
export function fromProject(path: string): string {
  const inside = relative(projectFolder, path);
  return inside.startsWith("..") ? path : inside || ".";
}

/** The command that applies a plan and accepts its risks, unless nothing changes. */
export function applyStep(
  { options, does, terraform }: Target,
  { risks, changed }: Review,
): NextStep | undefined {
  if (!changed) return undefined;
  const words = [...options, ...risks.flatMap(({ name }) => ["--accept", name])].map(inShell);
  return {
    words: `This command ${does}${risks.length > 0 ? ", and accepts all risks above" : ""}:`,
    command: `${terraform ? `TERRAFORM_BINARY_NAME=${inShell(terraform)} ` : ""}npm run apply -- ${words.join(" ")}`,
  };
}
