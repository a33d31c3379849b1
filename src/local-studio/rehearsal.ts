import { basename, join } from "node:path";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { projectFolder, workFolder } from "../cli/paths.ts";
import {
  findPython,
  type PythonEnvironment,
  type PythonEnvironmentName,
  pythonEnvironment,
} from "../cli/python/python-environment.ts";
import type { RunFolder } from "../cli/run-folder.ts";
import type { Steps } from "../cli/steps.ts";
import { findTerraform, terraformEnvironment } from "../cli/terraform-cli.ts";
import type { Transport } from "../settings/marimo.ts";
import { AppHost } from "./app-host.ts";
import { Background } from "./background.ts";
import { Deployment } from "./deployment.ts";
import { type GatewayProfile, gatewayProfiles } from "./gateway-faults.ts";
import type { KeptFolder } from "./kept-folder.ts";
import { type LocalAws, startLocalAws } from "./local-aws.ts";
import type { Session } from "./session.ts";
import { StudioApi } from "./studio-api.ts";
import { StudioClient } from "./studio-client.ts";

/** The virtual environments that stand in for the image of spaces and jobs. */
export const spaceImages = {
  small: { environment: "image", description: "the packages that this project itself uses" },
  full: {
    environment: "image-full",
    description: "also the image's most used packages, such as matplotlib and duckdb (1.5 GB)",
  },
} as const satisfies Record<string, { environment: PythonEnvironmentName; description: string }>;
export type SpaceImage = keyof typeof spaceImages;

export interface RehearsalProps {
  readonly environmentName: string;
  readonly profile: GatewayProfile;
  /** The environment's setting. @default the default of the setting */
  readonly awsProviderVersion?: string | undefined;
  /** Overrides the environment's setting. `websocket` shows that Studio's gateway breaks this transport. */
  readonly transport?: Transport | undefined;
  /** @default "small" */
  readonly image?: SpaceImage | undefined;
  /** Deploys the lifecycle rules of the buckets too: see `DeploymentProps`. */
  readonly complete?: boolean | undefined;
  /** Holds spaces and jobs to the policies of their roles: see `LocalAwsProps`. */
  readonly iam?: boolean | undefined;
  readonly folder: RunFolder;
  /** The folder from which this rehearsal resumes and to which it saves its state. */
  readonly kept?: KeptFolder | undefined;
  readonly steps: Steps;
  readonly signal?: AbortSignal | undefined;
}

/** The step that deploys the stack. The benchmark `start` finds its time by this name. */
export const deployStep = "deploy the stack (cdktf deploy)";

interface Parts {
  readonly localAws: LocalAws;
  readonly appHost: AppHost;
  readonly studio: StudioClient;
  readonly deployment: Deployment;
  readonly session: Session;
  readonly props: RehearsalProps;
}

/** One environment's stack on a local AWS, and the apps and jobs that AWS would run for it. */
export class Rehearsal {
  readonly localAws: LocalAws;
  readonly appHost: AppHost;
  readonly studio: StudioClient;
  /** Connects other terminals to the rehearsal, once `writeSession` has written it. */
  readonly session: Session;
  private readonly parts: Parts;

  private constructor(parts: Parts) {
    this.parts = parts;
    this.localAws = parts.localAws;
    this.appHost = parts.appHost;
    this.studio = parts.studio;
    this.session = parts.session;
  }

  /** Number of deployed resources by Terraform resource type. */
  get created(): ReadonlyMap<string, number> {
    return this.parts.deployment.state().resources;
  }

