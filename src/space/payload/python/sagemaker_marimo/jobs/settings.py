"""The environment's settings for jobs: jobs.json in the bucket, which Terraform writes."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from sagemaker_marimo import names, state


class Refused(Exception):
    """All problems of a request that was therefore not sent."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Clients:
    s3: Any
    sagemaker: Any
    logs: Any


@dataclass(frozen=True)
class Environment:
    name: str
    region: str
    bucket: str
    prefix: str
    role: str | None
    """The one role of all jobs, or None if each user has a role."""
    user_roles: str
    """What the ARNs of the users' roles begin with; the user's name in lower case follows."""
    image: str | None
    gpu_image: str | None
    secrets: list[str]
    schedules: list[str]
    athena_users: list[str]
    """Users with an Athena workgroup, or `*` for everybody."""
    python: str
    subnets: list[str]
    groups: list[str]
    key: str
    allowed: list[str] | None
    team_types: dict[str, list[str]]
    """Instance types that the teams of a user add, by the user's name in lower case."""
    instance: str
    max_instances: int | None
    """Of a job. None: any number."""
    node_groups: list[str]
    """Security groups of jobs on several nodes, which may reach one another."""
    max_minutes: int
    max_warm_minutes: int
    """How long instances may stay after a training job."""
    volume_gb: int
    max_schedules: int
    """Schedules that a user may have."""
    shortest_schedule: int
    """Minutes between two starts of a schedule."""
    topics: str | None
    """What the ARNs of the users' topics begin with; the user's name in lower case follows. None: nobody is
    notified."""
    email_domains: list[str]
    """Of addresses that are notified."""
    tags: dict[str, str]
    payload: str
    """The hash of the payload that `current` points to: an older space's payload may be deleted soon."""
    payload_sha256: str
    """The SHA-256 of the payload's list of files."""


def where(bucket: str | None, region: str | None) -> tuple[str, str]:
    """Bucket and region: from the options, environment variables or the space, in this order."""
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
        problems.append("no bucket: use --bucket or set MARIMO_BUCKET, as shown in the environment's outputs")
    if not region:
        problems.append("no region: use --region or set AWS_REGION to the environment's region")
    if not bucket or not region:
        raise Refused(problems)
    return bucket, region


def connect(region: str) -> Clients:
    session = boto3.Session(region_name=region)
    return Clients(session.client("s3"), session.client("sagemaker"), session.client("logs"))


def read_object(s3: Any, bucket: str, key: str) -> str:
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body.decode(errors="replace")


def find_object(s3: Any, bucket: str, key: str) -> str | None:
    """The object's text, or None if it does not exist, or is another user's."""
    try:
        return read_object(s3, bucket, key)
    except ClientError as error:
        # Without s3:ListBucket, S3 answers AccessDenied for a missing object (S3 API, GetObject). Guess:
        # so it does where the role may list by prefix only.
        if error.response["Error"]["Code"] in ("NoSuchKey", "404", "AccessDenied"):
            return None
        raise


def read(s3: Any, bucket: str) -> Environment:
    try:
        members = json.loads(read_object(s3, bucket, names.JOBS_JSON))
        pointer = read_object(s3, bucket, names.POINTER)
    except ClientError as error:
        # S3 returns AccessDenied for a missing object if the caller may not list (S3 API, GetObject).
        code = error.response["Error"]["Code"]
        if code not in ("NoSuchKey", "AccessDenied"):
            raise  # such as expired credentials
        raise Refused(
            [
                f"s3://{bucket}/{names.JOBS_JSON} cannot be read ({code}). If the environment was deployed "
                "before it had jobs, deploy it again. Otherwise check the bucket's name and your permissions"
            ]
        ) from None
    except ValueError as error:
        raise Refused([f"s3://{bucket}/{names.JOBS_JSON} cannot be read: {error}"]) from None
    # "<sha256>  <hash>", as in on-start.sh.
    match = re.fullmatch(r"([0-9a-f]{64})  ([0-9a-f]{16})\s*", pointer)
    if match is None:
        raise Refused([f"s3://{bucket}/{names.POINTER} is not '<sha256>  <hash>': {pointer[:100]!r}"])
    try:
        return _environment(members, match[2], match[1])
    except KeyError as error:
        raise Refused(
            [f"s3://{bucket}/{names.JOBS_JSON} lacks {error}: deploy the environment again with this version"]
        ) from None


def _environment(members: dict[str, Any], payload: str, payload_sha256: str) -> Environment:
    return Environment(
        name=members["environment"],
        region=members["region"],
        bucket=members["bucket"],
        prefix=members["jobNamePrefix"],
        role=members["roleArn"],
        user_roles=members["userRoleArnPrefix"] or "",
        image=members["imageUri"],
        gpu_image=members["gpuImageUri"],
        secrets=members["secrets"],
        schedules=members["schedules"],
        athena_users=members["athenaUsers"],
        python=members["python"],
        subnets=members["subnetIds"],
        groups=members["securityGroupIds"],
        key=members["encryptionKeyArn"],
        allowed=members["allowedInstanceTypes"],
        team_types=members["teamInstanceTypes"],
        instance=members["defaultInstanceType"],
        max_instances=members["maximumInstances"],
        node_groups=members["nodeSecurityGroupIds"],
        max_minutes=members["maximumMinutes"],
        max_warm_minutes=members["maximumWarmMinutes"],
        volume_gb=members["volumeGb"],
        max_schedules=members["maximumSchedulesPerUser"],
        shortest_schedule=members["shortestScheduleMinutes"],
        topics=members["topicArnPrefix"],
        email_domains=members["emailDomains"],
        tags=members["tags"],
        payload=payload,
        payload_sha256=payload_sha256,
    )
