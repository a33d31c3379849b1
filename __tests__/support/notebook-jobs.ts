import { spawn } from "node:child_process";
import { join } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { networkSettings } from "../../src/local-studio/rehearsal.ts";
import { jobEntrypoint } from "../../src/settings/names.ts";
import { bucket, type Jobs } from "./jobs-fixture.ts";
import { objectsOf, realPayload } from "./space-fixture.ts";

const payload = "marimo/payload/0123456789abcdef";
let payloadSha256 = "";

/** Uploads the payload to the bucket of the local AWS. */
export async function putPayload(jobs: Jobs): Promise<void> {
  const files = { ...realPayload(), "settings.env": "MARIMO_TRANSPORT=auto\n" };
  payloadSha256 = await jobs.putVerified(payload, objectsOf(files));
}

/** Runs `marimo-job` in a folder, as on a laptop: its home has no settings of a space. */
export async function runMarimoJob(
  jobs: Jobs,
  { folder, home }: { readonly folder: string; readonly home: string },
  ...args: readonly string[]
) {
  const { python, prefix } = await pythonEnvironment("image");
  const script = join(projectFolder, "src/space/payload/python/sagemaker_marimo/jobs/command.py");
  const child = spawn(python, ["-B", script, ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: `${join(prefix, "bin")}:${process.env.PATH}`,
      ...networkSettings(process.env),
      HOME: home,
      MARIMO_BUCKET: bucket,
      AWS_REGION: "us-east-1",
      ...jobs.localAws.environment,
    },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout, stderr };
}

/** Creates a notebook with these cells. */
export const notebook = (...cells: string[]) =>
  [
    "import marimo\n\napp = marimo.App()",
    ...cells.map((cell) => `@app.cell\ndef _():\n${cell.replaceAll(/^(?=.)/gm, "    ")}\n    return`),
    'if __name__ == "__main__":\n    app.run()\n',
  ].join("\n\n\n");

let number = 0;
/** Starts a job like `marimo-job` and schedules. By default, its notebook is the first of the source files. */
export async function submit(
  jobs: Jobs,
  sources: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  file = Object.keys(sources)[0] ?? "",
  environment: Readonly<Record<string, string>> = {},
  /** What somebody writes there after the sender. */
  overwritten: Readonly<Record<string, string>> = {},
) {
  const name = `marimo-dev-test-${++number}`;
  const source = `shared/job-sources/${name}`;
  const sourceSha256 = await jobs.putVerified(source, sources);
  for (const [path, text] of Object.entries(overwritten)) await jobs.put(`${source}/${path}`, text);
  const input = (InputName: string, prefix: string) => ({
    InputName,
    S3Input: {
      S3Uri: `s3://${bucket}/${prefix}/`,
      LocalPath: `/opt/ml/processing/input/${InputName}`,
      S3DataType: "S3Prefix" as const,
      S3InputMode: "File" as const,
      S3DataDistributionType: "FullyReplicated" as const,
    },
  });
  const target = `s3://${bucket}/shared/jobs/${name}`;
  const job = await jobs.create("", {
    AppSpecification: {
      ImageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:tag",
      ContainerEntrypoint: [...jobEntrypoint, "/opt/ml/processing/input/runtime/job/run.sh"],
      ContainerArguments: [file, ...args],
    },
    Environment: {
      AWS_DEFAULT_REGION: "us-east-1",
      MARIMO_BUCKET: bucket,
      MARIMO_PAYLOAD_SHA256: payloadSha256,
      MARIMO_SOURCE_SHA256: sourceSha256,
      MARIMO_JOB_OUTPUT: target,
      ...environment,
    },
    ProcessingInputs: [input("runtime", payload), input("source", source)],
    ProcessingOutputConfig: {
      Outputs: [
        {
          OutputName: "result",
          S3Output: { S3Uri: target, LocalPath: "/opt/ml/processing/output", S3UploadMode: "Continuous" },
        },
      ],
    },
  });
  const get = (path: string) => jobs.get(`shared/jobs/${name}/${path}`);
  const result = async () => JSON.parse((await get("result.json")) ?? "null");
  return { job, get, result };
}
