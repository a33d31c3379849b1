import { Construct } from "constructs";
import { type ExecutionPoliciesProps, executionDocuments } from "../identity/execution-role.ts";
import { ExistingRole } from "../identity/existing-role.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import type { Outputs } from "../support/outputs.ts";
import { ExistingDomain } from "./existing-domain.ts";
import type { LifecycleConfiguration } from "./lifecycle-configuration.ts";

export interface ExistingStudioProps {
  readonly context: EnvironmentContext;
  readonly domainId: string;
  readonly lifecycleConfiguration: LifecycleConfiguration;
  readonly policies: ExecutionPoliciesProps;
}

/** Prepares marimo for a domain that exists. Returns the commands and policies that its owner must apply. */
export function existingStudio(scope: Construct, props: ExistingStudioProps): Outputs {
  const { context, domainId, lifecycleConfiguration, policies } = props;
  const { environment, prefix } = context;
  const domain = new ExistingDomain(scope, "studio", {
    domainId,
    region: environment.region,
    lifecycleConfigurationArns: {
      JupyterLab: lifecycleConfiguration.jupyterLab.domain,
      CodeEditor: lifecycleConfiguration.codeEditor.domain,
    },
  });
  const roleArn = environment.existing.executionRoleArn;
  return {
    studio_domain_id: ["Id of the Studio domain", domain.id],
    lifecycle_configuration_arn: [
      "Lifecycle configuration that starts marimo in JupyterLab, for the domain's settings to name",
      lifecycleConfiguration.jupyterLab.domain,
    ],
    update_domain_command: [
      "Command that brings marimo to private spaces, and keeps the domain's other settings of their apps",
      domain.updateDomainCommand,
    ],
    update_user_profile_command: [
      "Command that gives these app settings to the user NAME: for users who have their own",
      domain.updateUserProfileCommand,
    ],
    ...(roleArn === undefined
      ? {
          execution_role_policies: [
            "Policies that the execution roles of the domain must have",
            policyTexts(scope, policies),
          ] as const,
        }
      : {
          execution_role_arn: [
            "Role that was given what the spaces need",
            new ExistingRole(scope, "execution", { ...policies, prefix, arn: roleArn }).arn,
          ] as const,
        }),
  };
}

const policyTexts = (scope: Construct, policies: ExecutionPoliciesProps) =>
  Object.fromEntries(
    Object.entries(executionDocuments(new Construct(scope, "execution"), policies)).map(
      ([name, { json }]) => [name, json],
    ),
  );
