import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DescribeProcessingJobCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { projectFolder } from "../../../src/cli/paths.ts";
import { runProgram } from "../../../src/cli/program.ts";
import { networkSettings } from "../../../src/local-studio/rehearsal.ts";
import { bucket, packages, type Setup } from "./setup.ts";

export const jobSeconds = 20;

/** One job of `marimo-job run`. */
export interface SingleJob {
  /** Seconds from the command to the job's creation, for checks, including `marimo check`, and uploads. */
  readonly submit: number;
  /** Seconds from the job's creation to its end. */
  readonly job: number;
  /** Seconds from the job's end to the command's end. */
  readonly fetch: number;
}

const notebook = `import marimo

__generated_with = "${packages.marimoVersion}"
app = marimo.App()


@app.cell
def _():
    return


if __name__ == "__main__":
    app.run()
`;

export async function runSingleJob({ python, localAws, folder, signal }: Setup): Promise<SingleJob> {
  const file = join(folder, "trivial.py");
  await writeFile(file, notebook);
  const began = Date.now();
  const { status, stdout, stderr } = await runProgram({
    command: [
      ...[python, "-B", join(projectFolder, "src/space/payload/python/sagemaker_marimo/jobs/command.py")],
      ...["run", file, "--time-limit", "5", "--output", folder, "--json", "--", `--sleep=${jobSeconds}`],
    ],
    cwd: folder,
    environment: {
      ...networkSettings(process.env),
      ...localAws.environment,
      ...{ PATH: process.env.PATH, HOME: folder, MARIMO_BUCKET: bucket, AWS_REGION: "us-east-1" },
    },
    signal,
  });
  const ended = Date.now();
  if (status !== 0) throw new Error(`marimo-job failed with status ${status}:\n${stderr}`);
  const { job } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { job: string };
  const { CreationTime, ProcessingEndTime } = await new SageMakerClient(localAws.clientSettings()).send(
    new DescribeProcessingJobCommand({ ProcessingJobName: job }),
  );
  const [created, over] = [CreationTime, ProcessingEndTime].map((time) => time?.getTime() ?? Number.NaN);
  const seconds = (from = Number.NaN, to = Number.NaN) => (to - from) / 1000;
  return { submit: seconds(began, created), job: seconds(created, over), fetch: seconds(over, ended) };
}
