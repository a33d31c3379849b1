"""The payload of a schedule's runs: a copy in the user's folder, because a deployment deletes older versions.

The request has the SHA-256 of its list of files, which each run verifies, as it does with the deployed one.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sagemaker_marimo import names
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Environment, Refused, find_object
from sagemaker_marimo.jobs.sweep import THREADS


def prefix(environment: Environment, sender: Sender) -> str:
    return f"{sender.folder}/{names.SCHEDULES}/payload/{environment.payload}"


def deployed(environment: Environment) -> str:
    return f"{names.PAYLOAD}/{environment.payload}"


def copy(s3: Any, environment: Environment, sender: Sender) -> int:
    """Copies what is missing. Returns the number of files."""
    source, target, bucket = deployed(environment), prefix(environment, sender), environment.bucket
    text = find_object(s3, bucket, f"{source}/{names.CHECKSUMS}") or ""
    if hashlib.sha256(text.encode()).hexdigest() != environment.payload_sha256:
        raise Refused([f"s3://{bucket}/{source}/{names.CHECKSUMS} is not the deployed one: deploy again"])
    # The list is the last file that is copied.
    if find_object(s3, bucket, f"{target}/{names.CHECKSUMS}") == text:
        return 0

    def copy_one(line: str) -> None:
        sha256, name = line.split("  ", 1)
        body = s3.get_object(Bucket=bucket, Key=f"{source}/{name}")["Body"].read()
        if hashlib.sha256(body).hexdigest() != sha256:
            raise Refused([f"s3://{bucket}/{source}/{name} is not the deployed one: deploy again"])
        s3.put_object(Bucket=bucket, Key=f"{target}/{name}", Body=body)

    lines = text.splitlines()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(copy_one, lines))
    s3.put_object(Bucket=bucket, Key=f"{target}/{names.CHECKSUMS}", Body=text.encode())
    return len(lines)


def use(request: dict[str, Any], environment: Environment, sender: Sender) -> dict[str, Any]:
    """The request with the copy instead of the deployed payload."""
    old = f"s3://{environment.bucket}/{deployed(environment)}/"
    new = f"s3://{environment.bucket}/{prefix(environment, sender)}/"

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: change(one) for key, one in value.items()}
        if isinstance(value, list):
            return [change(one) for one in value]
        return new if value == old else value

    changed: dict[str, Any] = change(request)
    return changed
