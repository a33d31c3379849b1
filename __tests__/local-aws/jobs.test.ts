import { existsSync, readdirSync } from "node:fs";
import {
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import {
  AddTagsCommand,
  CreateProcessingJobCommand,
  ListProcessingJobsCommand,
  ListTagsCommand,
  paginateListProcessingJobs,
  StopProcessingJobCommand,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bucket, type JobRequest, Jobs, role } from "../support/jobs-fixture.ts";

let jobs: Jobs;
beforeAll(async () => {
  jobs = await Jobs.start({ parallelJobs: 2 }, { jobGraceSeconds: 1 });
});
afterAll(() => jobs?.stop());

const send = (request: JobRequest) => jobs.sagemaker.send(new CreateProcessingJobCommand(request));
/** The path of /opt/ml in a job's script. */
const ml = `\${0%/processing/input/*}`;
const stop = (ProcessingJobName: string) =>
  jobs.sagemaker.send(new StopProcessingJobCommand({ ProcessingJobName }));
const hasStarted = (name: string) => jobs.until(name, (job) => job.ProcessingStartTime !== undefined);
const hasLogged = async (name: string, line: string) => {
  await expect.poll(() => jobs.log(name)).toContain(line);
};

describe("a processing job", () => {
  it("runs its entrypoint in the container's folders and uploads the outputs", async () => {
    const script = `
      echo "arguments: $1|$2|$3"
      echo "environment: $GREETING $HOME" >&2
      cd /; root=\${1%/processing/input/source/data}
      cat "$root/processing/input/source/data/a b.txt"
      cat "$root/config/processingjobconfig.json" "$root/config/resourceconfig.json"
      stat -c %a "$root/processing/output"
      sudo -n chmod -R a+rwX "$root/processing/output"
      mkdir "$root/processing/output/files"
      echo 1 > "$root/processing/output/page.html"; echo 2 > "$root/processing/output/files/two.csv"
      ln -s page.html "$root/processing/output/link.html"
      printf 'all is well' > "$root/output/message"`;
    const request = await jobs.request(script, {
      Environment: { GREETING: "hello" },
      Tags: [{ Key: "Project", Value: "marimo" }],
    });
    await jobs.put(`sources/${request.ProcessingJobName}/data/a b.txt`, "the data\n");
    const { ProcessingJobArn } = await send({
      ...request,
      AppSpecification: {
        ImageUri: "image",
        ...request.AppSpecification,
        ContainerArguments: ["/opt/ml/processing/input/source/data", "two words", "--at=/opt/ml"],
      },
    });
    const job = await jobs.end(request.ProcessingJobName);

    expect(job).toMatchObject({
      ProcessingJobStatus: "Completed",
      ExitMessage: "all is well",
      ProcessingJobArn,
    });
    expect(job.FailureReason).toBeUndefined();
    expect(job.CreationTime?.getTime()).toBeLessThanOrEqual(job.ProcessingStartTime?.getTime() ?? 0);
    expect(job.ProcessingStartTime?.getTime()).toBeLessThan(job.ProcessingEndTime?.getTime() ?? 0);
    const log = await jobs.log(request.ProcessingJobName);
    expect(log.slice(0, 3)).toEqual([
      expect.stringMatching(
        /^arguments: .+\/opt\/ml\/processing\/input\/source\/data\|two words\|--at=\/opt\/ml$/,
      ),
      expect.stringMatching(/^environment: hello .+\/home\/sagemaker-user$/),
      "the data",
    ]);
    const [configuration, resources] = (log[3] ?? "").split(/(?<=\})(?=\{"current_host)/);
    expect(JSON.parse(configuration ?? "")).toMatchObject({
      ProcessingJobArn,
      RoleArn: role,
      Environment: { GREETING: "hello" },
    });
    expect(JSON.parse((resources ?? "").replace(/\d+$/, ""))).toMatchObject({ hosts: ["algo-1"] });
    expect(log.join("\n")).toMatch(/555$/);
    const results = `results/${request.ProcessingJobName}`;
    expect(await jobs.get(`${results}/page.html`)).toBe("1\n");
    expect(await jobs.get(`${results}/files/two.csv`)).toBe("2\n");
    expect(await jobs.get(`${results}/link.html`)).toBeUndefined();
    const { Tags } = await jobs.sagemaker.send(new ListTagsCommand({ ResourceArn: ProcessingJobArn }));
    expect(Tags).toEqual([{ Key: "Project", Value: "marimo" }]);
  });

  it("fails with the exit status and uploads nothing", async () => {
    const script = `root=${ml}; sudo chmod a+rwX $root/processing/output; echo 1 > $root/processing/output/page.html; exit`;
    const failed = await jobs.run(`${script} 3`);
    expect(failed).toMatchObject({
      ProcessingJobStatus: "Failed",
      FailureReason: "AlgorithmError: , exit code: 3",
    });
    expect(await jobs.get(`results/${failed.ProcessingJobName}/page.html`)).toBeUndefined();
    const completed = await jobs.run(`${script} 0`);
    expect(await jobs.get(`results/${completed.ProcessingJobName}/page.html`)).toBe("1\n");
  });

  it("fails for a missing command, missing inputs and an invalid exit message", async () => {
    const request = await jobs.request("true");
    await send({
      ...request,
      AppSpecification: { ImageUri: "image", ContainerEntrypoint: ["/opt/ml/processing/no-such-program"] },
    });
    const [source] = request.ProcessingInputs ?? [];
    const empty = await jobs.request("true");
    await send({
      ...empty,
      ProcessingInputs: [
        {
          ...source,
          InputName: "source",
          S3Input: { ...source?.S3Input, S3DataType: "S3Prefix", S3Uri: `s3://${bucket}/nothing/` },
        },
      ],
    });
    const message = await jobs.create(`printf '\\377' > ${ml}/output/message`);
    const long = await jobs.create(`printf 'ä%.0s' $(seq 600) > ${ml}/output/message`);
    const reason = async (name: string) => (await jobs.end(name)).FailureReason;
    expect(await reason(request.ProcessingJobName)).toMatch(/^ClientError: .*no-such-program/);
    expect(await reason(empty.ProcessingJobName)).toMatch(
      /^ClientError: Failed to download data\. .*nothing/,
    );
    expect(await reason(message)).toMatch(/^ClientError: .*UTF-8/);
    expect(await jobs.end(long)).toMatchObject({
      ProcessingJobStatus: "Completed",
      ExitMessage: "ä".repeat(512),
    });
  });

  it("stops with SIGTERM, and with SIGKILL after the grace period", async () => {
    const graceful = await jobs.create(
      "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.1; done",
    );
    const stubborn = await jobs.create("trap '' TERM; echo ready; sleep 300 & while :; do sleep 0.1; done");
    await hasLogged(graceful, "ready");
    await hasLogged(stubborn, "ready");
    await stop(graceful);
    await stop(stubborn);
    expect((await jobs.describe(stubborn)).ProcessingJobStatus).toBe("Stopping");
    await expect(stop(stubborn)).rejects.toThrow("is in status Stopping");
    expect((await jobs.end(graceful)).ProcessingJobStatus).toBe("Stopped");
    expect(await jobs.log(graceful)).toEqual(["ready", "asked"]);
    expect((await jobs.end(stubborn)).ProcessingJobStatus).toBe("Stopped");
    await expect(stop(stubborn)).rejects.toThrow("is in status Stopped");
    await expect(stop("no-such-job")).rejects.toThrow("Could not find");
  });

  it("stops at its time limit and not before", async () => {
    const limit = { StoppingCondition: { MaxRuntimeInSeconds: 1 } };
    const late = await jobs.create("trap 'echo late; exit 0' TERM; while :; do sleep 0.1; done", limit);
    const early = await jobs.create("sleep 0.2", limit);
    const job = await jobs.end(late);
    expect(job.ProcessingJobStatus).toBe("Stopped");
    const ran = (job.ProcessingEndTime?.getTime() ?? 0) - (job.ProcessingStartTime?.getTime() ?? 0);
    expect(ran).toBeGreaterThanOrEqual(1000);
    expect(await jobs.log(late)).toEqual(["late"]);
    expect((await jobs.end(early)).ProcessingJobStatus).toBe("Completed");
  });

  it("fails with InternalServerError after an interruption, which kills its command without SIGTERM", async () => {
    const name = await jobs.create("trap 'echo asked' TERM; echo $$; exec sleep 300");
    await expect.poll(() => jobs.log(name)).toHaveLength(1);
    const [pid] = await jobs.log(name);
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    await jobs.localAws.interruptProcessingJob(name);
    expect(await jobs.end(name)).toMatchObject({
      ProcessingJobStatus: "Failed",
      FailureReason: expect.stringMatching(/^InternalServerError: /),
    });
    await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
    await expect(jobs.localAws.interruptProcessingJob(name)).rejects.toThrow("is in status Failed");
    await expect(jobs.localAws.interruptProcessingJob("no-such-job")).rejects.toThrow("Could not find");
  });

  it("leaves no process and no folder behind", async () => {
    const name = await jobs.create("(trap '' TERM; setsid sleep 300) > /dev/null 2>&1 & echo $!");
    await jobs.end(name);
    const [pid] = await jobs.log(name);
    expect(Number(pid)).toBeGreaterThan(0);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    await expect.poll(() => readdirSync(jobs.folders)).not.toContain(name);
  });

  it("waits while the maximum number of jobs is running, and can be stopped meanwhile", async () => {
    const others = [await jobs.create("sleep 300"), await jobs.create("sleep 300")];
    for (const name of others) await hasStarted(name);
    const waiting = await jobs.create("exit 0");
    const stopped = await jobs.create("exit 0");
    await stop(stopped);
    expect((await jobs.end(stopped)).ProcessingJobStatus).toBe("Stopped");
    expect((await jobs.describe(stopped)).ProcessingStartTime).toBeUndefined();
    expect((await jobs.describe(waiting)).ProcessingJobStatus).toBe("InProgress");
    expect((await jobs.describe(waiting)).ProcessingStartTime).toBeUndefined();
    for (const name of others) await stop(name);
    expect((await jobs.end(waiting)).ProcessingJobStatus).toBe("Completed");
  });
});

describe("CreateProcessingJob rejects", () => {
  it("a name that already exists", async () => {
    const name = await jobs.create("exit 0");
    await expect(send({ ...(await jobs.request("true")), ProcessingJobName: name })).rejects.toMatchObject({
      name: "ResourceInUse",
      message: expect.stringContaining(`processing-job/${name}`),
    });
  });

  const vpc = (Subnets: string[], SecurityGroupIds: string[]) => ({
    NetworkConfig: { VpcConfig: { Subnets, SecurityGroupIds } },
  });
  const cluster = { InstanceCount: 1, InstanceType: "ml.m5.large", VolumeSizeInGB: 1 } as const;
  it.each([
    ["a role that does not exist", { RoleArn: `${role}-of-nobody` }, "Could not assume role"],
    ["a subnet that does not exist", vpc(["subnet-1"], ["sg-1"]), "subnet ID 'subnet-1' does not exist"],
    [
      "an unknown instance type",
      { ProcessingResources: { ClusterConfig: { ...cluster, InstanceType: "ml.none" } } },
      "enum value set",
    ],
    [
      "101 instances",
      { ProcessingResources: { ClusterConfig: { ...cluster, InstanceCount: 101 } } },
      "less than or equal to 100",
    ],
    [
      "a key that does not exist",
      { ProcessingResources: { ClusterConfig: { ...cluster, VolumeKmsKeyId: "none" } } },
      "KMS key 'none'",
    ],
    [
      "a key for a volume where there is local storage",
      {
        ProcessingResources: {
          ClusterConfig: { ...cluster, InstanceType: "ml.g5.xlarge", VolumeKmsKeyId: "none" },
        },
      },
      "VolumeKmsKeyId cannot be requested for ml.g5.xlarge",
    ],
    ["a time limit of 0", { StoppingCondition: { MaxRuntimeInSeconds: 0 } }, "greater than or equal to 1"],
    [
      "a long argument",
      { AppSpecification: { ImageUri: "image", ContainerArguments: ["a".repeat(257)] } },
      "less than or equal to 256",
    ],
  ] as const)("%s", async (_, changes, message) => {
    const request = await jobs.request("exit 0", changes as object);
    await expect(send(request)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining(message),
    });
  });

  it("a bucket that does not exist, and a path outside /opt/ml/processing", async () => {
    const request = await jobs.request("exit 0");
    const output = (S3Uri: string, LocalPath: string) => ({
      ...request,
      ProcessingOutputConfig: {
        Outputs: [
          { OutputName: "result", S3Output: { S3Uri, LocalPath, S3UploadMode: "EndOfJob" as const } },
        ],
      },
    });
    await expect(send(output("s3://nobodys/x", "/opt/ml/processing/output"))).rejects.toThrow(
      "'nobodys' of result does not exist",
    );
    await expect(send(output(`s3://${bucket}/x`, "/opt/ml/output"))).rejects.toThrow(
      "must begin with /opt/ml/processing/",
    );
    await send(request);
  });

  it("a subnet and a security group of different VPCs", async () => {
    const ec2 = new EC2Client(jobs.localAws.clientSettings());
    const network = async (CidrBlock: string) => {
      const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock }));
      const { Subnet } = await ec2.send(new CreateSubnetCommand({ VpcId: Vpc?.VpcId, CidrBlock }));
      const { GroupId } = await ec2.send(
        new CreateSecurityGroupCommand({ VpcId: Vpc?.VpcId, GroupName: "g", Description: "g" }),
      );
      return { subnet: Subnet?.SubnetId ?? "", group: GroupId ?? "" };
    };
    const [one, two] = [await network("10.8.0.0/24"), await network("10.9.0.0/24")];
    expect((await jobs.run("exit 0", vpc([one.subnet], [one.group]))).ProcessingJobStatus).toBe("Completed");
    await expect(jobs.create("exit 0", vpc([one.subnet], [two.group]))).rejects.toThrow(
      "must be in the same VPC",
    );
    await expect(jobs.create("exit 0", vpc([one.subnet], ["sg-1"]))).rejects.toThrow(
      "security group 'sg-1' does not exist",
    );
  });
});

