"""Fault injection: makes requests fail as they can fail on AWS.

A list of rules, each an object:

  operation    which requests match, for example "sagemaker:CreateDomain", "ec2:Delete*" or "*"
  fault        "throttle", "error" (500), "expired-token", "access-denied", "not-subscribed",
               "no-use-case-form" or "latency"
  after        number of matching requests that succeed first (default 0)
  count        maximum number of requests that fail (default: no maximum)
  probability  probability that a matching request fails, greater than 0, up to 1 (default 1)
  seed         random seed (default 0): the same requests in the same order have the same faults
  seconds      for "latency": the delay of each answer

The rules are applied in order up to the first one that returns an error. Latencies before it add up.
"""

import random
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from aws_request import AwsRequest

Error = tuple[int, str, str]  # HTTP status, code, message

_PROTOCOLS = ("ec2", "s3", "query", "json", "rest-json", "rest-xml")
_RATE, _EXPIRED = "Rate exceeded", "The security token included in the request is expired"
_INTERNAL_FAILURE: Error = (
    500,
    "InternalFailure",
    "The request processing has failed because of an unknown error, exception or failure.",
)

# By service, or by protocol. Throttling: codes and statuses from botocore's data/_retry.json, for EFS from
# its service model. Errors (500): "Common Errors" in the API reference of each service.
_ERRORS: dict[str, dict[str, Error]] = {
    "throttle": {
        # The message: hashicorp/terraform#3579.
        "ec2": (503, "RequestLimitExceeded", "Request limit exceeded."),
        # Amazon S3 API reference, "Error responses".
        "s3": (503, "SlowDown", "Please reduce your request rate."),
        # The shape and the status: its service model. Guess: the message.
        "efs": (429, "ThrottlingException", _RATE),
        # The message: b3ross/dotenvi#35.
        "query": (400, "Throttling", _RATE),
        # The message: snyk/driftctl#1629.
        "json": (400, "ThrottlingException", _RATE),
        # Guess: the same as JSON.
        "rest-json": (400, "ThrottlingException", _RATE),
        # Guess: the same as S3 (S3 Control).
        "rest-xml": (503, "SlowDown", "Please reduce your request rate."),
    },
    "error": {
        # Amazon EC2 API reference, "Error codes", server errors.
        "ec2": (500, "InternalError", "An internal error has occurred"),
        # Amazon S3 API reference, "Error responses".
        "s3": (500, "InternalError", "We encountered an internal error. Please try again."),
        "efs": (500, "InternalServerError", "Returned if an error occurred on the server side."),
        **dict.fromkeys(("query", "json", "rest-json", "rest-xml"), _INTERNAL_FAILURE),
    },
    "expired-token": {
        # aws/aws-sdk-java#1443
        "ec2": (400, "RequestExpired", "Request has expired."),
        # Amazon S3 API reference, "Error responses"; elastic/apm-server#15296.
        "s3": (400, "ExpiredToken", "The provided token has expired."),
        # pulumi/pulumi-aws#2560
        "query": (403, "ExpiredToken", _EXPIRED),
        # hashicorp/terraform-provider-aws#29284
        "json": (400, "ExpiredTokenException", _EXPIRED),
        # hashicorp/terraform-provider-aws#32809
        "rest-json": (403, "ExpiredTokenException", _EXPIRED),
        # Guess: the same as S3 (S3 Control).
        "rest-xml": (400, "ExpiredToken", "The provided token has expired."),
    },
    # Those of Amazon Bedrock's models.
    # Source: Amazon Bedrock API Reference, Converse, errors. Guess: the wording, and the same elsewhere.
    "access-denied": dict.fromkeys(
        _PROTOCOLS,
        (403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
    ),
    # Source: aws-samples/sample-host-openclaw-on-amazon-bedrock-agentcore#41 (including the wording).
    "not-subscribed": dict.fromkeys(
        _PROTOCOLS,
        (
            403,
            "AccessDeniedException",
            "Model access is denied due to IAM user or service role is not authorized to perform the "
            "required AWS Marketplace actions (aws-marketplace:ViewSubscriptions, "
            "aws-marketplace:Subscribe) to enable access to this model. Refer to "
            "the Amazon Bedrock documentation for further details.",
        ),
    ),
    # Source: truefoundry/models#934 (including the wording). Guess: the code.
    "no-use-case-form": dict.fromkeys(
        _PROTOCOLS,
        (
            404,
            "ResourceNotFoundException",
            "You have not filled out the required use-case form for this model. Complete the form at "
            "https://us-east-1.console.aws.amazon.com/bedrock/ before requesting access.",
        ),
    ),
}
_FAULTS = (*_ERRORS, "latency")


@dataclass
class Rule:
    operation: str
    fault: str
    after: int = 0
    count: int | None = None
    probability: float = 1
    seed: int = 0
    seconds: float = 0
    matched: int = field(default=0, init=False)
    broken: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - reproducible faults, not secrets

    def breaks(self, name: str) -> bool:
        if not fnmatchcase(name, self.operation):
            return False
        self.matched += 1
        is_drawn = self._random.random() < self.probability
        if self.matched <= self.after or self.broken == self.count or not is_drawn:
            return False
        self.broken += 1
        return True


class Faults:
    """The current rules. Thread-safe."""

    def __init__(self, rules: list[Rule]) -> None:
        self._lock = threading.Lock()
        self._rules = rules

    def replace(self, rules: list[Rule]) -> None:
        with self._lock:
            self._rules = rules

    def describe(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def of(self, request: AwsRequest) -> tuple[float, Error | None]:
        """Returns the delay in seconds and the error to answer with, if any."""
        seconds = 0.0
        with self._lock:
            for rule in self._rules:
                if not rule.breaks(request.name):
                    continue
                if rule.fault != "latency":
                    return seconds, _error(rule.fault, request)
                seconds += rule.seconds
        return seconds, None


def _error(fault: str, request: AwsRequest) -> Error:
    errors = _ERRORS[fault]
    return errors.get(request.service_name) or errors[request.protocol]


_NUMBERS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "after": (int, "an integer, 0 or greater"),
    "count": (int, "an integer, 1 or greater"),
    "probability": ((int, float), "a number greater than 0, up to 1"),
    "seed": (int, "an integer"),
    "seconds": ((int, float), "a number greater than 0, up to 60"),
}


def parse_rules(value: object) -> list[Rule]:
    """Raises ValueError with all problems, one per line."""
    if not isinstance(value, list):
        raise ValueError(f"expected a list of rules, got {value!r}")
    problems = [
        f"rule {position}: {text}" for position, rule in enumerate(value, 1) for text in _problems(rule)
    ]
    if problems:
        raise ValueError("\n".join(problems))
    return [Rule(**rule) for rule in value]


def _problems(rule: object) -> Iterator[str]:
    if not isinstance(rule, dict):
        yield f"expected an object, got {rule!r}"
        return
    known = ("operation", "fault", *_NUMBERS)
    for name in rule.keys() - set(known):
        yield f"{name!r} is not a member of a rule: expected {', '.join(known)}"
    operation, fault = rule.get("operation"), rule.get("fault")
    if not isinstance(operation, str) or not (operation == "*" or ":" in operation):
        yield f"operation is {operation!r}: expected SERVICE:OPERATION, with * for any part of it"
    if fault not in _FAULTS:
        yield f"fault is {fault!r}: expected one of {', '.join(_FAULTS)}"
    for name, (types, allowed) in _NUMBERS.items():
        if name in rule and not _is_allowed(name, rule[name], types):
            yield f"{name} is {rule[name]!r}: expected {allowed}"
    if (fault == "latency") != ("seconds" in rule):
        yield "seconds is required for the fault latency, and not allowed for other faults"


def _is_allowed(name: str, value: Any, types: type | tuple[type, ...]) -> bool:
    is_number = isinstance(value, types) and not isinstance(value, bool)
    if not is_number:
        return False
    match name:
        case "probability" | "seconds":
            return bool(0 < value <= (1 if name == "probability" else 60))
        case "after" | "count":
            return bool(value >= (0 if name == "after" else 1))
    return True
