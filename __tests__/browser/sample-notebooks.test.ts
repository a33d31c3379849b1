import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { marimoDefaults } from "../../src/settings/marimo.ts";
import { realPayload, Space, until } from "../support/space-fixture.ts";

const samples = join(projectFolder, "sample-notebooks");
const notebooks = readdirSync(samples).filter((name) => name.endsWith(".py"));

/** The answers of AWS by SageMaker operation or S3 key. Other requests are rejected. */
type Answers = Record<string, { status: number; body: string | object }>;

let space: Space;
let marimo: string;
let aws: Server;
let answers: Answers;
beforeAll(async () => {
  space = new Space();
  space.upload(realPayload());
  const { python } = await pythonEnvironment("image");
  const container = await space.start(python);
  expect(container.events.at(-1)?.event).toBe("ready");
  const current = join(space.state, "environments/current/bin");
  await until("marimo", () => (readStatus() === "installed\n" ? true : undefined));
  marimo = current;
  aws = createServer((request, response) => {
    const answer = answers[operation(request)] ?? { status: 400, body: { __type: "Unexpected" } };
    response.writeHead(answer.status);
    response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => aws.once("listening", resolve));
});
afterAll(async () => {
  aws.close();
  await space.dispose();
});
beforeEach(() => {
  answers = {};
});

function readStatus(): string {
  try {
    return readFileSync(join(space.state, "status"), "utf8");
  } catch {
    return "";
  }
}

const operation = (request: IncomingMessage) =>
  String(request.headers["x-amz-target"] ?? request.url?.split("?")[0]).replace("SageMaker.", "");

/** Runs a sample as a script with only these variables. */
function script(name: string, environment: Record<string, string> = {}) {
  return space.run(join(marimo, "python"), [join(space.home, "marimo-notebooks", name)], {
    PATH: "/usr/bin:/bin",
    HOME: space.home,
    AWS_EC2_METADATA_DISABLED: "true",
    ...environment,
  });
}
const withAws = () => ({
  AWS_ENDPOINT_URL: `http://127.0.0.1:${(aws.address() as AddressInfo).port}`,
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: "test",
  AWS_DEFAULT_REGION: "us-east-1",
});

/** The page of a notebook with this text, beside the samples and their data, after all cells have run. */
async function opened(text: string): Promise<string> {
  const copy = join(space.home, "marimo-notebooks", "opened.py");
  const page = join(space.folder, "opened.html");
  space.write(copy, text);
  const args = ["export", "html", copy, "--output", page, "--force", "--no-sandbox"];
  const { status, stderr } = await space.run(join(marimo, "marimo"), args, {
    ...space.environment,
    ...withAws(),
  });
  expect(status, stderr).toBe(0);
  return readFileSync(page, "utf8");
}

describe("every sample notebook", () => {
  it.each(notebooks)("%s passes marimo's own check", async (name) => {
    const { status, stdout, stderr } = await space.run(join(marimo, "marimo"), [
      "check",
      "--strict",
      join(samples, name),
    ]);
    expect(status, stdout + stderr).toBe(0);
  });

  it("fails this check when a variable has two definitions", async () => {
    const twice = readFileSync(join(samples, "03_from_jupyter.py"), "utf8").replace(
      "@app.cell\ndef _(mo):\n",
      "@app.cell\ndef _(mo):\n    df = 1\n",
    );
    space.write(join(space.folder, "twice.py"), twice);
    const args = ["check", "--strict", join(space.folder, "twice.py")];
    expect((await space.run(join(marimo, "marimo"), args)).status).not.toBe(0);
  });

  it.each(notebooks)("%s runs as a script without AWS", async (name) => {
    const { status, stderr } = await script(name);
    expect(status, stderr).toBe(0);
  });

  it.each(notebooks)("%s says on opening what to do, and no cell waits for a stopped one", async (name) => {
    answers = { ListTrainingJobs: { status: 200, body: { TrainingJobSummaries: [] } } };
    const text = readFileSync(join(samples, name), "utf8");
    const page = await opened(text);
    expect(page).toContain("Cells not run yet?");
    expect(page).not.toContain("ancestor-stopped");
    // Control: marimo's error of a cell that reads a variable of a stopped one.
    const stopped = text.replace("    import marimo as mo\n", "    import marimo as mo\n    mo.stop(True)\n");
    expect(await opened(stopped)).toContain("ancestor-stopped");
  });

  it("use marimo's own words for running all cells", () => {
    const lib = join(marimo, "../lib");
    const assets = join(lib, readdirSync(lib)[0] ?? "", "site-packages/marimo/_static/assets");
    const scripts = readdirSync(assets).filter((name) => name.endsWith(".js"));
    const shortcut = /"global\.runStale":\{name:`([^`]+)`,group:`[^`]+`,key:`([^`]+)`/;
    const found = scripts
      .map((name) => shortcut.exec(readFileSync(join(assets, name), "utf8")))
      .find(Boolean);
    expect(found?.slice(1)).toEqual(["Run all stale cells", "Mod-Shift-r"]);
    for (const name of notebooks) {
      const text = readFileSync(join(samples, name), "utf8");
      expect(text).toContain("**Run all stale cells** (▷, lower right), or press Ctrl+Shift+R");
    }
  });

  it.each(notebooks)("%s pins its dependencies to the image's versions", (name) => {
    const header = /# \/\/\/ script\n([\s\S]*?)# \/\/\/\n/.exec(readFileSync(join(samples, name), "utf8"));
    const pins = [...(header?.[1] ?? "").matchAll(/"([a-z0-9]+)==([0-9.]+)"/g)].map(([, one, version]) => [
      one,
      version,
    ]);
    expect(pins.length).toBeGreaterThan(1);
    const image = ["", "full/"].flatMap((folder) =>
      readFileSync(join(projectFolder, `src/local-studio/image/${folder}requirements.in`), "utf8").split(
        /(?: ;.*)?\n/,
      ),
    );
    for (const [one, version] of pins) {
      if (one === "marimo") expect(version).toBe(marimoDefaults.marimoVersion);
      else expect(image).toContain(`${one}==${version}`);
    }
  });
});

describe("01_explore_data.py", () => {
  it("shows the bundled sample without a bucket", async () => {
    expect((await script("01_explore_data.py")).stdout).toBe(
      "Data: the sample `prices.csv`, until your part of the team's bucket has `data/prices.csv`\nShowing 120 of 240 items\n",
    );
  });

  it("shows the data of the bucket, if any", async () => {
    const csv = "item,price\na,1\nb,5\nc,9\n";
    answers = { "/some-bucket/people/ana/data/prices.csv": { status: 200, body: csv } };
    const result = await script("01_explore_data.py", {
      ...withAws(),
      MARIMO_PREFIX: "s3://some-bucket/people/ana",
    });
    expect(result.stdout).toBe("Data: `s3://some-bucket/people/ana/data/prices.csv`\nShowing 2 of 3 items\n");
    expect(result.status, result.stderr).toBe(0);
  });

  it.each(["NoSuchKey", "AccessDenied"] as const)("falls back to the sample on S3's %s", async (code) => {
    const body = `<Error><Code>${code}</Code><Message>no</Message></Error>`;
    answers = {
      "/some-bucket/people/ana/data/prices.csv": { status: code === "NoSuchKey" ? 404 : 403, body },
    };
    const result = await script("01_explore_data.py", {
      ...withAws(),
      MARIMO_PREFIX: "s3://some-bucket/people/ana",
    });
    const reason = "until you upload `s3://some-bucket/people/ana/data/prices.csv`";
    expect(result.stdout, result.stderr).toBe(
      `Data: the sample \`prices.csv\`, ${reason}\nShowing 120 of 240 items\n`,
    );
    expect(result.status).toBe(0);
  });

  it("falls back to the sample if the bucket's file is not usable, and says what is wrong with it", async () => {
    answers = { "/some-bucket/people/ana/data/prices.csv": { status: 200, body: "item;price\na;1\n" } };
    const result = await script("01_explore_data.py", {
      ...withAws(),
      MARIMO_PREFIX: "s3://some-bucket/people/ana",
    });
    expect(result.stdout, result.stderr).toContain(
      "Data: the sample `prices.csv`, because `s3://some-bucket/people/ana/data/prices.csv` has `;` between its columns",
    );
    expect(result.stdout).toContain("Showing 120 of 240 items\n");
    expect(result.status).toBe(0);
  });

  it.each([
    ["item,price\na,$5\n", "has prices that are not numbers, such as `$5`."],
    ["item,price\na,\n", "has no row with a price."],
    ["", "is empty."],
  ])("says what is wrong with the file beside it, %j, and no cell fails", async (csv, problem) => {
    const file = join(space.home, "marimo-notebooks/prices.csv");
    const sample = readFileSync(file, "utf8");
    space.write(file, csv);
    const result = await script("01_explore_data.py");
    const page = await opened(readFileSync(join(samples, "01_explore_data.py"), "utf8"));
    space.write(file, sample);
    expect(result.stdout).toContain(`prices.csv\` ${problem}\nShowing 0 of 0 items\n`);
    expect(result.status, result.stderr).toBe(0);
    expect(page).not.toContain("ancestor-stopped");
    expect(page).not.toMatch(/"type": ?"error"/);
  });
});

