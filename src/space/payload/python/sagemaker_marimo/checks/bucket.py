"""Check of the environment's bucket, which has the payload."""

import os
import re
import subprocess

from sagemaker_marimo import names, state
from sagemaker_marimo.checks.problem import RESTART, Findings, Problem


def bucket(_: Findings) -> str:
    name = state.settings().get("MARIMO_BUCKET")
    if not name:
        raise Problem("no bucket is configured", "The lifecycle configuration did not run. " + RESTART)
    region = state.settings().get("MARIMO_REGION")
    pointer = f"s3://{name}/{names.POINTER}"
    command = [
        *("aws", "s3", "cp", "--only-show-errors"),
        *("--cli-connect-timeout", "5", "--cli-read-timeout", "10"),
        *(("--region", region) if region else ()),
        *(pointer, "-"),
    ]
    single_attempt = {**os.environ, "AWS_MAX_ATTEMPTS": "1"}
    remedy = (
        "marimo keeps working with the current payload. For updates and for data from the bucket, the "
        "space's role must be allowed to read the bucket, and the space needs a route to S3."
    )
    try:
        result = subprocess.run(  # noqa: S603  # no shell
            command, capture_output=True, text=True, timeout=30, check=False, env=single_attempt
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Problem(f"the AWS CLI failed: {error}", remedy) from None
    if result.returncode:
        reason = " ".join(result.stderr.split()) or f"status {result.returncode}"
        raise Problem(f"{pointer} cannot be read: {reason}", remedy)
    found = re.fullmatch(r"[0-9a-f]{64}  ([0-9a-f]{16})", result.stdout.strip())
    if found is None:
        raise Problem(
            f"{pointer} is not '<sha256>  <hash>'", "An administrator must deploy the domain again."
        )
    if (state.STATE / "payload/current").resolve().name != found[1]:
        return f"{name} can be read; it has another payload, {found[1]}, for the next start of the space"
    return f"{name} can be read"
