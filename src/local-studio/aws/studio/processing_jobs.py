"""Processing jobs. The app host runs them; here are their state, their logs and what AWS refuses.

Other parts of the server start a job by `start` and see its changes by `ProcessingJob.watchers`.
"""

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
_INTERRUPTED = "InternalServerError: We encountered an internal error. Please try again."


@dataclass
class ProcessingJob(Resource):
    """Under way until its status is Completed, Failed or Stopped."""

    # Called at each change of the status, with the lock held: they must not wait for anything.
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
    """The job of a request that the service model allows (request_validation.parse). Whoever calls holds the
    lock; what AWS refuses is raised."""
    name = request["ProcessingJobName"]
    if name in studio.processing_jobs:
        # Source: CreateProcessingJob, errors (ResourceInUse). Guess: the words.
        raise ResourceInUse(
            "Job name must be unique within an AWS account and region, and a job with this name already "
            f"exists ({studio.processing_jobs[name].arn})"
        )
    _check_inputs_and_outputs(studio, request)
    _check_network(studio, request.get("NetworkConfig", {}).get("VpcConfig"))
    check_assumable(studio, request["RoleArn"])

    arn = studio.arn(f"processing-job/{name}")
    members = {**request, "ProcessingJobArn": arn}
    tags = members.pop("Tags", [])
    job = ProcessingJob("ProcessingJob", arn, members, tags)
    job.watchers += [*studio.job_watchers, *watchers]
    studio.processing_jobs[name] = job
    # Source: DescribeProcessingJob, ProcessingJobStatus: the values. Guess: it has the first at once.
    job.set_status("InProgress")
    job.run = studio.jobs.submit(_run, studio, job)
    return job


def _check_inputs_and_outputs(studio: Studio, request: Members) -> None:
    cluster = request["ProcessingResources"]["ClusterConfig"]
    if cluster["InstanceCount"] != 1:
        # Guess: AWS runs several; here a job has one container.
        raise ValidationException(f"InstanceCount {cluster['InstanceCount']} is not supported here; it is 1.")
    outputs = request.get("ProcessingOutputConfig", {})
    places = []
    for one in request.get("ProcessingInputs", []):
        place = one.get("S3Input", {})
        kinds = place.get("S3DataType"), place.get("S3InputMode", "File")
        if "DatasetDefinition" in one or kinds != ("S3Prefix", "File"):
            # Guess: AWS takes others too; here there are objects below a prefix, in files.
            raise ValidationException(
                f"Input {one['InputName']} is not supported here; it has an S3Input with S3DataType S3Prefix "
                "and S3InputMode File."
            )
        places.append((one["InputName"], place))
    for one in outputs.get("Outputs", []):
        if "S3Output" not in one:
            # Guess: AWS takes others too; here there are buckets.
            raise ValidationException(f"Output {one['OutputName']} is not supported here without S3Output.")
        places.append((one["OutputName"], one["S3Output"]))
    for name, place in places:
        if not place.get("LocalPath", "").startswith(_LOCAL_PATH):
            # Source: ProcessingS3Input, LocalPath: it must begin so. Guess: an output's too, and the words.
            raise ValidationException(f"LocalPath of {name} must begin with {_LOCAL_PATH}")
        bucket = place["S3Uri"].removeprefix("s3://").split("/")[0]
        if bucket not in s3_backends[studio.account][studio.partition].buckets:
            # Guess: the code and the words.
            raise ValidationException(f"The S3 bucket {bucket!r} of {name} does not exist.")
    for key in (cluster.get("VolumeKmsKeyId"), outputs.get("KmsKeyId")):
        if key:
            _check_key(studio, key)


def _check_key(studio: Studio, key: str) -> None:
    backend = kms_backends[studio.account][studio.region]
    found = backend.keys.get(backend.any_id_to_key_id(key))
    if found is None or found.key_state != "Enabled":
        # Guess: the code and the words.
        raise ValidationException(f"The KMS key {key!r} does not exist or is not enabled.")