describe("02_training_jobs.py", () => {
  const run = async (environment: Record<string, string> = withAws()) => {
    const { status, stdout, stderr } = await script("02_training_jobs.py", environment);
    expect(status, stderr).toBe(0);
    return stdout.trim();
  };
  const denied = (message: string) => ({
    status: 400,
    body: { __type: "AccessDeniedException", Message: message },
  });
  const jobs = { status: 200, body: { TrainingJobSummaries: [{ TrainingJobName: "job-1" }] } };

  it("reports a missing Region, missing credentials and a missing connection to SageMaker", async () => {
    expect(await run({})).toContain("No AWS region is set");
    expect(await run({ AWS_DEFAULT_REGION: "us-east-1" })).toContain("No AWS credentials were found");
    const nowhere = { ...withAws(), AWS_ENDPOINT_URL: "http://127.0.0.1:9" };
    expect(await run(nowhere)).toContain("SageMaker cannot be reached");
  });

  it("reports the missing permission of the role", async () => {
    answers = { ListTrainingJobs: denied("not authorized") };
    expect(await run()).toBe("The execution role lacks the permission `sagemaker:ListTrainingJobs`.");
  });

  it("reports that there are no jobs", async () => {
    answers = { ListTrainingJobs: { status: 200, body: { TrainingJobSummaries: [] } } };
    expect(await run()).toBe("There are no training jobs in this account and region yet.");
  });

  it("shows a job without hyperparameters, metrics and training time", async () => {
    const job = { TrainingJobName: "job-1", TrainingJobStatus: "InProgress", ResourceConfig: {} };
    answers = { ListTrainingJobs: jobs, DescribeTrainingJob: { status: 200, body: job } };
    expect(await run()).toBe("job-1: InProgress");
  });

  it("shows a job with all of them", async () => {
    const job = {
      TrainingJobName: "job-1",
      TrainingJobStatus: "Failed",
      FailureReason: "AlgorithmError",
      ResourceConfig: { InstanceType: "ml.m5.large", InstanceCount: 2 },
      TrainingTimeInSeconds: 12,
      HyperParameters: { epochs: "5" },
      FinalMetricDataList: [{ MetricName: "loss", Value: 0.5, Timestamp: 1700000000 }],
    };
    answers = { ListTrainingJobs: jobs, DescribeTrainingJob: { status: 200, body: job } };
    expect(await run()).toBe("job-1: Failed");
  });

  it("reports the missing permission to describe a job", async () => {
    answers = { ListTrainingJobs: jobs, DescribeTrainingJob: denied("not authorized") };
    expect(await run()).toContain("lacks the permission `sagemaker:DescribeTrainingJob`");
  });
});

