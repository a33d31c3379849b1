"""Writes the SageMaker Python SDK's defaults: the environment's network, key, tags and bucket.

IAM demands the network, and without a bucket the SDK would create one. The administrator's file is in the
image, which each start resets. A user's own ~/.config/sagemaker/config.yaml comes first (SageMaker Python
SDK, "Configuring and using defaults with the SageMaker Python SDK").
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import names, state

MARK = "# Written by sagemaker-marimo at each start of the space.\n"
FOLDER = "sagemaker"
"""Below MARIMO_PREFIX. IAM allows lists of what is below it, and the SDK lists this prefix first."""


def path() -> Path:
    """The variable is the SDK's, for images with the file elsewhere."""
    return Path(os.environ.get("SAGEMAKER_ADMIN_CONFIG_OVERRIDE") or "/etc/xdg/sagemaker/config.yaml")


def defaults(jobs: dict[str, Any], prefix: str) -> dict[str, Any]:
    """`jobs`: what the environment's jobs.json has. `prefix`: such as people/ana."""
    subnets, groups, key = jobs["subnetIds"], jobs["securityGroupIds"], jobs["encryptionKeyArn"]
    network = {"Subnets": subnets, "SecurityGroupIds": groups}
    tags = [
        {"Key": name, "Value": value} for name, value in {**jobs["tags"], **names.user_tag(prefix)}.items()
    ]
    return {
        "SchemaVersion": "1.0",
        "SageMaker": {
            "PythonSDK": {
                "Modules": {
                    "Session": {
                        "DefaultS3Bucket": jobs["bucket"],
                        "DefaultS3ObjectKeyPrefix": f"{prefix}/{FOLDER}",
                    },
                    # Not TrainingJob.VpcConfig, with which sagemaker-train 1.14.0 raises an error at each
                    # ModelTrainer. It takes nothing else from here, and names in lower case only.
                    "ModelTrainer": {"networking": {"subnets": subnets, "security_group_ids": groups}},
                }
            },
            "ProcessingJob": {
                "NetworkConfig": {"VpcConfig": network},
                "ProcessingOutputConfig": {"KmsKeyId": key},
                "ProcessingResources": {"ClusterConfig": {"VolumeKmsKeyId": key}},
                "Tags": tags,
            },
            # A model of a serverless endpoint has no network.
            **({} if jobs["serverlessEndpoints"] else {"Model": {"VpcConfig": network}}),
        },
    }


def write(file: Path, content: dict[str, Any]) -> bool:
    """Does not replace another program's file. Does not create the folder, which the image has."""
    if not file.parent.is_dir() or (file.exists() and not file.read_text().startswith(MARK)):
        return False
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(f"{MARK}{json.dumps(content, indent=1)}\n")  # JSON is YAML
    new.replace(file)
    return True


def main() -> None:
    settings = state.settings()
    bucket, region = settings.get("MARIMO_BUCKET"), settings.get("MARIMO_REGION")
    if not bucket or not path().parent.is_dir():
        return
    attempts = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    s3 = boto3.client("s3", region_name=region or None, config=attempts)
    try:
        jobs = json.load(s3.get_object(Bucket=bucket, Key=names.JOBS_JSON)["Body"])
        write(path(), defaults(jobs, settings["MARIMO_PREFIX"].removeprefix(f"s3://{bucket}/")))
    except (BotoCoreError, ClientError, OSError, KeyError, ValueError) as error:
        sys.exit(f"the defaults of the SageMaker Python SDK are not written to {path()}: {error!r}")


if __name__ == "__main__":
    main()
