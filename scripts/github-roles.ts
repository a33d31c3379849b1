import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveEnvironment } from "../src/settings/resolve.ts";
import { roleDocument, roleName, roles } from "./github/roles.ts";
import { runCommand } from "./lib/command.ts";
import { type Options, optionsHelp, type Values } from "./lib/command-line.ts";
import { chosenEnvironment, environmentProblems } from "./lib/environment-option.ts";

const options = {
  environment: { value: "NAME", help: "one of src/environments.ts (default: the first)" },
  account: { value: "ID", help: "the environment's AWS account" },
  repository: { value: "OWNER/NAME", help: "the GitHub repository whose workflows take the roles" },
  to: { value: "FOLDER", help: "where to write the documents (default: cdktf.out/roles)" },
  help: { help: "show this" },
} as const satisfies Options;

const help = `usage: npm run github-roles -- --account ID --repository OWNER/NAME [options]

Fills in the trust and the permissions of the two roles that GitHub's workflows take (.github/roles) for an environment,
writes them into a folder, and prints the commands with which an administrator creates the roles. It calls nothing.

${optionsHelp(options)}

Exit status: 0 when the documents are written, 1 when a step failed, 2 for a wrong command line.`;

const defaultFolder = "cdktf.out/roles";

function problems(values: Values): readonly string[] {
  const { account, repository } = values;
  const rules = [
    ["account", account, /^\d{12}$/, "the 12 digits of an AWS account"],
    ["repository", repository, /^[\w.-]+\/[\w.-]+$/, "a GitHub repository as owner/name"],
  ] as const;
  return [
    ...environmentProblems(values),
    ...rules.flatMap(([name, value, pattern, allowed]) =>
      pattern.test(String(value ?? "")) ? [] : [`--${name} takes ${allowed}, got "${value ?? ""}"`],
    ),
  ];
}

async function main(values: Values): Promise<number> {
  const environment = resolveEnvironment(chosenEnvironment(values));
  const folder = typeof values.to === "string" ? values.to : defaultFolder;
  const props = { environment, account: String(values.account), repository: String(values.repository) };
  mkdirSync(folder, { recursive: true });
  const file = (role: string, kind: string) => join(folder, `${environment.name}-${role}-${kind}.json`);
  for (const role of roles) {
    for (const kind of ["trust", "policy"] as const) {
      const document = roleDocument(role, kind, props);
      writeFileSync(file(role, kind), `${JSON.stringify(document, undefined, 2)}\n`);
    }
  }
  console.log(
    [
      "# Once in an account:",
      "aws iam create-open-id-connect-provider --url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com",
      `# The two roles of "${environment.name}":`,
      ...roles.flatMap((role) => {
        const name = roleName(role, environment);
        const session = role === "apply" ? " --max-session-duration 7200" : "";
        return [
          `aws iam create-role --role-name ${name}${session} --assume-role-policy-document file://${file(role, "trust")}`,
          `aws iam put-role-policy --role-name ${name} --policy-name ${role} --policy-document file://${file(role, "policy")}`,
        ];
      }),
    ].join("\n"),
  );
  return 0;
}

await runCommand({ name: "npm run github-roles", options, help, problems, run: main });
