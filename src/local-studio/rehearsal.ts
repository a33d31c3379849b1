import { join } from "node:path";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { Transport } from "../settings/types.ts";
import { AppHost } from "./app-host.ts";
import { Deployment, type StackFacts } from "./deployment.ts";
import { type GatewayProfile, gatewayProfiles } from "./gateway-faults.ts";
import { type LocalAws, startLocalAws } from "./local-aws.ts";
import { pythonEnvironment } from "./python-environment.ts";
import type { RunFolder } from "./run-folder.ts";
import type { Steps } from "./steps.ts";
import { StudioClient } from "./studio-client.ts";
import { findTerraform, terraformEnvironment } from "./terraform-cli.ts";

export interface RehearsalProps {
  readonly environmentName: string;
  readonly profile: GatewayProfile;
  /** In place of the environment's setting; `websocket` shows that it does not get through. */
  readonly transport?: Transport | undefined;
  readonly folder: RunFolder;
  readonly steps: Steps;
  readonly signal?: AbortSignal | undefined;
}

interface Parts {
  readonly localAws: LocalAws;
  readonly appHost: AppHost;
  readonly studio: StudioClient;
  readonly created: ReadonlyMap<string, number>;
  readonly deployment: Deployment;
  readonly facts: StackFacts;
  readonly steps: Steps;
}

/** One environment's stack on a local AWS, with everything that AWS would run for it. */
export class Rehearsal {
  readonly localAws: LocalAws;
  readonly appHost: AppHost;
  readonly studio: StudioClient;
  /** Number of resources by Terraform's type. */
  readonly created: ReadonlyMap<string, number>;
  private readonly parts: Parts;

  private constructor(parts: Parts) {
    this.parts = parts;
    this.localAws = parts.localAws;
    this.appHost = parts.appHost;
    this.studio = parts.studio;
    this.created = parts.created;
  }

  /** Everything up to a deployed stack. Leaves nothing running when it fails. */
  static async start(props: RehearsalProps): Promise<Rehearsal> {
    const { steps, signal, folder } = props;
    const terraform = await findTerraform();
    const options = { onProgress: steps.progress, signal };
    const [aws, image] = await steps.run("prepare the Python environments", () =>
      Promise.all([pythonEnvironment("aws", options), pythonEnvironment("image", options)]),
    );
    let localAws: LocalAws | undefined;
    const appHost = new AppHost({
      folder: join(folder.path, "spaces"),
      faults: gatewayProfiles[props.profile].faults,
      runtime: () => ({
        python: image.python,
        logs: folder.logs,
        environment: {
          ...networkSettings(process.env),
          ...localAws?.environment,
          ...(props.transport ? { SAGEMAKER_MARIMO_TRANSPORT: props.transport } : {}),
        },
      }),
    });
    try {
      localAws = await steps.run("start the local AWS", async () =>
        startLocalAws({
          python: aws.python,
          appHost: await appHost.start(),
          log: join(folder.logs, "local-aws.log"),
        }),
      );
      const deployment = new Deployment({
        environmentName: props.environmentName,
        folder: folder.path,
        logs: folder.logs,
        python: aws.python,
        environment: {
          ...(await terraformEnvironment({ command: terraform.command, runFolder: folder.path })),
          ...noOtherAws(),
          ...localAws.environment,
          TERRAFORM_BINARY_NAME: terraform.command,
        },
        onProgress: steps.progress,
      });
      const facts = await steps.run("synthesize the stack", () => deployment.synthesize(signal));
      const created = await steps.run("deploy it (cdktf deploy)", () => deployment.deploy(signal));
      const client = new SageMakerClient(localAws.clientSettings(facts.region));
      const studio = await StudioClient.find(client, props.environmentName, 200);
      return new Rehearsal({ localAws, appHost, studio, created, deployment, facts, steps });
    } catch (error) {
      await localAws?.stop();
      await appHost.close();
      throw error;
    }
  }

  /** `cdktf destroy`, and proof that nothing of the stack is left, apart from a home file system that is to stay, with its key. */
  async destroy(): Promise<void> {
    const { deployment, facts, steps } = this.parts;
    // A person who tried things made spaces of their own: they go with the rehearsal.
    await steps.run("destroy it (cdktf destroy)", () => deployment.destroy(this.studio.user.domainId));
    await steps.run("see that nothing is left", async () => {
      const inventory = await this.localAws.inventory();
      const stays = /^(efs file-system|kms key) /;
      const left = inventory.filter((line) => !(facts.retainsHomes && stays.test(line)));
      if (left.length > 0) throw new Error(`the local AWS still holds:\n  ${left.join("\n  ")}`);
    });
  }

  /** Ends every process of the rehearsal. */
  async stop(): Promise<void> {
    await this.appHost.close();
    await this.localAws.stop();
  }
}

/** A person's own AWS settings have no part in a rehearsal: with a profile, Terraform would ask AWS for its keys. */
export function noOtherAws(): NodeJS.ProcessEnv {
  const own = Object.keys(process.env).filter((name) => name.startsWith("AWS_") && name !== "AWS_CA_BUNDLE");
  return Object.fromEntries(own.map((name) => [name, undefined]));
}

/** How a space may reach package indexes from this machine: proxies, certificates, mirrors. */
export function networkSettings(environment: NodeJS.ProcessEnv): Record<string, string> {
  const names = /^(https?_proxy|all_proxy|ssl_cert_file|requests_ca_bundle|aws_ca_bundle|pip_.*|uv_.*)$/i;
  const own = Object.entries(environment).filter((entry): entry is [string, string] => names.test(entry[0]));
  const direct = [environment.NO_PROXY ?? environment.no_proxy, "127.0.0.1"].filter(Boolean).join(",");
  return { ...Object.fromEntries(own), NO_PROXY: direct, no_proxy: direct };
}