  /** Starts the local AWS and deploys the stack. Stops every process when a step fails. */
  static async start(props: RehearsalProps): Promise<Rehearsal> {
    const { steps, folder, kept, environmentName } = props;
    const background = new Background(props.signal);
    const { signal } = background;
    const [terraform, { command: python }] = await Promise.all([findTerraform(), findPython(process.env)]);
    // The address of the local AWS is added once it runs. The synthesis does not need it.
    const environment: NodeJS.ProcessEnv = {
      ...(await terraformEnvironment({
        command: terraform.command,
        runFolder: folder.path,
        providerVersion: props.awsProviderVersion,
      })),
      ...noOtherAws(),
      TERRAFORM_BINARY_NAME: terraform.command,
    };
    const deployment = new Deployment({
      ...{ environmentName, folder: folder.path, statePath: kept?.statePath, logs: folder.logs },
      ...{ complete: props.complete, python, environment, onProgress: steps.progress },
    });
    const synthesis = background.run(deployment.synthesize(signal));
    let localAws: LocalAws | undefined;
    let image: PythonEnvironment | undefined;
    let studioApi: StudioApi | undefined;
    const appHost = new AppHost({
      studio: () => studioApi,
      folder: kept?.spaces ?? join(folder.path, "spaces"),
      faults: gatewayProfiles[props.profile].faults,
      logs: folder.logs,
      runtime: () => {
        if (image === undefined) throw new Error("The virtual environment of the spaces is not ready yet.");
        return {
          python: image.python,
          environment: {
            // A cache in each home directory would download marimo again in every rehearsal.
            UV_CACHE_DIR: join(workFolder, "uv-cache"),
            ...networkSettings(process.env),
            ...localAws?.environment,
            ...(props.transport ? { SAGEMAKER_MARIMO_TRANSPORT: props.transport } : {}),
          },
        };
      },
    });
    try {
      const aws = await steps.run("prepare the local AWS's virtual environment", () =>
        pythonEnvironment("aws", { signal, onProgress: steps.progress }),
      );
      let waitsForImage = false;
      const onProgress = (line: string) => {
        if (waitsForImage) steps.progress(line);
      };
      const { environment: imageName } = spaceImages[props.image ?? "small"];
      const preparing = background.run(pythonEnvironment(imageName, { signal, onProgress }));
      localAws = await steps.run("start the local AWS", async () =>
        startLocalAws({
          python: aws.python,
          appHost: await appHost.start(),
          log: join(folder.logs, "local-aws.log"),
          keep: kept?.awsFile,
          iam: props.iam,
        }),
      );
      Object.assign(environment, localAws.environment);
      const { region } = await steps.run("synthesize the stack", () => synthesis);
      await steps.run(deployStep, () => deployment.deploy(signal));
      waitsForImage = true;
      image = await steps.run("prepare the spaces' virtual environment", () => preparing);
      const settings = localAws.clientSettings(region);
      studioApi = new StudioApi({ client: settings, logs: folder.logs, stateFile: deployment.statePath });
      const studio = await StudioClient.find(new SageMakerClient(settings), environmentName, 200);
      const session = {
        ...{ environmentName, run: basename(folder.path), folder: folder.path, project: projectFolder },
        ...deployment.session({
          ...localAws.environment,
          ...onlyThisAws(region),
          // marimo-job in another terminal sends jobs as the user of the rehearsal's space.
          MARIMO_USER: studio.user.userProfileName,
        }),
      };
      return new Rehearsal({ localAws, appHost, studio, deployment, session, props });
    } catch (error) {
      await background.end();
      await appHost.close({ keepHomes: kept !== undefined });
      await localAws?.stop();
      throw error;
    }
  }

  /** Runs `cdktf destroy`, then checks that nothing is left except a retained home file system and its KMS key. */
  async destroy(): Promise<void> {
    const { deployment, props } = this.parts;
    const { steps } = props;
    const facts = deployment.facts();
    // This also deletes spaces that people created in the domain.
    await steps.run("destroy the stack (cdktf destroy)", () => deployment.destroy());
    await steps.run("check that nothing is left", async () => {
      const inventory = await this.localAws.inventory();
      const stays = /^(efs file-system|kms key) /;
      const left = inventory.filter((line) => !(facts.retainsHomes && stays.test(line)));
      if (left.length === 0) return;
      // Imported only now: it loads the clients of all services.
      const { describeLeft } = await import("./left-resources.ts");
      throw new Error(
        await describeLeft(left, props.environmentName, this.localAws.clientSettings(facts.region)),
      );
    });
  }

  /** Ends every process of the rehearsal. */
  async stop(): Promise<void> {
    await this.appHost.close({ keepHomes: this.parts.props.kept !== undefined });
    await this.localAws.stop();
  }
}

/** Unsets the `AWS_` variables: with a profile, Terraform would request credentials from the real AWS. */
export function noOtherAws(): NodeJS.ProcessEnv {
  const own = Object.keys(process.env).filter((name) => name.startsWith("AWS_") && name !== "AWS_CA_BUNDLE");
  return Object.fromEntries(own.map((name) => [name, undefined]));
}

/** For another terminal, whose AWS profile or configured endpoints would lead to a real account. */
function onlyThisAws(region: string): Record<string, string> {
  return {
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
  };
}

/** The variables that let a space reach package indexes from this machine: proxies, certificates, mirrors. */
export function networkSettings(environment: NodeJS.ProcessEnv): Record<string, string> {
  const names = /^(https?_proxy|all_proxy|ssl_cert_file|requests_ca_bundle|aws_ca_bundle|pip_.*|uv_.*)$/i;
  const own = Object.entries(environment).filter((entry): entry is [string, string] => names.test(entry[0]));
  const direct = [environment.NO_PROXY ?? environment.no_proxy, "127.0.0.1"].filter(Boolean).join(",");
  return { ...Object.fromEntries(own), NO_PROXY: direct, no_proxy: direct };
}
