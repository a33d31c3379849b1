"""What the containers of a training job get: their command, folders, configuration files and hosts."""

import hashlib
import json
import os
from typing import TYPE_CHECKING

from . import jobs
from .state import Members

if TYPE_CHECKING:
    from .training_jobs import TrainingJob

# Guess: none about AWS. The last byte of the first instance's loopback address: with two digits, addresses
# sort in the order of the instances.
_FIRST_ADDRESS = 10
# Guess: on AWS the quota is the limit. Here it is the number of addresses with two digits.
MOST_INSTANCES = 90


def order(job: "TrainingJob") -> Members:
    """Files and folders: SageMaker Developer Guide, "How Amazon SageMaker AI Provides Training
    Information" and "How Amazon SageMaker AI Processes Training Output"."""
    members = job.members
    container, output = members["AlgorithmSpecification"], members["OutputDataConfig"]
    channels = members.get("InputDataConfig", [])
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
        {"uri": uri, "path": path, "when": "ended", "archive": _is_archived(job), **key}
        for uri, path in (
            (output_uri(job, "model"), "/opt/ml/model"),
            (output_uri(job, "output"), "/opt/ml/output/data"),
        )
    ]
    return {
        # Source: aws/amazon-sagemaker-examples#739: without an entrypoint, the image gets `train`.
        "command": [
            *container.get("ContainerEntrypoint", ["train"]),
            *container.get("ContainerArguments", []),
        ],
        "environment": {
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.arn,
            **members.get("Environment", {}),
        },
        # Guess: the limit is of all attempts in total, as with RetryStrategy.
        "seconds": max(1, max_runtime(members) - round(job.seconds)),
        "hosts": [
            {
                "name": f"algo-{index + 1}",
                "files": {
                    f"/opt/ml/input/config/{name}.json": json.dumps(one)
                    for name, one in {**config, "resourceconfig": _resources(job, host)}.items()
                },
            }
            for index, host in enumerate(_hosts(job))
        ],
        "inputs": [*inputs, *([{**saved, "optional": True}] if saved else [])],
        "outputs": [
            *outputs,
            *([{**saved, "when": "continuously", "archive": False}] if saved else []),
        ],
        # Source: HED of amazon-sagemaker-jupyter-scheduler, which changes these folders with sudo first.
        # Guess: the checkpoints' folder, too.
        "ownedByRoot": [
            *("/opt/ml/input", "/opt/ml/model", "/opt/ml/output"),
            *([saved["path"]] if saved else []),
        ],
        "message": "/opt/ml/output/failure",
    }


def _resources(job: "TrainingJob", host: str) -> Members:
    instance, group = job.members["ResourceConfig"]["InstanceType"], "homogeneousCluster"
    return {
        "current_host": host,
        "hosts": _hosts(job),
        "network_interface_name": "eth0" if job.instances == 1 else "lo",
        "current_instance_type": instance,
        "current_group_name": group,
        "instance_groups": [{"instance_group_name": group, "instance_type": instance, "hosts": _hosts(job)}],
    }


def _hosts(job: "TrainingJob") -> list[str]:
    """The names of the instances in the network. On AWS they are algo-1, algo-2, …, which do not resolve
    here. Several instances have loopback addresses that differ from those of other jobs."""
    if job.instances == 1:
        return ["algo-1"]
    digest = hashlib.sha256(f"{os.getpid()} {job.arn}".encode()).digest()
    # 127.0.0.0/16 belongs to other programs.
    network = f"127.{1 + digest[0] % 254}.{digest[1]}"
    return [f"{network}.{_FIRST_ADDRESS + index}" for index in range(job.instances)]


def _is_archived(job: "TrainingJob") -> bool:
    return bool(job.members["OutputDataConfig"].get("CompressionType") != "NONE")


def output_uri(job: "TrainingJob", name: str) -> str:
    folder = job.members["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    # Source: OutputDataConfig, CompressionType. Guess: the name of the folder of files with NONE.
    return f"{folder}/{job.name}/output/{name}{'.tar.gz' if _is_archived(job) else '/'}"


def max_runtime(members: Members) -> int:
    return int(members.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", jobs.DEFAULT_SECONDS))
