"""What a submitter of jobs must know of its environment: marimo/payload/jobs.json, which Terraform writes."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_marimo import state

JOBS_JSON = "marimo/payload/jobs.json"
POINTER = "marimo/payload/current"


class Refused(Exception):
    """All that is wrong with what was asked for; nothing was sent."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Clients:
    s3: Any
    sagemaker: Any
    logs: Any

    @property
    def instance_types(self) -> list[str]:
        """Those that processing jobs can have, by botocore's own model of the API."""
        names: list[str] = self.sagemaker.meta.service_model.shape_for("ProcessingInstanceType").enum
        return names


@dataclass(frozen=True)
class Environment:
    name: str
    region: str
    bucket: str
    prefix: str
    role: str
    pipeline_role: str
    image: str | None
    python: str
    subnets: list[str]
    groups: list[str]
    key: str
    allowed: list[str] | None
    instance: str
    most_minutes: int
    volume_gb: int
    tags: dict[str, str]
    payload: str
    """The hash of the payload that `current` points to: the one of an older space may be deleted soon."""


def where(bucket: str | None, region: str | None) -> tuple[str, str]:
    """Bucket and region: as given, of the shell, or of the space."""
    space = state.settings()
    bucket = bucket or os.environ.get("MARIMO_BUCKET") or space.get("MARIMO_BUCKET")
    region = (
        region
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or space.get("MARIMO_REGION")
    )
    problems = []
    if not bucket:
        problems.append("no bucket: give --bucket or set MARIMO_BUCKET, to that of the environment's outputs")
    if not region:
        problems.append("no region: give --region or set AWS_REGION, to the environment's")
    if not bucket or not region:
        raise Refused(problems)
    return bucket, region


def connect(region: str) -> Clients:
    session = boto3.Session(region_name=region)
    return Clients(session.client("s3"), session.client("sagemaker"), session.client("logs"))


def read_object(s3: Any, bucket: str, key: str) -> str:
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body.decode()


def read(s3: Any, bucket: str) -> Environment:
    try:
        members = json.loads(read_object(s3, bucket, JOBS_JSON))
        pointer = read_object(s3, bucket, POINTER)
    except ClientError as error:
        # Of a missing object S3 says AccessDenied to who may not list (S3 API, GetObject).
        code = error.response["Error"]["Code"]
        if code not in ("NoSuchKey", "AccessDenied"):
            raise Refused([f"s3://{bucket}/{JOBS_JSON} cannot be read: {error}"]) from None
        raise Refused(
            [
                f"s3://{bucket}/{JOBS_JSON} is not there for you ({code}): the environment was deployed "
                "before it had jobs. Deploy it again (npm run deploy), or name the bucket it has"
            ]
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise Refused([f"s3://{bucket}/{JOBS_JSON} cannot be read: {error}"]) from None
    # "<sha256>  <hash>", as on-start.sh reads it.
    match = re.fullmatch(r"[0-9a-f]{64}  ([0-9a-f]{16})\s*", pointer)
    if match is None:
        raise Refused([f"s3://{bucket}/{POINTER} is not '<sha256>  <hash>': {pointer[:100]!r}"])
    try:
        return _environment(members, match[1])
    except KeyError as error:
        raise Refused(
            [f"s3://{bucket}/{JOBS_JSON} lacks {error}: deploy the environment again, with this version"]
        ) from None


def _environment(members: dict[str, Any], payload: str) -> Environment:
    return Environment(
        name=members["environment"],
        region=members["region"],
        bucket=members["bucket"],
        prefix=members["jobNamePrefix"],
        role=members["roleArn"],
        pipeline_role=members["pipelineRoleArn"],
        image=members["imageUri"],
        python=members["python"],
        subnets=members["subnetIds"],
        groups=members["securityGroupIds"],
        key=members["encryptionKeyArn"],
        allowed=members["allowedInstanceTypes"],
        instance=members["defaultInstanceType"],
        most_minutes=members["maximumMinutes"],
        volume_gb=members["volumeGb"],
        tags=members["tags"],
        payload=payload,
    )
