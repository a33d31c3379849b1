import { ListTrainingJobsCommand, UpdateTrainingJobCommand } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bucket } from "../support/jobs-fixture.ts";
import { statuses, TrainingJobs } from "../support/training-fixture.ts";

let training: TrainingJobs;
beforeAll(async () => {
  training = await TrainingJobs.start();
});
afterAll(() => training?.close());

const spot = (seconds = 3600) => ({
  EnableManagedSpotTraining: true,
  StoppingCondition: { MaxRuntimeInSeconds: seconds, MaxWaitTimeInSeconds: seconds },
});
const resources = (changes: object) => ({
  ResourceConfig: { InstanceType: "ml.m5.large" as const, InstanceCount: 1, VolumeSizeInGB: 30, ...changes },
});
const checkpoints = (folder: string) => ({ CheckpointConfig: { S3Uri: `s3://${bucket}/${folder}` } });
const interrupt = (name: string, seconds?: number) =>
  training.jobs.localAws.interruptTrainingJob(name, seconds);
const isTraining = (name: string) => training.until(name, (job) => job.SecondaryStatus === "Training");
const hasLogged = (name: string, line: string) => expect.poll(() => training.log(name)).toContain(line);

/** Makes two rows at each start, and ends with the sixth. */
const rows = (folder: string) => `
  sudo -n chmod -R a+rwX $ml/model $ml/checkpoints
  rows=${folder}/rows; touch $rows; made=$(wc -l < $rows); echo "from $made"
  for row in $((made + 1)) $((made + 2)); do echo $row >> $rows; done
  echo written
  [ $row = 6 ] || sleep 600
  cp $rows $ml/model`;

describe("a Spot job", () => {
  it("goes on from its checkpoints after each interruption", async () => {
    const name = await training.create(rows("$ml/checkpoints"), { ...spot(), ...checkpoints("spot") });
    await expect.poll(() => training.jobs.get("spot/rows")).toBe("1\n2\n");
    await interrupt(name);
    await expect.poll(() => training.jobs.get("spot/rows")).toBe("1\n2\n3\n4\n");
    await interrupt(name);
    const job = await training.end(name);
    const attempt = ["Starting", "Downloading", "Training"];
    const lost = [...attempt, "Interrupted"];
    expect(statuses(job)).toEqual([...lost, ...lost, ...attempt, "Uploading", "Completed"]);
    expect(await training.unpacked(`models/${name}/output/model.tar.gz`, "rows")).toBe("1\n2\n3\n4\n5\n6\n");
    const starts = (await training.log(name)).filter((line) => line !== "written");
    expect(starts).toEqual(["from 0", "from 2", "from 4"]);
    const { TrainingTimeInSeconds: time = 0, BillableTimeInSeconds } = job;
    expect(time).toBeGreaterThan(1);
    expect(BillableTimeInSeconds).toBe(Math.max(1, Math.round(time * 0.3)));
  });

  it("begins again where nothing is saved", async () => {
    const script = rows("$ml/model").replace(" $ml/checkpoints", "");
    const name = await training.create(script, spot());
    await hasLogged(name, "written");
    await interrupt(name);
    await expect.poll(() => training.log(name)).toEqual(["from 0", "written", "from 0", "written"]);
    await training.stop(name);
    expect((await training.end(name)).TrainingJobStatus).toBe("Stopped");
  });

  it("stops at its maximum wait time, with and without instances, and on request", async () => {
    const [waiting, stopped] = await Promise.all([
      training.create("sleep 600", spot(40)),
      training.create("sleep 600", spot()),
    ]);
    for (const name of [waiting, stopped]) {
      await isTraining(name);
      await interrupt(name, 600);
    }
    const asked = "trap 'echo asked; exit 0' TERM; while :; do sleep 0.1; done";
    const running = await training.create(asked, spot(40));
    await expect(interrupt(waiting)).rejects.toThrow("not Interrupted");
    await training.stop(stopped);
    expect(statuses(await training.end(stopped))?.slice(-3)).toEqual(["Interrupted", "Stopping", "Stopped"]);
    const late = { TrainingJobStatus: "Stopped", SecondaryStatus: "MaxWaitTimeExceeded" };
    const job = await training.end(waiting);
    expect(job).toMatchObject(late);
    expect(statuses(job)?.slice(-3)).toEqual(["Interrupted", "Stopping", "MaxWaitTimeExceeded"]);
    expect(job.TrainingTimeInSeconds).toBeLessThan(40);
    // The time limit of its run begins later.
    expect(await training.end(running)).toMatchObject(late);
    expect(await training.log(running)).toEqual(["asked"]);
  });

  it("is the only job whose instances can be taken", async () => {
    const name = await training.create("sleep 600");
    await isTraining(name);
    await expect(interrupt(name)).rejects.toThrow("must run on Spot instances");
    expect((await training.look(name)).SecondaryStatus).toBe("Training");
    await training.stop(name);
    await expect(interrupt("no-such-job")).rejects.toThrow("Could not find");
  });

  const onlySpot = "It is only supported when EnableManagedSpotTraining is set to true";
  const limits = "It must be present and be greater than or equal to MaxRuntimeInSeconds";
  it.each([
    ["a wait time without Spot", { ...spot(), EnableManagedSpotTraining: false }, onlySpot],
    ["Spot without a wait time", { EnableManagedSpotTraining: true }, limits],
    [
      "less wait time than run time",
      { ...spot(), StoppingCondition: { MaxRuntimeInSeconds: 2, MaxWaitTimeInSeconds: 1 } },
      limits,
    ],
    ["Spot with a warm pool", { ...spot(), ...resources({ KeepAlivePeriodInSeconds: 60 }) }, "KeepAlive"],
  ] as const)("cannot be created with %s", async (_, changes, message) => {
    await expect(training.create("true", changes as never)).rejects.toThrow(message);
  });
});

