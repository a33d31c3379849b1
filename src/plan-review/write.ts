import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { NextStep } from "./apply-command.ts";
import { reviewJson } from "./json.ts";
import { report } from "./report.ts";
import { reviewSarif, type SarifProps } from "./sarif.ts";

export interface WriteProps extends SarifProps {
  readonly next: NextStep | undefined;
  /** The paths of the files. One without a path is not written. */
  readonly paths: Readonly<Record<"markdown" | "json" | "sarif", string | undefined>>;
}

/** Writes a review in each format, and returns it as Markdown. */
export function writeReview({ paths, next, ...props }: WriteProps): string {
  const { subject, review } = props;
  const markdown = report(subject, review, next);
  const inJson = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  for (const [path, text] of [
    [paths.markdown, () => markdown],
    [paths.json, () => inJson(reviewJson(subject, review, next))],
    [paths.sarif, () => inJson(reviewSarif(props))],
  ] as const) {
    if (path === undefined) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text());
    console.error(`written: ${path}`);
  }
  return markdown;
}
