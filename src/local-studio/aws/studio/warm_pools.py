"""Warm pools of training jobs: the instances of a job that ended are kept for the next job that matches.

Source, unless stated otherwise: SageMaker Developer Guide, "SageMaker AI Managed Warm Pools". A pool belongs
to the job that used it last. Only the start is faster: files are not kept.
"""

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from . import jobs
from .errors import ValidationException
from .state import Members, Studio

if TYPE_CHECKING:
    from .training_jobs import TrainingJob


def check(request: Members) -> None:
    if request.get("EnableManagedSpotTraining") and request["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
        # Source: as above, "Considerations". Guess: that CreateTrainingJob refuses it, and the wording.
        raise ValidationException(
            "KeepAlivePeriodInSeconds is not supported when EnableManagedSpotTraining is set to true"
        )


def claim(studio: Studio, job: "TrainingJob") -> bool:
    """Moves a matching pool to the job, and returns whether there was one. The caller holds the lock."""
    pool = next((one for one in _available(studio) if _criteria(one) == _criteria(job)), None)
    if pool is not None:
        _end(pool, "Reused")
        pool.members["WarmPoolStatus"]["ReusedByJob"] = job.name
    if pool is not None or _period(job):
        job.members["WarmPoolStatus"] = {"Status": "InUse"}
    return pool is not None


def follow(studio: Studio, job: "TrainingJob") -> None:
    """A watcher of the job: keeps its instances when it ends."""
    if not job.is_over or _status(job) != "InUse":
        return
    reason = job.members.get("FailureReason", "")
    is_healthy = "TrainingStartTime" in job.members and not reason.startswith("InternalServerError")
    kept = sum(one.instances for one in _available(studio))
    quota = studio.warm_pool_quota
    # Above the quota, AWS keeps no pool and reports no error. Guess: the status is Terminated also then.
    if _period(job) and is_healthy and (quota is None or kept + job.instances <= quota):
        job.members["WarmPoolStatus"] = {"Status": "Available"}
        job.timer = studio.after(_period(job), partial(_expire, studio, job))
    else:
        job.members["WarmPoolStatus"] = {"Status": "Terminated"}


def update(studio: Studio, request: Members) -> Members:
    """UpdateTrainingJob. 0 seconds end the pool."""
    job: TrainingJob = jobs.find(studio.training_jobs, request["TrainingJobName"])  # type: ignore[assignment]
    others = sorted(request.keys() - {"TrainingJobName", "ResourceConfig"})
    if others or "ResourceConfig" not in request:
        # Guess: AWS also supports the other members.
        raise ValidationException(
            f"Only ResourceConfig can be updated here, not {', '.join(others) or 'nothing'}."
        )
    if _status(job) != "Available":
        # Source: as above, "Update a warm pool": the pool must be Available. Guess: the code and the wording.
        raise ValidationException(
            f"KeepAlivePeriodInSeconds of {job.name} cannot be updated: its warm pool must be Available, "
            f"but it is {_status(job) or 'missing'}."
        )
    job.members["ResourceConfig"]["KeepAlivePeriodInSeconds"] = request["ResourceConfig"][
        "KeepAlivePeriodInSeconds"
    ]
    # Guess: the period begins at the end of the job.
    left = _period(job) - _kept_seconds(job)
    if job.timer is not None:
        job.timer.cancel()
    if left > 0:
        job.timer = studio.after(left, partial(_expire, studio, job))
    else:
        _end(job, "Terminated")
    return {"TrainingJobArn": job.arn}


def set_quota(studio: Studio, request: Members) -> None:
    """Limits the instances in all pools, for tests: on AWS the quota of a new account is 0."""
    studio.warm_pool_quota = int(request["Instances"])


def terminate_all(studio: Studio) -> None:
    """Ends all pools after a restart of the local AWS."""
    for job in studio.training_jobs.values():
        if _status(job) in ("InUse", "Available"):
            _end(job, "Terminated")


def _expire(studio: Studio, job: "TrainingJob") -> None:
    with studio.lock:
        if _status(job) == "Available":
            _end(job, "Terminated")


def _end(job: "TrainingJob", status: str) -> None:
    if job.timer is not None:
        job.timer.cancel()
    billable = round(_kept_seconds(job))
    job.members["WarmPoolStatus"] = {
        "Status": status,
        "ResourceRetainedBillableTimeInSeconds": billable,
    }


def _kept_seconds(job: "TrainingJob") -> float:
    now = datetime.now(UTC)
    ended: datetime = job.members.get("TrainingEndTime", now)
    return (now - ended).total_seconds()


def _available(studio: Studio) -> list["TrainingJob"]:
    return [one for one in studio.training_jobs.values() if _status(one) == "Available"]


def _status(job: "TrainingJob") -> str:
    return str(job.members.get("WarmPoolStatus", {}).get("Status", ""))


def _period(job: "TrainingJob") -> int:
    return int(job.members["ResourceConfig"].get("KeepAlivePeriodInSeconds", 0))


def _criteria(job: "TrainingJob") -> list[object]:
    members, network = job.members, job.members.get("VpcConfig", {})
    resources = ("InstanceCount", "InstanceType", "VolumeKmsKeyId", "VolumeSizeInGB")
    return [
        members["RoleArn"],
        *(members["ResourceConfig"].get(name) for name in resources),
        # Guess: the order does not matter.
        *(sorted(network.get(name, [])) for name in ("SecurityGroupIds", "Subnets")),
        bool(members.get("EnableInterContainerTrafficEncryption")),
        bool(members.get("EnableNetworkIsolation")),
    ]