describe("a job on two instances", () => {
  it("runs a container on each, which reach each other by the names in resourceconfig.json", async () => {
    const script = `
      sudo -n chmod -R a+rwX $ml/model $ml/checkpoints
      python3 - $ml <<'PY'
import json, socket, sys, time
from pathlib import Path

ml = Path(sys.argv[1])
config = json.loads((ml / "input/config/resourceconfig.json").read_text())
host, hosts = config["current_host"], config["hosts"]
rank = hosts.index(host)
print(json.dumps(config), flush=True)
assert not list((ml / "model").iterdir())
(ml / "model" / f"rank-{rank}").write_text(host)
(ml / "checkpoints" / f"rank-{rank}").write_text(host)
if rank == 0:
    connection, (address, _) = socket.create_server((host, 29500)).accept()
    print(connection.recv(100).decode(), address)
else:
    while True:
        try:
            connection = socket.create_connection((hosts[0], 29500), source_address=(host, 0))
            break
        except OSError:
            time.sleep(0.1)
    connection.sendall(b"hello from")
PY`;
    const two = resources({ InstanceCount: 2 });
    const name = await training.create(script, { ...two, ...checkpoints("cluster") });
    const job = await training.end(name);
    expect(job.TrainingJobStatus).toBe("Completed");
    const [text = "", greeting] = await training.log(name);
    const config = JSON.parse(text);
    const [first, second] = config.hosts;
    expect(config).toMatchObject({
      current_host: first,
      hosts: [first, second],
      network_interface_name: "lo",
    });
    expect(config.hosts.join()).toMatch(/^(127\.\d+\.\d+)\.10,\1\.11$/);
    expect(greeting).toBe(`hello from ${second}`);
    expect(JSON.parse((await training.log(name, "algo-2"))[0] ?? "")).toMatchObject({ current_host: second });
    for (const [rank, host] of config.hosts.entries()) {
      expect(await training.unpacked(`models/${name}/output/model.tar.gz`, `rank-${rank}`)).toBe(host);
      expect(await training.jobs.get(`cluster/rank-${rank}`)).toBe(host);
    }
  });

  it("fails with the first instance that fails, which ends the others", async () => {
    const script = `
      [ "$(stat -c %a $ml/model)" = 555 ] && sudo -n chmod -R a+rwX $ml/output
      grep -q '"current_host": "[0-9.]*0"' $ml/input/config/resourceconfig.json && sleep 600
      echo no data > $ml/output/failure; exit 7`;
    const job = await training.run(script, resources({ InstanceCount: 2 }));
    expect(job.FailureReason).toBe("AlgorithmError: no data\n, exit code: 7");
  });
});