describe("07_endpoint.py", () => {
  const own = () => ({
    ...withAws(),
    MARIMO_NAME_PREFIX: "marimo-dev-ana",
    MARIMO_PREFIX: "s3://a/people/ana",
  });
  const run = async (environment: Record<string, string>) => {
    const { status, stdout, stderr } = await script("07_endpoint.py", environment);
    expect(status, stderr).toBe(0);
    return stdout.trim();
  };
  const here = /^Chair with a stock of 10: \d+\.\d\d, by the model in this notebook$/;

  it("runs the model in the notebook without AWS, and without an endpoint", async () => {
    expect(await run({})).toMatch(here);
    answers = {
      DescribeEndpoint: {
        status: 400,
        body: { __type: "ValidationException", message: 'Could not find endpoint "arn"' },
      },
    };
    expect(await run(own())).toMatch(here);
  });

  it("asks an endpoint that is in service, and the notebook's model where the endpoint fails", async () => {
    const described = { EndpointName: "marimo-dev-ana-what-if", EndpointStatus: "InService" };
    const path = "/endpoints/marimo-dev-ana-what-if/invocations";
    answers = {
      DescribeEndpoint: { status: 200, body: described },
      [path]: { status: 200, body: { price: 1.5 } },
    };
    expect(await run(own())).toBe("Chair with a stock of 10: 1.50, by the endpoint");
    answers[path] = { status: 424, body: { __type: "ModelError", Message: "no" } };
    expect(await run(own())).toMatch(here);
  });
});

describe("03_from_jupyter", () => {
  it("is the refined output of `marimo convert` for the Jupyter notebook", async () => {
    const { status, stdout } = await space.run(join(marimo, "marimo"), [
      "convert",
      join(samples, "03_from_jupyter.ipynb"),
    ]);
    expect(status).toBe(0);
    const refined = readFileSync(join(samples, "03_from_jupyter.py"), "utf8");
    expect(refined).toContain("`marimo convert 03_from_jupyter.ipynb -o 03_from_jupyter.py`");
    for (const both of ["# Stock value by category", "import plotly.express as px", 'groupby("category"']) {
      expect(stdout).toContain(both);
      expect(refined).toContain(both);
    }
  });
});

// `__tests__/local-aws/query-sample.test.ts` runs it with the image's packages.
describe("05_query.py", () => {
  it("says what an image lacks, and queries the sample without it", async () => {
    const { status, stdout, stderr } = await script("05_query.py", withAws());
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/^This image has no duckdb, .*Choose SageMaker Distribution 4\.2 or later/);
    expect(stdout).toContain("6 categories\nYou have no access to Athena. Ask your platform engineer for");
  });
});