describe("processing jobs", () => {
  it("can be listed by name, status and time, in sorted pages", async () => {
    const start = new Date();
    const failed = (await jobs.run("exit 1")).ProcessingJobName;
    const done = (await jobs.run("exit 0")).ProcessingJobName;
    const list = async (filter: object) => {
      const { ProcessingJobSummaries } = await jobs.sagemaker.send(new ListProcessingJobsCommand(filter));
      return ProcessingJobSummaries?.map(({ ProcessingJobName }) => ProcessingJobName);
    };
    const since = { CreationTimeAfter: new Date(start.getTime() - 1000), SortOrder: "Descending" };
    expect((await list(since))?.slice(0, 2)).toEqual([done, failed]);
    expect(await list({ StatusEquals: "Failed", NameContains: failed })).toEqual([failed]);
    expect(await list({ StatusEquals: "Failed", NameContains: done })).toEqual([]);
    expect(await list({ CreationTimeBefore: new Date(0) })).toEqual([]);
    const names: unknown[] = [];
    const pages = paginateListProcessingJobs({ client: jobs.sagemaker, pageSize: 3 }, { SortBy: "Name" });
    for await (const page of pages)
      names.push(...(page.ProcessingJobSummaries ?? []).map((job) => job.ProcessingJobName));
    expect(names.length).toBeGreaterThan(6);
    expect(names).toEqual([...names].sort());
    expect(new Set(names).size).toBe(names.length);
  });

  it("can have tags", async () => {
    const { ProcessingJobArn: ResourceArn } = await jobs.run("exit 0");
    const Tags = [{ Key: "a", Value: "1" }];
    await jobs.sagemaker.send(new AddTagsCommand({ ResourceArn, Tags }));
    expect((await jobs.sagemaker.send(new ListTagsCommand({ ResourceArn }))).Tags).toEqual(Tags);
    const nobodys = new ListTagsCommand({ ResourceArn: `${ResourceArn}-none` });
    await expect(jobs.sagemaker.send(nobodys)).rejects.toThrow("does not exist");
  });

  it("fail when the app host ends", async () => {
    const own = await Jobs.start();
    const name = await own.create("echo $$; exec sleep 300");
    await expect.poll(() => own.log(name)).toHaveLength(1);
    const [pid] = await own.log(name);
    await own.appHost.close();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect((await own.end(name)).ProcessingJobStatus).toBe("Failed");
    await own.stop();
  });

  it("complete without an app host", async () => {
    const own = await Jobs.start({}, {}, false);
    expect((await own.run("exit 1")).ProcessingJobStatus).toBe("Completed");
    await own.stop();
  });
});