describe("a warm pool", () => {
  const warm = (seconds: number, changes = {}) =>
    resources({ KeepAlivePeriodInSeconds: seconds, ...changes });
  const pool = async (name = "") => (await training.look(name)).WarmPoolStatus;
  const keep = (TrainingJobName: string, KeepAlivePeriodInSeconds: number) =>
    training.jobs.sagemaker.send(
      new UpdateTrainingJobCommand({ TrainingJobName, ResourceConfig: { KeepAlivePeriodInSeconds } }),
    );

  it("goes to the next job that matches", async () => {
    const first = (await training.run("true", warm(600, { VolumeSizeInGB: 31 }))).TrainingJobName ?? "";
    expect(await pool(first)).toEqual({ Status: "Available" });
    const other = await training.run("true", warm(0, { VolumeSizeInGB: 32 }));
    expect(other.WarmPoolStatus).toBeUndefined();
    expect(await pool(first)).toEqual({ Status: "Available" });
    const listed = await training.jobs.sagemaker.send(
      new ListTrainingJobsCommand({ WarmPoolStatusEquals: "Available" }),
    );
    expect(listed.TrainingJobSummaries?.map((one) => one.TrainingJobName)).toEqual([first]);
    const second = await training.create("sleep 600", resources({ VolumeSizeInGB: 31 }));
    await isTraining(second);
    expect(await pool(second)).toEqual({ Status: "InUse" });
    expect(await pool(first)).toEqual({
      Status: "Reused",
      ReusedByJob: second,
      ResourceRetainedBillableTimeInSeconds: expect.any(Number),
    });
    // Without a period of its own, the pool ends with it.
    await training.stop(second);
    await training.end(second);
    expect(await pool(second)).toEqual({ Status: "Terminated" });
  });

  it("waits for no instances, as a cold start does", async () => {
    const size = { VolumeSizeInGB: 33 };
    const cold = await training.run("true", warm(600, size));
    const [starting] = cold.SecondaryStatusTransitions ?? [];
    const milliseconds = (starting?.EndTime?.getTime() ?? 0) - (starting?.StartTime?.getTime() ?? 0);
    expect(milliseconds).toBeGreaterThanOrEqual(200);
    const next = await training.run("exit 1", warm(600, size));
    // A job that fails by its own fault keeps the instances, too.
    expect(next).toMatchObject({ TrainingJobStatus: "Failed", WarmPoolStatus: { Status: "Available" } });
    await keep(next.TrainingJobName ?? "", 0);
    expect(await pool(next.TrainingJobName)).toMatchObject({ Status: "Terminated" });
  });

  it("ends after its period", async () => {
    const { TrainingJobName: name = "" } = await training.run("true", warm(1, { VolumeSizeInGB: 34 }));
    await expect.poll(() => pool(name)).toMatchObject({ Status: "Terminated" });
    expect((await pool(name))?.ResourceRetainedBillableTimeInSeconds).toBeGreaterThanOrEqual(1);
    await expect(keep(name, 60)).rejects.toThrow("must be Available, but it is Terminated");
  });

  it("is not kept above the quota, without an error", async () => {
    await training.jobs.localAws.setWarmPoolQuota(0);
    const job = await training.run("true", warm(600, { VolumeSizeInGB: 35 }));
    await training.jobs.localAws.setWarmPoolQuota(100);
    expect(job.TrainingJobStatus).toBe("Completed");
    expect(job.FailureReason).toBeUndefined();
    expect(await pool(job.TrainingJobName)).toEqual({ Status: "Terminated" });
  });
});
