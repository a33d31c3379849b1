import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { roleDocument, roleEntry, roleName, roles, roleVariables } from "../src/github/roles.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";

const options = {
  ...environmentOption,
  account: { value: "ID", help: "the environment's AWS account" },
  repository: { value: "OWNER/NAME", help: "the GitHub repository whose workflows assume the roles" },
  to: { value: "FOLDER", help: "folder for the documents (default: cdktf.out/roles)" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run github-roles -- --account ID --repository OWNER/NAME [options]

Writes the trust policies and permissions policies of the two roles that the GitHub workflows assume (.github/roles) for an
environment, and prints the commands for an administrator to create the roles and set them as repository variables.
It does not call AWS or GitHub.

${optionsHelp(options)}

Exit status: 0 if the documents were written, 1 if a step failed, 2 for an invalid command line.`;

const defaultFolder = "cdktf.out/roles";

function problems(values: Values): readonly string[] {
  const { account, repository } = values;
  const rules = [
    ["account", account, /^\d{12}$/, "the 12 digits of an AWS account ID"],
    ["repository", repository, /^[\w.-]+\/[\w.-]+$/, "a GitHub repository as owner/name"],
  ] as const;
  return rules.flatMap(([name, value, pattern, allowed]) =>
    pattern.test(String(value ?? "")) ? [] : [`--${name} must be ${allowed}, got "${value ?? ""}"`],
  );
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
      "# Once per account:",
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
      "# Without these variables, the workflows are skipped. For several environments, put one entry for each into each list:",
      ...roles.map((role) => {
        const list = JSON.stringify([roleEntry(role, props)]);
        return `gh variable set ${roleVariables[role]} --repo ${props.repository} --body '${list}'`;
      }),
    ].join("\n"),
  );
  return 0;
}

await runCommand({ name: "npm run github-roles", options, help, problems, run: main });
