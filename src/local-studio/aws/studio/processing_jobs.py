"""Processing jobs: their requests, and what their containers get."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from . import jobs
from .errors import ValidationException
from .state import Members, Studio

_LOCAL_PATH = "/opt/ml/processing/"


@dataclass
class ProcessingJob(jobs.Job):
    @property
    def instances(self) -> int:
        return int(self.members["ProcessingResources"]["ClusterConfig"]["InstanceCount"])

    def order(self) -> Members:
        """The files: SageMaker Developer Guide, "How Amazon SageMaker Processing Provides Configuration
        Information for Your Processing Container"."""
        states = ("Status", "CreationTime", "LastModifiedTime")
        configuration = {name: value for name, value in self.members.items() if name not in states}
        container = self.members["AppSpecification"]
        outputs = self.members.get("ProcessingOutputConfig", {})
        resources = {
            "current_host": "algo-1",
            "current_instance_type": self.members["ProcessingResources"]["ClusterConfig"]["InstanceType"],
            "hosts": ["algo-1"],
            "network_interface_name": "eth0",
        }
        return {
            "command": [
                *container.get("ContainerEntrypoint", []),
                *container.get("ContainerArguments", []),
            ],
            "environment": self.members.get("Environment", {}),
            "seconds": self.members.get("StoppingCondition", {}).get(
                "MaxRuntimeInSeconds", jobs.DEFAULT_SECONDS
            ),
            "hosts": [
                {
                    "name": "algo-1",
                    "files": {
                        "/opt/ml/config/processingjobconfig.json": json.dumps(configuration),
                        "/opt/ml/config/resourceconfig.json": json.dumps(resources),
                    },
                }
            ],
            "inputs": [
                {"uri": place["S3Uri"], "path": place["LocalPath"], "optional": False}
                for place in (one["S3Input"] for one in self.members.get("ProcessingInputs", []))
            ],
            "outputs": [
                {
                    "uri": place["S3Uri"],
                    "path": place["LocalPath"],
                    "when": "completed" if place["S3UploadMode"] == "EndOfJob" else "continuously",
                    "archive": False,
                    **({"keyId": outputs["KmsKeyId"]} if outputs.get("KmsKeyId") else {}),
                }
                for place in (one["S3Output"] for one in outputs.get("Outputs", []))
            ],
            "ownedByRoot": [one["S3Output"]["LocalPath"] for one in outputs.get("Outputs", [])],
            "message": "/opt/ml/output/message",
        }

    def on_event(self, event: Members) -> None:
        if "started" in event:
            self.members["ProcessingStartTime"] = datetime.now(UTC)

    def end(self, outcome: Members) -> None:
        if outcome.get("exitMessage"):
            self.members["ExitMessage"] = outcome["exitMessage"]
        super().end(outcome)


def create(studio: Studio, request: Members) -> Members:
    return {"ProcessingJobArn": start(studio, request).arn}


def start(
    studio: Studio, request: Members, watchers: Iterable[Callable[[ProcessingJob], None]] = ()
) -> ProcessingJob:
    """Starts the job of a validated request (request_validation.parse), or raises the error that AWS would
    return. The caller holds the lock."""
    name = request["ProcessingJobName"]
    jobs.check_name(studio.processing_jobs, name)
    jobs.check_volume(request["ProcessingResources"]["ClusterConfig"])
    _check_inputs_and_outputs(studio, request)
    jobs.check_network(studio, request.get("NetworkConfig", {}).get("VpcConfig"))
    # Source: amazon-sagemaker-jupyter-scheduler 3.2.2, scheduler.py, of a training job's ARN: "its case might
    # differ". Guess: that of processing jobs and pipelines is in lower case likewise.
    arn = studio.arn(f"processing-job/{name.lower()}")
    members = {**request, "ProcessingJobArn": arn}
    tags = members.pop("Tags", [])
    job = ProcessingJob("ProcessingJob", arn, members, tags)
    jobs.start(studio, studio.processing_jobs, job, watchers)
    return job


def _check_inputs_and_outputs(studio: Studio, request: Members) -> None:
    cluster = request["ProcessingResources"]["ClusterConfig"]
    outputs = request.get("ProcessingOutputConfig", {})
    places = []
    for one in request.get("ProcessingInputs", []):
        place = one.get("S3Input", {})
        kinds = place.get("S3DataType"), place.get("S3InputMode", "File")
        if "DatasetDefinition" in one or kinds != ("S3Prefix", "File"):
            # Guess: AWS supports other inputs; here only objects with a prefix, as files.
            raise ValidationException(
                f"Input {one['InputName']} is not supported here: it must be an S3Input with S3DataType "
                "S3Prefix and S3InputMode File."
            )
        places.append((one["InputName"], place))
    for one in outputs.get("Outputs", []):
        if "S3Output" not in one:
            # Guess: AWS supports other outputs; here only S3.
            raise ValidationException(f"Output {one['OutputName']} is not supported; it must be an S3Output.")
        places.append((one["OutputName"], one["S3Output"]))
    for name, place in places:
        if not place.get("LocalPath", "").startswith(_LOCAL_PATH):
            # Source: ProcessingS3Input, LocalPath: the prefix. Guess: the same for outputs, and the wording.
            raise ValidationException(f"LocalPath of {name} must begin with {_LOCAL_PATH}")
        jobs.check_bucket(studio, place["S3Uri"], name)
    jobs.check_keys(studio, cluster.get("VolumeKmsKeyId"), outputs.get("KmsKeyId"))


def find(studio: Studio, request: Members) -> jobs.Job:
    return jobs.find(studio.processing_jobs, request["ProcessingJobName"])


def describe(studio: Studio, request: Members) -> Members:
    return find(studio, request).describe()


def stop(studio: Studio, request: Members) -> None:
    jobs.stop(studio, find(studio, request))


def interrupt(studio: Studio, request: Members) -> None:
    jobs.interrupt(studio, find(studio, request))
