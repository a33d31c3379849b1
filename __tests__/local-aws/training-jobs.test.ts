import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import { AddTagsCommand, ListTagsCommand, ListTrainingJobsCommand } from "@aws-sdk/client-sagemaker";
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bucket, role } from "../support/jobs-fixture.ts";
import { statuses, TrainingJobs } from "../support/training-fixture.ts";

let training: TrainingJobs;
beforeAll(async () => {
  training = await TrainingJobs.start();
});
afterAll(() => training?.close());

describe("a training job", () => {
  it("gets its channels, configuration and environment, and leaves its model, output, log and metrics", async () => {
    const script = `
      [ "$FILES" = "$ml/model/x" ] && echo "$TRAINING_JOB_NAME $TRAINING_JOB_ARN $GREETING $1"
      cd "$ml/input/config"; cat hyperparameters.json; echo; cat inputdataconfig.json; echo; cat resourceconfig.json; echo
      cat "$ml/input/data/code/data/a.txt"
      sudo -n chmod -R a+rwX "$ml/model" "$ml/output/data"
      mkdir "$ml/model/part"; echo weights > "$ml/model/part/w.txt"; echo page > "$ml/output/data/page.html"
      echo loss=3.5; echo loss=1.25; echo loss=.x`;
    const one = await training.request(script, {
      HyperParameters: { epochs: "5" },
      Environment: { GREETING: "hello", FILES: "/opt/ml/model/x" },
      Tags: [{ Key: "Project", Value: "marimo" }],
    });
    one.AlgorithmSpecification = {
      ...one.AlgorithmSpecification,
      ContainerArguments: ["/opt/ml/model"],
    } as never;
    const name = one.TrainingJobName;
    await training.jobs.put(`sources/${name}/data/a.txt`, "the data\n");
    const { TrainingJobArn } = await training.send(one);
    expect(TrainingJobArn).toMatch(new RegExp(`:training-job/${name.toLowerCase()}$`));
    const job = await training.end(name);

    expect(job).toMatchObject({
      ...{ TrainingJobStatus: "Completed", SecondaryStatus: "Completed", RoleArn: role },
      HyperParameters: { epochs: "5" },
      Environment: { GREETING: "hello", FILES: "/opt/ml/model/x" },
      ModelArtifacts: { S3ModelArtifacts: `s3://${bucket}/models/${name}/output/model.tar.gz` },
      FinalMetricDataList: [{ MetricName: "loss", Value: 1.25, Timestamp: expect.any(Date) }],
    });
    expect(statuses(job)).toEqual(["Starting", "Downloading", "Training", "Uploading", "Completed"]);
    expect(job.SecondaryStatusTransitions?.every(({ EndTime }) => EndTime !== undefined)).toBe(true);
    expect(job.TrainingTimeInSeconds).toBeGreaterThanOrEqual(1);
    expect(job.CreationTime?.getTime()).toBeLessThanOrEqual(job.TrainingStartTime?.getTime() ?? 0);
    expect(job.TrainingStartTime?.getTime()).toBeLessThan(job.TrainingEndTime?.getTime() ?? 0);
    const [first, hyperparameters = "", channels = "", resources = "", data] = await training.log(name);
    expect(first).toMatch(new RegExp(`^${name} ${TrainingJobArn} hello /.+/opt/ml/model$`));
    expect(JSON.parse(hyperparameters)).toEqual({ epochs: "5" });
    expect(JSON.parse(channels)).toEqual({
      code: {
        TrainingInputMode: "File",
        S3DistributionType: "FullyReplicated",
        RecordWrapperType: "None",
      },
    });
    expect(JSON.parse(resources)).toMatchObject({
      ...{ current_host: "algo-1", hosts: ["algo-1"], current_instance_type: "ml.m5.large" },
    });
    expect(data).toBe("the data");
    expect(await training.unpacked(`models/${name}/output/model.tar.gz`, "part/w.txt")).toBe("weights\n");
    expect(await training.unpacked(`models/${name}/output/output.tar.gz`, "page.html")).toBe("page\n");

    const tags = { ResourceArn: TrainingJobArn };
    await training.jobs.sagemaker.send(new AddTagsCommand({ ...tags, Tags: [{ Key: "A", Value: "b" }] }));
    const { Tags } = await training.jobs.sagemaker.send(new ListTagsCommand(tags));
    expect(Tags).toEqual([
      { Key: "Project", Value: "marimo" },
      { Key: "A", Value: "b" },
    ]);
    await expect(
      training.jobs.sagemaker.send(new ListTagsCommand({ ResourceArn: `${TrainingJobArn}-2` })),
    ).rejects.toThrow("does not exist");
  });

  it("can write to the folders of /opt/ml only after sudo, as they belong to root", async () => {
    const script = `
      cd $ml; stat -c '%n %a' input/data/code/run.sh input/config/resourceconfig.json model output/data checkpoints
      sudo -n chown -R 1000:100 $ml/model $ml/checkpoints; stat -c '%n %a' model checkpoints output`;
    const name = await training.create(script, { CheckpointConfig: { S3Uri: `s3://${bucket}/none` } });
    await training.end(name);
    expect(await training.log(name)).toEqual([
      ...["input/data/code/run.sh 444", "input/config/resourceconfig.json 444"],
      ...["model 555", "output/data 555", "checkpoints 555"],
      ...["model 755", "checkpoints 755", "output 555"],
    ]);
  });

  it("fails with what it wrote to /opt/ml/output/failure, and without an archive of no files", async () => {
    const failed = await training.run(
      "sudo -n chmod -R a+rwX $ml/output; echo out of memory > $ml/output/failure; exit 3",
    );
    expect(failed).toMatchObject({
      TrainingJobStatus: "Failed",
      FailureReason: "AlgorithmError: out of memory\n, exit code: 3",
    });
    expect(statuses(failed)?.at(-1)).toBe("Failed");
    expect(await training.jobs.get(`models/${failed.TrainingJobName}/output/model.tar.gz`)).toBeUndefined();
    expect((await training.run("exit 3")).FailureReason).toBe("AlgorithmError: , exit code: 3");
    const algorithm = { TrainingImage: "image", TrainingInputMode: "File" as const };
    expect((await training.run("", { AlgorithmSpecification: algorithm })).FailureReason).toMatch(
      /^ClientError: .*train/,
    );
  });

  it("uploads files as they are with CompressionType NONE, and keeps checkpoints while it runs", async () => {
    const place = { S3Uri: `s3://${bucket}/checkpoints` };
    const script = `
      sudo -n chmod -R a+rwX $ml/checkpoints $ml/model
      ls -A $ml/checkpoints; echo 1 > $ml/checkpoints/one; echo weights > $ml/model/w.txt
      until [ -f $ml/checkpoints/two ]; do sleep 0.1; done`;
    const changes = {
      OutputDataConfig: { S3OutputPath: `s3://${bucket}/models`, CompressionType: "NONE" as const },
      CheckpointConfig: place,
    };
    const name = await training.create(script, changes);
    await expect.poll(() => training.jobs.get("checkpoints/one")).toBe("1\n");
    expect(await training.log(name)).toEqual([]);
    await training.stop(name);
    expect((await training.end(name)).TrainingJobStatus).toBe("Stopped");
    expect(await training.jobs.get(`models/${name}/output/model/w.txt`)).toBe("weights\n");
    await training.jobs.put("checkpoints/two", "2");
    const again = await training.run(script, changes);
    expect(again.TrainingJobStatus).toBe("Completed");
    expect(await training.log(again.TrainingJobName ?? "")).toEqual(["one", "two"]);
  });

  it("shows its metrics while it runs, and keeps the model of its grace period when it is stopped", async () => {
    const name = await training.create(
      "sudo -n chmod a+rwX $ml/model; trap 'echo last > $ml/model/w.txt; exit 0' TERM; echo loss=2; while :; do sleep 0.1; done",
    );
    await expect
      .poll(async () => (await training.look(name)).FinalMetricDataList)
      .toMatchObject([{ Value: 2 }]);
    expect(await training.look(name)).toMatchObject({
      TrainingJobStatus: "InProgress",
      SecondaryStatus: "Training",
    });
    await training.stop(name);
    await expect(training.stop(name)).rejects.toThrow("the training job is in status Stopping");
    const job = await training.end(name);
    expect(statuses(job)).toEqual(["Starting", "Downloading", "Training", "Stopping", "Stopped"]);
    expect(await training.unpacked(`models/${name}/output/model.tar.gz`, "w.txt")).toBe("last\n");
    await expect(training.stop("no-such-job")).rejects.toThrow("Could not find");
  });

  it("stops at its time limit", async () => {
    const limit = { StoppingCondition: { MaxRuntimeInSeconds: 1 } };
    const late = await training.run("trap 'exit 0' TERM; while :; do sleep 0.1; done", limit);
    expect(late.TrainingJobStatus).toBe("Stopped");
    expect(statuses(late)?.slice(-3)).toEqual(["Training", "Stopping", "MaxRuntimeExceeded"]);
    expect((await training.run("sleep 0.2", limit)).TrainingJobStatus).toBe("Completed");
  });

  it("sends an event for each change", async () => {
    const settings = training.jobs.localAws.clientSettings();
    const sqs = new SQSClient(settings);
    const events = new EventBridgeClient(settings);
    const Arn = "arn:aws:sqs:us-east-1:123456789012:events";
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: {
        ...{ Effect: "Allow", Action: "sqs:SendMessage", Resource: Arn },
        Principal: { Service: "events.amazonaws.com" },
      },
    });
    const { QueueUrl } = await sqs.send(
      new CreateQueueCommand({ QueueName: "events", Attributes: { Policy } }),
    );
    const EventPattern = JSON.stringify({ "detail-type": ["SageMaker Training Job State Change"] });
    await events.send(new PutRuleCommand({ Name: "jobs", EventPattern }));
    await events.send(new PutTargetsCommand({ Rule: "jobs", Targets: [{ Id: "queue", Arn }] }));
    const { TrainingJobName } = await training.run("true");
    const seen: { SecondaryStatus: string; TrainingJobName: string; CreationTime: number }[] = [];
    for (let more = true; more; ) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 600 }),
      );
      seen.push(...Messages.map(({ Body }) => JSON.parse(Body ?? "").detail));
      more = Messages.length > 0;
    }
    expect(seen.map(({ SecondaryStatus }) => SecondaryStatus).sort()).toEqual(
      ["Starting", "Downloading", "Training", "Uploading", "Completed"].sort(),
    );
    expect(seen[0]).toMatchObject({ TrainingJobName, CreationTime: expect.any(Number) });
  });
});

