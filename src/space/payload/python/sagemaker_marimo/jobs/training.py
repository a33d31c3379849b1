"""Training jobs: what only they can do, and their request, which is made from that of a processing job."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sagemaker_marimo import job_notify
from sagemaker_marimo.jobs.settings import Environment

Members = dict[str, Any]  # members of an AWS request

PROCESSING_INPUT = "/opt/ml/processing/input"
TRAINING_INPUT = "/opt/ml/input/data"
CHECKPOINTS = "checkpoints"
"""The folder of checkpoints below a job's output. SageMaker syncs it with /opt/ml/checkpoints."""
MAX_NODES = 100
"""As of processing jobs: src/settings/jobs.ts."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options that only a training job has. With any of them, a job is one."""

    spot: bool = False
    wait_minutes: int | None = None
    """Time limit of a Spot job that includes waiting for capacity. None: twice that of the notebook."""
    nodes: int = 1
    warm_minutes: int | None = None
    """How long the instances stay for the next job that matches."""
    checkpoints: bool = False

    @property
    def is_training(self) -> bool:
        return self.spot or self.nodes > 1 or self.warm_minutes is not None or self.checkpoints


def problems(options: TrainingOptions, environment: Environment, minutes: int) -> Iterator[str]:
    """`minutes` is the time limit of the notebook."""
    most = MAX_NODES if environment.max_instances is None else environment.max_instances
    if not 1 <= options.nodes <= most:
        yield f"--nodes {options.nodes} must be 1 to {most} (jobs.maximumInstances of {environment.name})"
    warm, wait = options.warm_minutes, options.wait_minutes
    if warm is not None and not 1 <= warm <= environment.max_warm_minutes:
        yield (
            f"--warm {warm} must be 1 to {environment.max_warm_minutes} minutes: IAM allows no more "
            f"(sagemaker:KeepAlivePeriod in {environment.name})"
        )
    if warm is not None and options.spot:
        # SageMaker Developer Guide, "SageMaker AI Managed Warm Pools", Considerations.
        yield "--warm cannot be combined with --spot: SageMaker keeps no Spot instances"
    if wait is not None and not options.spot:
        yield f"--wait {wait} has no effect without --spot"
    elif wait is not None and wait < minutes:
        yield (
            f"--wait {wait} must be at least the time limit, {minutes} minutes, which it includes "
            "(SageMaker API, MaxWaitTimeInSeconds)"
        )


def warnings(options: TrainingOptions, instance: str) -> Iterator[str]:
    if options.spot and not options.checkpoints:
        yield "an interrupted Spot job begins anew: with --checkpoints, the notebook can go on"
    if options.warm_minutes is not None:
        # SageMaker Developer Guide, "SageMaker AI Managed Warm Pools", Resource limits.
        yield (
            f"the quota '{instance} for training warm pool usage' is 0 unless an administrator raised it. "
            "AWS then keeps no warm pool and reports nothing: marimo-job status shows whether there is one"
        )


def final(request: Members, options: TrainingOptions) -> Members:
    """The request that is sent, from that of a processing job or a copy of it, such as that of a sweep's row.
    It is the same one unless the options need a training job."""
    return _training(request, options) if options.is_training else request


def create(sagemaker: Any, request: Members) -> None:
    """Sends the request of a job of either kind."""
    if "TrainingJobName" in request:
        sagemaker.create_training_job(**request)
    else:
        sagemaker.create_processing_job(**request)


def _training(request: Members, options: TrainingOptions) -> Members:
    application, cluster = request["AppSpecification"], request["ProcessingResources"]["ClusterConfig"]
    inputs, outputs = request["ProcessingInputs"], request["ProcessingOutputConfig"]
    (result,) = outputs["Outputs"]
    output, condition = result["S3Output"]["S3Uri"], request["StoppingCondition"]
    folders = {one["S3Input"]["LocalPath"]: f"{TRAINING_INPUT}/{one['InputName']}" for one in inputs}
    checkpoints = f"{output}/{CHECKPOINTS}"
    return {
        "TrainingJobName": request["ProcessingJobName"],
        "RoleArn": request["RoleArn"],
        "AlgorithmSpecification": {
            "TrainingImage": application["ImageUri"],
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [_in_training(word) for word in application["ContainerEntrypoint"]],
            "ContainerArguments": [folders.get(word, word) for word in application["ContainerArguments"]],
        },
        "Environment": {
            **request["Environment"],
            **({"MARIMO_CHECKPOINTS": checkpoints} if options.checkpoints else {}),
            **({job_notify.SPOT: "1"} if options.spot and job_notify.ON in request["Environment"] else {}),
        },
        "InputDataConfig": [_channel(one) for one in inputs],
        # For /opt/ml/model and /opt/ml/output/data. job_run.py uploads the page and the files.
        "OutputDataConfig": {"S3OutputPath": output, "KmsKeyId": outputs["KmsKeyId"]},
        "ResourceConfig": {
            **cluster,
            "InstanceCount": options.nodes,
            **(
                {}
                if options.warm_minutes is None
                else {"KeepAlivePeriodInSeconds": options.warm_minutes * 60}
            ),
        },
        "VpcConfig": request["NetworkConfig"]["VpcConfig"],
        "StoppingCondition": {**condition, **_wait(options, condition["MaxRuntimeInSeconds"])},
        **({"EnableManagedSpotTraining": True} if options.spot else {}),
        **({"CheckpointConfig": {"S3Uri": checkpoints}} if options.checkpoints else {}),
        "Tags": request["Tags"],
    }


def _wait(options: TrainingOptions, seconds: int) -> Members:
    """A sweep's row has more seconds than its notebook: the waiting time must not be less."""
    if not options.spot:
        return {}
    wait = 2 * seconds if options.wait_minutes is None else max(options.wait_minutes * 60, seconds)
    return {"MaxWaitTimeInSeconds": wait}


def _in_training(word: str) -> str:
    """SageMaker reads the reason of a failed training job from `failure`, and that of a processing job from
    `message`."""
    return word.replace(PROCESSING_INPUT, TRAINING_INPUT).replace("/output/message", "/output/failure")


def _channel(one: Members) -> Members:
    source = one["S3Input"]
    return {
        "ChannelName": one["InputName"],
        "InputMode": source["S3InputMode"],
        "DataSource": {
            "S3DataSource": {
                member: source[member] for member in ("S3DataType", "S3Uri", "S3DataDistributionType")
            }
        },
    }
