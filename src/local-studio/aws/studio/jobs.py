"""What processing and training jobs have in common. The app host runs them; here are their state and logs.

Other modules follow a job's changes with `Job.watchers`.
"""

import re
import threading
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

INTERRUPTED = "InternalServerError: We encountered an internal error. Please try again."
# Source: StoppingCondition, MaxRuntimeInSeconds: the default. Guess: the same for processing jobs.
DEFAULT_SECONDS = 86_400


@dataclass
class Job(Resource):
    """A job runs until its status is Completed, Failed or Stopped. `kind` is ProcessingJob or TrainingJob."""

    # Called at each change of the status, with the lock held. They must not block.
    watchers: list[Callable[["Job"], None]] = field(default_factory=list)
    # Log streams by host.
    log_streams: dict[str, str] = field(default_factory=dict)
    # None while the job waits for its instances.
    run: "Future[None] | None" = None
    # What happens to the job at a later time.
    timer: threading.Timer | None = None

    @property
    def name(self) -> str:
        return str(self.members[f"{self.kind}Name"])

    @property
    def log_group(self) -> str:
        return f"/aws/sagemaker/{self.kind}s"

    @property
    def is_over(self) -> bool:
        return self.status in ("Completed", "Failed", "Stopped")

    def describe(self) -> Members:
        return {**self.members, f"{self.kind}Status": self.status}

    def set_status(self, status: str, failure_reason: str | None = None) -> None:
        # Source: DescribeProcessingJob, ProcessingJobStatus: the values. DescribeTrainingJob: the same.
        super().set_status(status, failure_reason)
        if self.is_over:
            self.members[f"{self.kind.removesuffix('Job')}EndTime"] = self.members["LastModifiedTime"]
        for watcher in self.watchers:
            watcher(self)

    @property
    def instances(self) -> int:
        raise NotImplementedError

    def order(self) -> Members:
        """What the app host runs: JobOrder in src/local-studio/job-order.ts."""
        raise NotImplementedError

    def on_event(self, event: Members) -> None:
        """An event of the app host while the job runs: JobEvent."""
        raise NotImplementedError

    def launch(self) -> None:
        """The job has its instances."""

    def restart_delay(self, _outcome: Members) -> float | None:
        """Seconds until the job has new instances and starts again. None: it has ended."""
        return None

    def end(self, outcome: Members) -> None:
        message, status = outcome.get("exitMessage", ""), outcome.get("exitCode")
        if "failureReason" in outcome:
            # Source: FailureReason of DescribeProcessingJob and DescribeTrainingJob.
            self.set_status("Failed", outcome["failureReason"])
        elif self.status == "Stopping" or outcome.get("timedOut"):
            # Source: StoppingCondition and ProcessingStoppingCondition: after the condition is met, the job
            # is stopped; and aws/sagemaker-python-sdk, session.py, according to which a Stopped job may have
            # timed out. Guess: it has no FailureReason, and the exit status has no effect.
            self.set_status("Stopped")
        elif status == 0:
            # Source: SageMaker Developer Guide, "How Amazon SageMaker Processing Runs Your Processing
            # Container Image" and "How Amazon SageMaker AI Runs Your Training Image": the exit code decides.
            self.set_status("Completed")
        else:
            # Source: as above; for the wording aws-samples/amazon-sagemaker-ml-pipeline-deploy-with-terraform
            # #12, a training job.
            self.set_status("Failed", f"AlgorithmError: {self.reason(message)}, exit code: {status}")

    def reason(self, _message: str) -> str:
        """What the job's message adds to the reason of a failure."""
        return ""


def start(
    studio: Studio,
    store: dict[str, Any],
    job: Job,
    watchers: Iterable[Callable[[Any], None]],
    delay: float = 0,
) -> None:
    """Starts a job of a validated request after a delay in seconds. The caller holds the lock."""
    check_assumable(studio, job.members["RoleArn"])
    job.watchers += [*studio.job_watchers, *watchers]
    store[job.name] = job
    # Source: DescribeProcessingJob, ProcessingJobStatus, and DescribeTrainingJob, TrainingJobStatus: the
    # values. Guess: the first is InProgress.
    job.set_status("InProgress")
    _launch(studio, job, delay)


def _launch(studio: Studio, job: Job, delay: float) -> None:
    def launch() -> None:
        with studio.lock:
            if job.status == "InProgress":
                job.launch()
                job.run = studio.jobs.submit(_run, studio, job)

    job.run = None
    if delay > 0:
        studio.after(delay, launch)
    else:
        launch()


def check_name(store: dict[str, Any], name: str) -> None:
    if name in store:
        # Source: CreateProcessingJob and CreateTrainingJob, errors (ResourceInUse). Guess: the wording.
        raise ResourceInUse(
            "Job name must be unique within an AWS account and region, and a job with this name already "
            f"exists ({store[name].arn})"
        )


