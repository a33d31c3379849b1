"""Training jobs on instances: their requests, what their containers get, and their metrics.

Spot training is never interrupted, there are no warm pools, and only the first instance runs.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from . import jobs
from .errors import ValidationException
from .state import Members, Studio

# Source: SecondaryStatusTransition, StatusMessage. Guess: that these are all that a job on one instance has.
_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading the training data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Stopped": "Training job stopped",
}
_PHASES = {"downloading": "Downloading", "started": "Training", "uploading": "Uploading"}


@dataclass
class TrainingJob(jobs.Job):
    @property
    def instances(self) -> int:
        return int(self.members["ResourceConfig"]["InstanceCount"])

    def order(self) -> Members:
        """Files and folders: SageMaker Developer Guide, "How Amazon SageMaker AI Provides Training
        Information" and "How Amazon SageMaker AI Processes Training Output"."""
        members = self.members
        container, output = members["AlgorithmSpecification"], members["OutputDataConfig"]
        instance, channels = members["ResourceConfig"]["InstanceType"], members.get("InputDataConfig", [])
        group = "homogeneousCluster"
        config = {
            "hyperparameters": members.get("HyperParameters", {}),
            "inputdataconfig": {
                one["ChannelName"]: {
                    "TrainingInputMode": one.get("InputMode", container["TrainingInputMode"]),
                    "S3DistributionType": "FullyReplicated",
                    "RecordWrapperType": one.get("RecordWrapperType", "None"),
                    **({"ContentType": one["ContentType"]} if "ContentType" in one else {}),
                }
                for one in channels
            },
            "resourceconfig": {
                "current_host": "algo-1",
                "hosts": ["algo-1"],
                "network_interface_name": "eth0",
                "current_instance_type": instance,
                "current_group_name": group,
                "instance_groups": [
                    {"instance_group_name": group, "instance_type": instance, "hosts": ["algo-1"]}
                ],
            },
        }
        key = {"keyId": output["KmsKeyId"]} if output.get("KmsKeyId") else {}
        checkpoints = members.get("CheckpointConfig")
        saved = checkpoints and {
            "uri": checkpoints["S3Uri"],
            "path": checkpoints.get("LocalPath", "/opt/ml/checkpoints"),
        }
        inputs = [
            {
                "uri": one["DataSource"]["S3DataSource"]["S3Uri"],
                "path": f"/opt/ml/input/data/{one['ChannelName']}",
                "optional": False,
            }
            for one in channels
        ]
        outputs = [
            {"uri": uri, "path": path, "when": "ended", "archive": self._is_archived, **key}
            for uri, path in (
                (self._output("model"), "/opt/ml/model"),
                (self._output("output"), "/opt/ml/output/data"),
            )
        ]
        return {
            # Source: aws/amazon-sagemaker-examples#739: without an entrypoint, the image gets `train`.
            "command": [
                *container.get("ContainerEntrypoint", ["train"]),
                *container.get("ContainerArguments", []),
            ],
            "environment": {
                "TRAINING_JOB_NAME": self.name,
                "TRAINING_JOB_ARN": self.arn,
                **members.get("Environment", {}),
            },
            "seconds": members.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", jobs.DEFAULT_SECONDS),
            "files": {f"/opt/ml/input/config/{name}.json": json.dumps(one) for name, one in config.items()},
            "inputs": [*inputs, *([{**saved, "optional": True}] if saved else [])],
            "outputs": [
                *outputs,
                *([{**saved, "when": "continuously", "archive": False}] if saved else []),
            ],
            "message": "/opt/ml/output/failure",
        }

    @property
    def _is_archived(self) -> bool:
        return bool(self.members["OutputDataConfig"].get("CompressionType") != "NONE")

    def _output(self, name: str) -> str:
        folder = self.members["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        # Source: OutputDataConfig, CompressionType. Guess: the name of the folder of files with NONE.
        return f"{folder}/{self.name}/output/{name}{'.tar.gz' if self._is_archived else '/'}"

    def set_status(self, status: str, failure_reason: str | None = None) -> None:
        # Source: DescribeTrainingJob, SecondaryStatus: the values for each TrainingJobStatus.
        self._enter("Starting" if status == "InProgress" else status)
        if status in ("Completed", "Failed", "Stopped"):
            now, start = datetime.now(UTC), self.members.get("TrainingStartTime")
            self.members["SecondaryStatusTransitions"][-1]["EndTime"] = now
            if start:
                # Source: DescribeTrainingJob, BillableTimeInSeconds. Guess: the same without Spot.
                seconds = max(1, round((now - start).total_seconds()))
                self.members |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        # Source: as above.
        super().set_status(status, failure_reason)

    def _enter(self, secondary: str) -> None:
        now = datetime.now(UTC)
        transitions = self.members.setdefault("SecondaryStatusTransitions", [])
        if transitions:
            transitions[-1]["EndTime"] = now
        transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": _MESSAGES[secondary]})
        self.members |= {"SecondaryStatus": secondary, "LastModifiedTime": now}

    def on_event(self, event: Members) -> None:
        phase = next((_PHASES[name] for name in event if name in _PHASES), None)
        if phase:
            self.members.setdefault("TrainingStartTime", datetime.now(UTC))
        if phase == "Uploading":
            self.members["ModelArtifacts"] = {"S3ModelArtifacts": self._output("model")}
        # A job that is stopped stays in Stopping.
        if phase and self.status == "InProgress":
            self._enter(phase)
            for watcher in self.watchers:
                watcher(self)
        for line in event.get("lines", []):
            self._measure(line)

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

    def end(self, outcome: Members) -> None:
        if outcome.get("timedOut"):
            self._enter("MaxRuntimeExceeded")
        super().end(outcome)

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
    jobs.check_volume(resources)
    _check_channels(studio, request)
    jobs.check_bucket(studio, output["S3OutputPath"], "S3OutputPath")
    jobs.check_keys(studio, resources.get("VolumeKmsKeyId"), output.get("KmsKeyId"))
    jobs.check_network(studio, request.get("VpcConfig"))
    # Source: amazon-sagemaker-jupyter-scheduler 3.2.2, scheduler.py: "its case might differ". Guess: it is in
    # lower case.
    arn = studio.arn(f"training-job/{name.lower()}")
    members = {**request, "TrainingJobArn": arn}
    job = TrainingJob("TrainingJob", arn, members, members.pop("Tags", []))
    jobs.start(studio, studio.training_jobs, job, ())
    return {"TrainingJobArn": arn}


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
