"""Training jobs on instances: their requests, what their containers get, and their metrics.

Spot instances are interrupted only on order (`interrupt`). warm_pools.py keeps instances for later jobs.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from . import jobs, training_containers, warm_pools
from .errors import ValidationException
from .references import check_assumable
from .state import Members, Studio

# Source: SecondaryStatusTransition, StatusMessage. Guess: that these are all that a job on one instance has.
_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading the training data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "The managed spot training instances were interrupted",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job waited longer than MaxWaitTimeInSeconds provided",
    "Stopped": "Training job stopped",
}
_PHASES = {"downloading": "Downloading", "started": "Training", "uploading": "Uploading"}
# Guess: what Spot instances cost, as a part of the price on demand.
_SPOT_PRICE = 0.3


@dataclass
class TrainingJob(jobs.Job):
    # Seconds until there is new capacity for a job whose Spot instances were interrupted.
    capacity_delay: float | None = None
    # When the present instances started, and the seconds on those before.
    launched: datetime | None = None
    seconds: float = 0
    # The secondary status of a job that a time limit has stopped.
    limit: str = ""

    @property
    def is_spot(self) -> bool:
        return bool(self.members.get("EnableManagedSpotTraining"))

    @property
    def instances(self) -> int:
        return int(self.members["ResourceConfig"]["InstanceCount"])

    def order(self) -> Members:
        return training_containers.order(self)

    def set_status(self, status: str, failure_reason: str | None = None) -> None:
        # Source: DescribeTrainingJob, SecondaryStatus: the values for each TrainingJobStatus.
        secondary = {"InProgress": "Starting", "Stopped": self.limit or "Stopped"}.get(status, status)
        self._enter(secondary)
        if status in ("Completed", "Failed", "Stopped"):
            self.members["SecondaryStatusTransitions"][-1]["EndTime"] = datetime.now(UTC)
            self._leave_instances()
            if self.timer is not None:
                self.timer.cancel()
            if "TrainingStartTime" in self.members:
                # Source: DescribeTrainingJob, BillableTimeInSeconds. Guess: both count the time on instances,
                # without waiting for capacity. Without Spot they are equal.
                seconds = max(1, round(self.seconds))
                billable = max(1, round(seconds * _SPOT_PRICE)) if self.is_spot else seconds
                self.members |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": billable}
        # Source: as above.
        super().set_status(status, failure_reason)

    def _leave_instances(self) -> None:
        if self.launched is not None:
            self.seconds += (datetime.now(UTC) - self.launched).total_seconds()
            self.launched = None

    def _enter(self, secondary: str) -> None:
        now = datetime.now(UTC)
        transitions = self.members.setdefault("SecondaryStatusTransitions", [])
        if transitions:
            transitions[-1]["EndTime"] = now
        transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": _MESSAGES[secondary]})
        self.members |= {"SecondaryStatus": secondary, "LastModifiedTime": now}

    def _report(self, secondary: str) -> None:
        """Enters a secondary status that leaves the status as it is."""
        self._enter(secondary)
        for watcher in self.watchers:
            watcher(self)

    def launch(self) -> None:
        # Source: SageMaker Developer Guide, "Managed Spot Training Lifecycle".
        if self.members["SecondaryStatus"] == "Interrupted":
            self._report("Starting")

    def on_event(self, event: Members) -> None:
        for line in event.get("lines", []):
            self._measure(line)
        if "uploading" in event:
            uri = training_containers.output_uri(self, "model")
            self.members["ModelArtifacts"] = {"S3ModelArtifacts": uri}
        # A job that is stopped stays in Stopping, and one that was interrupted in Interrupted.
        if self.status != "InProgress" or self.capacity_delay is not None:
            return
        if "stopping" in event:
            self.limit = "MaxRuntimeExceeded"
            # Guess: Stopping comes before MaxRuntimeExceeded, as it does before MaxWaitTimeExceeded.
            self.set_status("Stopping")
        phase = next((_PHASES[name] for name in event if name in _PHASES), None)
        if phase:
            self.launched = self.launched or datetime.now(UTC)
            self.members.setdefault("TrainingStartTime", self.launched)
            self._report(phase)

    def lose_instances(self, delay: float) -> None:
        self.capacity_delay = delay
        self._leave_instances()
        self._report("Interrupted")

    def restart_delay(self, _outcome: Members) -> float | None:
        delay, self.capacity_delay = self.capacity_delay, None
        return delay if self.status == "InProgress" else None

    def _measure(self, line: Members) -> None:
        """DescribeTrainingJob, FinalMetricDataList. Guess: the last value of each, also in a running job."""
        metrics = {one["MetricName"]: one for one in self.members.get("FinalMetricDataList", [])}
        for definition in self.members["AlgorithmSpecification"].get("MetricDefinitions", []):
            found = re.search(definition["Regex"], line["message"])
            try:
                value = float(found[1]) if found else None
            except (IndexError, ValueError):
                continue
            if value is not None:
                metrics[definition["Name"]] = {
                    "MetricName": definition["Name"],
                    "Value": value,
                    "Timestamp": datetime.fromtimestamp(line["timestamp"] / 1000, UTC),
                }
        if metrics:
            self.members["FinalMetricDataList"] = list(metrics.values())

    def reason(self, message: str) -> str:
        return message


def create(studio: Studio, request: Members) -> Members:
    name = request["TrainingJobName"]
    jobs.check_name(studio.training_jobs, name)
    _check_algorithm(request["AlgorithmSpecification"])
    resources, output = request.get("ResourceConfig", {}), request["OutputDataConfig"]
    if "InstanceType" not in resources or resources.get("InstanceCount", 0) < 1:
        # Guess: AWS also supports other resources. The code and the wording.
        raise ValidationException(
            "ResourceConfig must have an InstanceType and an InstanceCount of at least 1."
        )
    if resources["InstanceCount"] > training_containers.MOST_INSTANCES:
        # Guess: AWS's quota is the limit.
        raise ValidationException(f"InstanceCount must be at most {training_containers.MOST_INSTANCES} here.")
    jobs.check_volume(resources)
    _check_time_limits(request)
    warm_pools.check(request)
    _check_channels(studio, request)
    jobs.check_bucket(studio, output["S3OutputPath"], "S3OutputPath")
    jobs.check_keys(studio, resources.get("VolumeKmsKeyId"), output.get("KmsKeyId"))
    jobs.check_network(studio, request.get("VpcConfig"))
    # Source: amazon-sagemaker-jupyter-scheduler 3.2.2, scheduler.py: "its case might differ". Guess: it is in
    # lower case.
    arn = studio.arn(f"training-job/{name.lower()}")
    members = {**request, "TrainingJobArn": arn}
    job = TrainingJob("TrainingJob", arn, members, members.pop("Tags", []))
    # Before the job takes a warm pool.
    check_assumable(studio, request["RoleArn"])
    is_warm = warm_pools.claim(studio, job)
    watchers = (partial(warm_pools.follow, studio),)
    jobs.start(studio, studio.training_jobs, job, watchers, 0 if is_warm else studio.delay)
    if job.is_spot:
        wait = members["StoppingCondition"]["MaxWaitTimeInSeconds"]
        job.timer = studio.after(wait, partial(_give_up, studio, job))
    return {"TrainingJobArn": arn}


def _check_time_limits(request: Members) -> None:
    wait = request.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            # Source: aws/amazon-sagemaker-examples#869.
            raise ValidationException(
                "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to "
                "true"
            )
    elif wait is None or wait < training_containers.max_runtime(request):
        # Source: StoppingCondition, MaxWaitTimeInSeconds. Guess: the wording.
        raise ValidationException(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )


def _give_up(studio: Studio, job: TrainingJob) -> None:
    """Source: SageMaker Developer Guide, "Managed Spot Training Lifecycle"."""
    with studio.lock:
        if job.status == "InProgress":
            job.limit = "MaxWaitTimeExceeded"
            jobs.stop(studio, job)


def _check_algorithm(algorithm: Members) -> None:
    if not algorithm.get("TrainingImage"):
        # Guess: AWS also supports algorithms by name. The code and the wording.
        raise ValidationException("AlgorithmSpecification must have a TrainingImage here.")
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            # Guess: the code and the wording.
            raise ValidationException(f"Regex of metric {definition['Name']} is invalid: {error}") from None


def _check_channels(studio: Studio, request: Members) -> None:
    mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    names: set[str] = set()
    for channel in request.get("InputDataConfig", []):
        name, place = channel["ChannelName"], channel["DataSource"].get("S3DataSource", {})
        kinds = place.get("S3DataType"), place.get("S3DataDistributionType", "FullyReplicated")
        if kinds != ("S3Prefix", "FullyReplicated") or channel.get("InputMode", mode) == "Pipe":
            # Guess: AWS supports other inputs; here only objects with a prefix, as files.
            raise ValidationException(
                f"Channel {name} is not supported here: it must be an S3DataSource with S3DataType S3Prefix, "
                "S3DataDistributionType FullyReplicated and InputMode File or FastFile."
            )
        if name in names:
            # Guess: the code and the wording.
            raise ValidationException(f"Channel {name} is defined twice.")
        names.add(name)
        jobs.check_bucket(studio, place["S3Uri"], name)


def find(studio: Studio, request: Members) -> jobs.Job:
    return jobs.find(studio.training_jobs, request["TrainingJobName"])


def describe(studio: Studio, request: Members) -> Members:
    return find(studio, request).describe()


def stop(studio: Studio, request: Members) -> None:
    jobs.stop(studio, find(studio, request))


def interrupt(studio: Studio, request: Members) -> None:
    """Takes the Spot instances of a job, for tests. Its processes end at once: only the checkpoints in S3
    remain. Guess: AWS sends SIGTERM two minutes before, which a job must not depend on."""
    job = find(studio, request)
    delay = float(request.get("Seconds", 0))
    phase = job.members["SecondaryStatus"]
    if not isinstance(job, TrainingJob) or not job.is_spot or phase not in ("Downloading", "Training"):
        # Guess: AWS has no such operation.
        raise ValidationException(
            f"Job {job.name} cannot be interrupted: it must run on Spot instances and its SecondaryStatus "
            f"must be Downloading or Training, not {phase}."
        )
    job.lose_instances(delay)
    studio.notify_app_host(lambda host: host.kill_job(job.arn))