# Source: ProcessingClusterConfig and ResourceConfig, VolumeKmsKeyId: no key for instance types with local
# storage. Source for these families: sagemaker-python-sdk, `instance_supports_kms`. Guess: g7, g7e and p6 are
# like them.
_LOCAL_STORAGE = re.compile(
    r"ml\.(g4dn|g5|g6|g6e|g7|g7e|m5d|r5d|m6id|c6id|r6id|p3dn|p4d|p4de|p5|p5e|p5en|p6-\w+|trn1n?)\."
)


def check_volume(resources: Members) -> None:
    if resources.get("VolumeKmsKeyId") and _LOCAL_STORAGE.match(resources["InstanceType"]):
        # Source: the same member's documentation. Guess: the wording.
        raise ValidationException(
            f"VolumeKmsKeyId cannot be requested for {resources['InstanceType']}, which has local storage."
        )


def check_bucket(studio: Studio, uri: str, name: str) -> None:
    bucket = uri.removeprefix("s3://").split("/")[0]
    if bucket not in s3_backends[studio.account][studio.partition].buckets:
        # Guess: the code and the wording.
        raise ValidationException(f"The S3 bucket {bucket!r} of {name} does not exist.")


def check_keys(studio: Studio, *keys: str | None) -> None:
    backend = kms_backends[studio.account][studio.region]
    for key in filter(None, keys):
        found = backend.keys.get(backend.any_id_to_key_id(key))
        if found is None or found.key_state != "Enabled":
            # Guess: the code and the wording.
            raise ValidationException(f"The KMS key {key!r} does not exist or is not enabled.")


def check_network(studio: Studio, vpc_config: Members | None) -> None:
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


def _run(studio: Studio, job: Job) -> None:
    """Runs the job to its end. It is called in a separate thread."""
    with studio.lock:
        order = {
            "name": job.name,
            "arn": job.arn,
            "region": studio.region,
            **job.order(),
            **studio.credentials(job.members["RoleArn"], {}),
        }
        if job.instances > len(order["hosts"]):
            message = f"The local AWS runs the first of this job's {job.instances} instances only."
            line = {"message": message, "timestamp": int(datetime.now(UTC).timestamp() * 1000)}
            _log(studio, job, "algo-1", [line])
    try:
        outcome = studio.app_host.run_job(order, lambda event: _report(studio, job, event))
    except AppHostFailure as failure:
        outcome = {"failureReason": f"InternalServerError: {failure}"}
    with studio.lock:
        if job.is_over:
            return
        delay = job.restart_delay(outcome)
        if delay is None:
            job.end(outcome)
        else:
            _launch(studio, job, delay)


def _report(studio: Studio, job: Job, event: Members) -> None:
    with studio.lock:
        if "accepted" in event and job.status == "Stopping":
            # The job was stopped before the app host had accepted it.
            studio.notify_app_host(lambda host: host.stop_job(job.arn))
        elif "accepted" in event and job.is_over:
            studio.notify_app_host(lambda host: host.kill_job(job.arn))
        else:
            if "lines" in event:
                _log(studio, job, event["host"], event["lines"])
            if not job.is_over:
                job.on_event(event)


def _log(studio: Studio, job: Job, host: str, lines: list[Members]) -> None:
    logs = logs_backends[studio.account][studio.region]
    # Guess: the number is the time of the first line.
    stream = job.log_streams.setdefault(host, f"{job.name}/{host}-{int(datetime.now(UTC).timestamp())}")
    logs.ensure_log_group(job.log_group)
    logs.ensure_log_stream(job.log_group, stream)
    logs.groups[job.log_group].put_log_events(stream, lines)


def find(store: dict[str, Any], name: str) -> Job:
    if name not in store:
        # Source: DescribeProcessingJob, StopProcessingJob, DescribeTrainingJob and StopTrainingJob, errors
        # (ResourceNotFound). Guess: the wording.
        raise ResourceNotFound(f"Could not find requested job with name: {name}")
    job: Job = store[name]
    return job


def stop(studio: Studio, job: Job) -> None:
    if job.status != "InProgress":
        kind = job.kind.replace("Job", " job").lower()
        # Guess: that both fail for a job that has ended, and the wording.
        raise ValidationException(f"The request was rejected because the {kind} is in status {job.status}.")
    # Source: DescribeProcessingJob, ProcessingJobStatus, and DescribeTrainingJob, TrainingJobStatus: the
    # values.
    job.set_status("Stopping")
    if job.run is None or job.run.cancel():
        # Source: as above. Guess: the same for a job that has not started.
        studio.settle(job, "Stopped")
    else:
        studio.notify_app_host(lambda host: host.stop_job(job.arn))


def interrupt(studio: Studio, job: Job) -> None:
    """Fails a job with an internal error of AWS, for tests."""
    if job.status != "InProgress":
        # Guess: AWS has no such operation.
        raise ValidationException(f"Job {job.name} is in status {job.status}: it must be InProgress.")
    # Source: aws/sagemaker-python-sdk#2496, a processing job's FailureReason.
    job.set_status("Failed", INTERRUPTED)
    if job.run is None or not job.run.cancel():
        studio.notify_app_host(lambda host: host.kill_job(job.arn))
