import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { openInBrowser } from "../src/cli/browser.ts";
import { callerAccount } from "../src/cli/caller-account.ts";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { domainIdOf, studioLink } from "../src/people/domain.ts";
import { clientSettings } from "../src/removal/aws.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";

const options = {
  ...environmentOption,
  print: { help: "print the link, and open no browser" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run open -- [NAME] [options]

Opens Studio in the browser as a person (default: the domain's first user profile). Without a display, prints the link.
Anyone who has the link can sign in with it for 5 minutes. With IAM Identity Center, opens the domain's address.

${optionsHelp(options)}

Exit status: 0 for success, 1 for an error, 2 for an invalid command line.
Requires sagemaker:ListDomains, DescribeDomain, ListUserProfiles and CreatePresignedDomainUrl.`;

async function main(values: Values, _: string | undefined, person: string | undefined): Promise<number> {
  const environment = resolveEnvironment(chosenEnvironment(values));
  const { existing, name, region } = environment;
  await callerAccount(environment);
  const sagemaker = new SageMakerClient(clientSettings(region));
  const domainId = existing.domainId ?? (await domainIdOf(sagemaker, name));
  const { profile, url } = await studioLink(sagemaker, { domainId, environmentName: name, person });
  // Only the link is on stdout, so that a shell can use it.
  console.error(
    profile === undefined
      ? `People of "${name}" sign in with IAM Identity Center:`
      : `Studio of ${profile} in "${name}", for 5 minutes:`,
  );
  if (values.print !== true && (await openInBrowser(url))) console.error("opened in the browser");
  else console.log(url);
  return 0;
}

await runCommand({ name: "npm run open", options, takesArgument: true, help, run: main });
