"""Processing jobs. The app host runs them; this module has their state, logs and validation.

Other modules start a job with `start` and follow its changes with `ProcessingJob.watchers`.
"""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.kms.models import kms_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends

from app_host import AppHostFailure

from .errors import ResourceInUse, ResourceNotFound, ValidationException
from .references import check_assumable
from .state import Members, Resource, Studio

_LOCAL_PATH = "/opt/ml/processing/"
_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
INTERRUPTED = "InternalServerError: We encountered an internal error. Please try again."


@dataclass
class ProcessingJob(Resource):
    """A job runs until its status is Completed, Failed or Stopped."""

    # Called at each change of the status, with the lock held. They must not block.
    watchers: list[Callable[["ProcessingJob"], None]] = field(default_factory=list)
    log_stream: str = ""
    run: "Future[None] | None" = None

    @property
    def name(self) -> str:
        return str(self.members["ProcessingJobName"])

    @property
    def is_over(self) -> bool:
        return self.status in ("Completed", "Failed", "Stopped")

    def describe(self) -> Members:
        return {**self.members, "ProcessingJobStatus": self.status}

    def set_status(self, status: str, failure_reason: str | None = None) -> None:
        # Source: DescribeProcessingJob, ProcessingJobStatus: the values.
        super().set_status(status, failure_reason)
        if self.is_over:
            self.members["ProcessingEndTime"] = self.members["LastModifiedTime"]
        for watcher in self.watchers:
            watcher(self)


def create(studio: Studio, request: Members) -> Members:
    return {"ProcessingJobArn": start(studio, request).arn}


def start(
    studio: Studio, request: Members, watchers: Iterable[Callable[[ProcessingJob], None]] = ()
) -> ProcessingJob:
    """Starts the job of a validated request (request_validation.parse), or raises the error that AWS would
    return. The caller holds the lock."""
    name = request["ProcessingJobName"]
    if name in studio.processing_jobs:
        # Source: CreateProcessingJob, errors (ResourceInUse). Guess: the wording.
        raise ResourceInUse(
            "Job name must be unique within an AWS account and region, and a job with this name already "
            f"exists ({studio.processing_jobs[name].arn})"
        )
    _check_inputs_and_outputs(studio, request)
    _check_network(studio, request.get("NetworkConfig", {}).get("VpcConfig"))
    check_assumable(studio, request["RoleArn"])

    # Source: amazon-sagemaker-jupyter-scheduler 3.2.2, scheduler.py, of a training job's ARN: "its case might
    # differ". Guess: that of processing jobs and pipelines is in lower case likewise.
    arn = studio.arn(f"processing-job/{name.lower()}")
    members = {**request, "ProcessingJobArn": arn}
    tags = members.pop("Tags", [])
    job = ProcessingJob("ProcessingJob", arn, members, tags)
    job.watchers += [*studio.job_watchers, *watchers]
    studio.processing_jobs[name] = job
    # Source: DescribeProcessingJob, ProcessingJobStatus: the values. Guess: the first is InProgress.
    job.set_status("InProgress")
    job.run = studio.jobs.submit(_run, studio, job)
    return job


# Source: ProcessingClusterConfig, VolumeKmsKeyId: no key for instance types with local storage. Source for
# these families: sagemaker-python-sdk, `instance_supports_kms`. Guess: g7, g7e and p6 are like them.
_LOCAL_STORAGE = re.compile(
    r"ml\.(g4dn|g5|g6|g6e|g7|g7e|m5d|r5d|m6id|c6id|r6id|p3dn|p4d|p4de|p5|p5e|p5en|p6-\w+|trn1n?)\."
)


def _check_inputs_and_outputs(studio: Studio, request: Members) -> None:
    cluster = request["ProcessingResources"]["ClusterConfig"]
    if cluster.get("VolumeKmsKeyId") and _LOCAL_STORAGE.match(cluster["InstanceType"]):
        # Source: the same member's documentation. Guess: the wording.
        raise ValidationException(
            f"VolumeKmsKeyId cannot be requested for {cluster['InstanceType']}, which has local storage."
        )
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
        bucket = place["S3Uri"].removeprefix("s3://").split("/")[0]
        if bucket not in s3_backends[studio.account][studio.partition].buckets:
            # Guess: the code and the wording.
            raise ValidationException(f"The S3 bucket {bucket!r} of {name} does not exist.")
    for key in (cluster.get("VolumeKmsKeyId"), outputs.get("KmsKeyId")):
        if key:
            _check_key(studio, key)


def _check_key(studio: Studio, key: str) -> None:
    backend = kms_backends[studio.account][studio.region]
    found = backend.keys.get(backend.any_id_to_key_id(key))
    if found is None or found.key_state != "Enabled":
        # Guess: the code and the wording.
        raise ValidationException(f"The KMS key {key!r} does not exist or is not enabled.")


def _check_network(studio: Studio, vpc_config: Members | None) -> None:
    if vpc_config is None:
        return
    subnets = {subnet.id: subnet.vpc_id for subnet in studio.ec2.describe_subnets()}
    vpcs = set()
    for subnet_id in vpc_config["Subnets"]:
        if subnet_id not in subnets:
            # Guess: the code and the wording, after EC2's InvalidSubnetID.NotFound.
            raise ValidationException(f"The subnet ID '{subnet_id}' does not exist")
        vpcs.add(subnets[subnet_id])
    for group_id in vpc_config["SecurityGroupIds"]:
        group: Any = studio.ec2.get_security_group_from_id(group_id)
        if group is None:
            # Guess: the code (including the wording) of EC2 (Amazon EC2 API Reference, "Error codes",
            # InvalidGroup.NotFound).
            raise ValidationException(f"The security group '{group_id}' does not exist")
        vpcs.add(group.vpc_id)
    if len(vpcs) > 1:
        # Guess: the code and the wording.
        raise ValidationException("Subnets and SecurityGroupIds must be in the same VPC.")


