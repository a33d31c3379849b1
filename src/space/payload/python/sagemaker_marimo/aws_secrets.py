"""Secrets of AWS Secrets Manager. A job's request has their ARNs; only the notebook gets the values."""

import json
import subprocess
from collections.abc import Mapping

from sagemaker_marimo.names import SECRET_VARIABLE

SECONDS = 60


class SecretError(Exception):
    """A secret cannot be read. The message has no value of a secret."""


def notebook_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """A job's variables for its notebook: `NAME` with the secret's value instead of one with its ARN."""
    arns = {name: value for name, value in variables.items() if name.startswith(SECRET_VARIABLE)}
    others = {name: value for name, value in variables.items() if name not in arns}
    return others | {name.removeprefix(SECRET_VARIABLE): read(arn) for name, arn in arns.items()}


def read(arn: str) -> str:
    command = [
        *("aws", "secretsmanager", "get-secret-value", "--secret-id", arn),
        *("--region", arn.split(":")[3], "--output", "json"),
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603  # no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SecretError(f"the secret {arn} cannot be read: {error}") from None
    if result.returncode:
        reason = (result.stderr.strip() or f"the AWS CLI exited with {result.returncode}").splitlines()[-1]
        raise SecretError(f"the secret {arn} cannot be read: {reason}")
    value = json.loads(result.stdout).get("SecretString")
    if not isinstance(value, str):
        raise SecretError(f"the secret {arn} is binary: it must be text")
    return value
