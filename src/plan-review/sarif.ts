import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Log, Region, Result } from "sarif";
import { projectFolder } from "../cli/paths.ts";
import { kindOf, nameOf } from "./kinds.ts";
import { code } from "./markdown.ts";
import type { Review, Risk } from "./review.ts";
import type { Rule } from "./risks/rule.ts";

export interface SarifProps {
  /** The environment, or the name of the reviewed file. */
  readonly subject: string;
  readonly review: Review;
  readonly rules: readonly Rule[];
  /** The file that is shown beside each risk, by its path from the project's folder. @default the settings */
  readonly file?: string | undefined;
}

const settingsFile = "src/environments.ts";

/**
 * The risks in SARIF 2.1.0, with the properties that GitHub code scanning requires (GitHub documentation, "SARIF support
 * for code scanning"). Accepted risks are suppressed.
 */
export function reviewSarif({ subject, review, rules, file = settingsFile }: SarifProps): Log {
  const region = regionOf(file, subject);
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "sagemaker-marimo plan review",
            rules: rules.map(({ name, title }) => ({
              id: name,
              shortDescription: { text: title },
              fullDescription: { text: title },
              help: { text: `To accept such a risk, add --accept and its name, which begins with ${name}.` },
            })),
          },
        },
        // Code scanning keeps the results of each environment apart.
        automationDetails: { id: `plan-review/${subject}/` },
        results: review.risks.map((risk) => ({
          ...resultOf(risk),
          ruleIndex: rules.findIndex(({ name }) => name === risk.rule),
          locations: [
            {
              physicalLocation: { artifactLocation: { uri: encodeURI(file) }, region },
              logicalLocations: [{ fullyQualifiedName: risk.about.address, kind: "resource" }],
            },
          ],
          partialFingerprints: { primaryLocationLineHash: fingerprint(subject, risk.name) },
        })),
      },
    ],
  };
}

const resultOf = ({ rule, name, about, reason, lost, instead, accepted }: Risk): Result => ({
  ruleId: rule,
  level: accepted ? "note" : "error",
  message: {
    text: [
      `${kindOf(about).noun} ${code(nameOf(about))}: ${reason}`,
      ...(lost === undefined ? [] : [`Lost: ${lost}.`]),
      `Instead: ${instead}.`,
      `To accept it: ${code(`--accept ${name}`)}`,
    ].join(" "),
  },
  suppressions: accepted ? [{ kind: "external", status: "accepted", justification: "accepted by name" }] : [],
});

/** The same in each run, in the form of GitHub's own: a hash, and a number. Code scanning uses only this fingerprint. */
const fingerprint = (subject: string, name: string) =>
  `${createHash("sha256").update(`${subject}\n${name}`).digest("hex").slice(0, 16)}:1`;

/** The line with the environment's name, or else the first. */
function regionOf(
  file: string,
  environment: string,
): Required<Pick<Region, "startLine" | "startColumn" | "endLine" | "endColumn">> {
  const lines = file === settingsFile ? readFileSync(join(projectFolder, file), "utf8").split("\n") : [];
  const index = lines.findIndex((line) => /name"?: *["'](.*?)["']/.exec(line)?.[1] === environment);
  const line = Math.max(index, 0);
  const length = lines[line]?.length ?? 0;
  return { startLine: line + 1, startColumn: 1, endLine: line + 1, endColumn: length + 1 };
}