describe("CreateTrainingJob rejects", () => {
  const s3 = (change: object) => ({
    InputDataConfig: [
      {
        ChannelName: "data",
        DataSource: {
          S3DataSource: { S3DataType: "S3Prefix" as const, S3Uri: `s3://${bucket}/x`, ...change },
        },
      },
    ],
  });
  it.each([
    ["a role that does not exist", { RoleArn: `${role}-of-nobody` }, "Could not assume role"],
    [
      "a subnet that does not exist",
      { VpcConfig: { Subnets: ["subnet-1"], SecurityGroupIds: ["sg-1"] } },
      "subnet ID",
    ],
    ["no image", { AlgorithmSpecification: { TrainingInputMode: "File" } }, "TrainingImage"],
    ["no instance", { ResourceConfig: { VolumeSizeInGB: 1 } }, "InstanceType"],
    [
      "a key that does not exist",
      { OutputDataConfig: { S3OutputPath: `s3://${bucket}/`, KmsKeyId: "none" } },
      "KMS key 'none'",
    ],
    [
      "a bucket that does not exist",
      { OutputDataConfig: { S3OutputPath: "s3://nobodys/" } },
      "'nobodys' of S3OutputPath",
    ],
    ["a channel in a bucket that does not exist", s3({ S3Uri: "s3://nobodys/" }), "'nobodys' of data"],
    [
      "a channel that it cannot have here",
      s3({ S3DataType: "ManifestFile" }),
      "Channel data is not supported",
    ],
    [
      "two channels of one name",
      { InputDataConfig: [...s3({}).InputDataConfig, ...s3({}).InputDataConfig] },
      "defined twice",
    ],
    [
      "a key for a volume where there is local storage",
      {
        ResourceConfig: {
          InstanceType: "ml.g5.xlarge",
          InstanceCount: 1,
          VolumeSizeInGB: 1,
          VolumeKmsKeyId: "k",
        },
      },
      "VolumeKmsKeyId cannot be requested for ml.g5.xlarge",
    ],
    ["a time limit of 0", { StoppingCondition: { MaxRuntimeInSeconds: 0 } }, "greater than or equal to 1"],
    [
      "an invalid metric",
      {
        AlgorithmSpecification: {
          TrainingImage: "i",
          TrainingInputMode: "File",
          MetricDefinitions: [{ Name: "m", Regex: "(" }],
        },
      },
      "Regex of metric m",
    ],
  ] as const)("%s", async (_, changes, message) => {
    await expect(training.create("exit 0", changes as never)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining(message),
    });
  });

  it("a name that already exists", async () => {
    const one = await training.request("exit 0");
    await training.send(one);
    await expect(training.send(one)).rejects.toMatchObject({ name: "ResourceInUse" });
  });
});

it("lists training jobs by name and status, apart from processing jobs", async () => {
  const failed = (await training.run("exit 1")).TrainingJobName ?? "";
  await training.run("exit 0");
  const list = async (filter: object) => {
    const { TrainingJobSummaries } = await training.jobs.sagemaker.send(new ListTrainingJobsCommand(filter));
    return TrainingJobSummaries?.map((one) => [one.TrainingJobName, one.TrainingJobStatus]);
  };
  expect(await list({ StatusEquals: "Failed", NameContains: failed })).toEqual([[failed, "Failed"]]);
  expect(await list({ StatusEquals: "Completed", NameContains: failed })).toEqual([]);
  const names = (await list({ SortBy: "Name", MaxResults: 100 }))?.map(([name]) => name) ?? [];
  expect(names).toEqual([...names].sort());
  expect(names.filter((name) => !name?.startsWith("Train-"))).toEqual([]);
});