def _check_network(studio: Studio, vpc_config: Members | None) -> None:
    if vpc_config is None:
        return
    subnets = {subnet.id: subnet.vpc_id for subnet in studio.ec2.describe_subnets()}
    vpcs = set()
    for subnet_id in vpc_config["Subnets"]:
        if subnet_id not in subnets:
            # Guess: the code and the words, after EC2's InvalidSubnetID.NotFound.
            raise ValidationException(f"The subnet ID '{subnet_id}' does not exist")
        vpcs.add(subnets[subnet_id])
    for group_id in vpc_config["SecurityGroupIds"]:
        group: Any = studio.ec2.get_security_group_from_id(group_id)
        if group is None:
            # Guess: the code, with the words of EC2 (Amazon EC2 API Reference, "Error codes",
            # InvalidGroup.NotFound).
            raise ValidationException(f"The security group '{group_id}' does not exist")
        vpcs.add(group.vpc_id)
    if len(vpcs) > 1:
        # Guess: the code and the words.
        raise ValidationException("Subnets and SecurityGroupIds must be of one VPC.")


def _run(studio: Studio, job: ProcessingJob) -> None:
    """On a thread of its own, from the place in the queue to the end."""
    with studio.lock:
        # What processingjobconfig.json holds: the request, and the job's ARN.
        states = ("Status", "CreationTime", "LastModifiedTime")
        configuration = {name: value for name, value in job.members.items() if name not in states}
    order = {"name": job.name, "arn": job.arn, "region": studio.region, "configuration": configuration}
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
            # Asked for while the app host did not know the job yet.
            studio.tell_app_host(lambda host: host.stop_job(job.arn))
        elif "accepted" in event and job.is_over:
            studio.tell_app_host(lambda host: host.kill_job(job.arn))
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
        # sagemaker-python-sdk, session.py, which says of a job that is Stopped that it could have timed out.
        # Guess: without a reason, and whatever its exit status.
        job.set_status("Stopped")
    elif status == 0:
        # Source: SageMaker Developer Guide, "How Amazon SageMaker Processing Runs Your Processing Container
        # Image": the exit code decides.
        job.set_status("Completed")
    else:
        # Source: as above; for the words aws-samples/amazon-sagemaker-ml-pipeline-deploy-with-terraform#12,
        # of a training job.
        job.set_status("Failed", f"AlgorithmError: , exit code: {status}")


def find(studio: Studio, request: Members) -> ProcessingJob:
    name = request["ProcessingJobName"]
    if name not in studio.processing_jobs:
        # Source: DescribeProcessingJob and StopProcessingJob, errors (ResourceNotFound). Guess: the words.
        raise ResourceNotFound(f"Could not find requested job with name: {name}")
    return studio.processing_jobs[name]


def describe(studio: Studio, request: Members) -> Members:
    return find(studio, request).describe()


def stop(studio: Studio, request: Members) -> None:
    job = find(studio, request)
    if job.status != "InProgress":
        # Guess: as StopTrainingJob, which is refused for a job that is over.
        raise ValidationException(
            f"The request was rejected because the processing job is in status {job.status}."
        )
    # Source: DescribeProcessingJob, ProcessingJobStatus: the values.
    job.set_status("Stopping")
    if job.run is not None and job.run.cancel():
        # Source: as above. Guess: of a job that has not started.
        studio.settle(job, "Stopped")
    else:
        studio.tell_app_host(lambda host: host.stop_job(job.arn))


def interrupt(studio: Studio, request: Members) -> None:
    """What AWS's own failure does to a job: for tests."""
    job = find(studio, request)
    if job.status != "InProgress":
        # Guess: nobody asks AWS for it.
        raise ValidationException(f"Job {job.name} is in status {job.status}, and only one InProgress fails.")
    # Source: aws/sagemaker-python-sdk#2496, a processing job's FailureReason.
    job.set_status("Failed", _INTERRUPTED)
    if job.run is None or not job.run.cancel():
        studio.tell_app_host(lambda host: host.kill_job(job.arn))
