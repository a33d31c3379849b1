import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { listOf, type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { Problem } from "../src/cli/problem.ts";
import { missingBoundary, roleCommands } from "../src/github/role-commands.ts";
import { type DocumentName, policiesOf, roleDocument, roles } from "../src/github/roles.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";

const options = {
  ...environmentOption,
  account: { value: "ID", help: "the environment's AWS account (default: its setting `account`)" },
  repository: {
    value: "OWNER/NAME",
    help: "the GitHub repository whose workflow assumes the roles; OWNER@ID/NAME@ID if its tokens have immutable\nsubject claims, as those of all repositories do that were created since 15 July 2026",
  },
  reviewer: {
    value: "NAME",
    repeated: true,
    help: "who approves what is applied: a GitHub user, or a team as ORGANIZATION/TEAM; can be repeated",
  },
  to: { value: "FOLDER", help: "folder for the documents (default: cdktf.out/roles)" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run github-roles -- --account ID --repository OWNER/NAME --reviewer NAME [options]

Writes the trust policies and permissions policies of the two roles that the GitHub workflow assumes (.github/roles) for an
environment, and prints the commands for an administrator: for GitHub's protected environment first, then for the roles and
the repository variable. It does not call AWS or GitHub.

${optionsHelp(options)}

Exit status: 0 if the documents were written, 1 if a step failed, 2 for an invalid command line.`;

const defaultFolder = "cdktf.out/roles";
const name = String.raw`[\w.-]+`;
const accountOf = (values: Values) => String(values.account ?? chosenEnvironment(values).account ?? "");

function problems(values: Values): readonly string[] {
  const reviewers = listOf(values.reviewer);
  const rules = [
    [
      "account",
      accountOf(values),
      new RegExp(`^${chosenEnvironment(values).account ?? String.raw`\d{12}`}$`),
      "the 12 digits of an AWS account ID, and that of the setting `account` if there is one",
    ],
    [
      "repository",
      values.repository,
      new RegExp(String.raw`^(${name}/${name}|${name}@\d+/${name}@\d+)$`),
      "a GitHub repository as owner/name or owner@id/name@id",
    ],
    ...reviewers.map(
      (one) => ["reviewer", one, new RegExp(`^${name}(/${name})?$`), "a user, or organization/team"] as const,
    ),
  ] as const;
  return [
    ...rules.flatMap(([option, value, pattern, allowed]) =>
      pattern.test(String(value ?? "")) ? [] : [`--${option} must be ${allowed}, got "${value ?? ""}"`],
    ),
    ...(reviewers.length >= 1 && reviewers.length <= 6
      ? []
      : [`--reviewer must be given 1 to 6 times (GitHub REST API, environments), got ${reviewers.length}`]),
  ];
}

async function main(values: Values): Promise<number> {
  const environment = resolveEnvironment(chosenEnvironment(values));
  const folder = typeof values.to === "string" ? values.to : defaultFolder;
  const props = { environment, account: accountOf(values), repository: String(values.repository) };
  const boundary = missingBoundary(props);
  if (boundary !== undefined) {
    throw new Problem({
      message: `The environment "${environment.name}" has no permissions boundary, and the apply role creates no role without one.`,
      remedy: `add ${boundary} to it in src/environments.ts, and run this command again: it prints how to create this policy`,
    });
  }
  mkdirSync(folder, { recursive: true });
  const file = (document: DocumentName) => join(folder, `${environment.name}-${document}.json`);
  const documents: readonly DocumentName[] = [
    "boundary",
    ...roles.flatMap((role) => [`${role}-trust` as const, ...policiesOf[role]]),
  ];
  for (const document of documents) {
    writeFileSync(file(document), `${JSON.stringify(roleDocument(document, props), undefined, 2)}\n`);
  }
  console.log(roleCommands({ ...props, reviewers: listOf(values.reviewer), file }).join("\n"));
  return 0;
}

await runCommand({ name: "npm run github-roles", options, help, problems, run: main });