def _run(studio: Studio, job: ProcessingJob) -> None:
    """Runs the job to its end. It is called in a separate thread."""
    with studio.lock:
        # The content of processingjobconfig.json: the request and the job's ARN.
        states = ("Status", "CreationTime", "LastModifiedTime")
        configuration = {name: value for name, value in job.members.items() if name not in states}
        order = {
            "name": job.name,
            "arn": job.arn,
            "region": studio.region,
            "configuration": configuration,
            **studio.credentials(job.members["RoleArn"], {}),
        }
        instances = job.members["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
        if instances > 1:
            message = f"The local AWS runs the first of this job's {instances} instances only."
            _log(studio, job, [{"message": message, "timestamp": int(datetime.now(UTC).timestamp() * 1000)}])
    try:
        outcome = studio.app_host.run_job(order, lambda event: _report(studio, job, event))
    except AppHostFailure as failure:
        outcome = {"failureReason": f"InternalServerError: {failure}"}
    with studio.lock:
        if not job.is_over:
            _end(job, outcome)


def _report(studio: Studio, job: ProcessingJob, event: Members) -> None:
    with studio.lock:
        if "accepted" in event and job.status == "Stopping":
            # The job was stopped before the app host had accepted it.
            studio.notify_app_host(lambda host: host.stop_job(job.arn))
        elif "accepted" in event and job.is_over:
            studio.notify_app_host(lambda host: host.kill_job(job.arn))
        elif "started" in event:
            job.members["ProcessingStartTime"] = datetime.now(UTC)
        elif "lines" in event:
            _log(studio, job, event["lines"])


def _log(studio: Studio, job: ProcessingJob, lines: list[Members]) -> None:
    logs = logs_backends[studio.account][studio.region]
    if not job.log_stream:
        # Guess: the number is the time of the first line.
        job.log_stream = f"{job.name}/algo-1-{int(datetime.now(UTC).timestamp())}"
    logs.ensure_log_group(_LOG_GROUP)
    logs.ensure_log_stream(_LOG_GROUP, job.log_stream)
    logs.groups[_LOG_GROUP].put_log_events(job.log_stream, lines)


def _end(job: ProcessingJob, outcome: Members) -> None:
    message = outcome.get("exitMessage")
    if message:
        job.members["ExitMessage"] = message
    status = outcome.get("exitCode")
    if "failureReason" in outcome:
        # Source: DescribeProcessingJob, FailureReason.
        job.set_status("Failed", outcome["failureReason"])
    elif job.status == "Stopping" or outcome.get("timedOut"):
        # Source: ProcessingStoppingCondition: after the condition is met, the job is stopped; and aws/
        # sagemaker-python-sdk, session.py, according to which a Stopped job may have timed out.
        # Guess: that there is no FailureReason, and that the exit status does not matter.
        job.set_status("Stopped")
    elif status == 0:
        # Source: SageMaker Developer Guide, "How Amazon SageMaker Processing Runs Your Processing Container
        # Image": the exit code decides.
        job.set_status("Completed")
    else:
        # Source: as above; for the wording aws-samples/amazon-sagemaker-ml-pipeline-deploy-with-terraform#12,
        # a training job.
        job.set_status("Failed", f"AlgorithmError: , exit code: {status}")


def find(studio: Studio, request: Members) -> ProcessingJob:
    name = request["ProcessingJobName"]
    if name not in studio.processing_jobs:
        # Source: DescribeProcessingJob and StopProcessingJob, errors (ResourceNotFound). Guess: the wording.
        raise ResourceNotFound(f"Could not find requested job with name: {name}")
    job: ProcessingJob = studio.processing_jobs[name]
    return job


def describe(studio: Studio, request: Members) -> Members:
    return find(studio, request).describe()


def stop(studio: Studio, request: Members) -> None:
    job = find(studio, request)
    if job.status != "InProgress":
        # Guess: the same as StopTrainingJob, which fails for a job that has ended.
        raise ValidationException(
            f"The request was rejected because the processing job is in status {job.status}."
        )
    # Source: DescribeProcessingJob, ProcessingJobStatus: the values.
    job.set_status("Stopping")
    if job.run is not None and job.run.cancel():
        # Source: as above. Guess: the same for a job that has not started.
        studio.settle(job, "Stopped")
    else:
        studio.notify_app_host(lambda host: host.stop_job(job.arn))


def interrupt(studio: Studio, request: Members) -> None:
    """Fails a job with an internal error of AWS, for tests."""
    job = find(studio, request)
    if job.status != "InProgress":
        # Guess: AWS has no such operation.
        raise ValidationException(f"Job {job.name} is in status {job.status}: it must be InProgress.")
    # Source: aws/sagemaker-python-sdk#2496, a processing job's FailureReason.
    job.set_status("Failed", INTERRUPTED)
    if job.run is None or not job.run.cancel():
        studio.notify_app_host(lambda host: host.kill_job(job.arn))
