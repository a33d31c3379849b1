"""A sweep as SageMaker pipelines: a Processing step a row, which SageMaker starts, counts and retries."""

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Members = dict[str, Any]  # of a request, under AWS's own names

# AWS General Reference, "Amazon SageMaker AI endpoints and quotas": steps in a pipeline.
MOST_STEPS = 50
# SageMaker Developer Guide, "Retry Policy for Pipeline Steps": MaxAttempts.
MOST_ATTEMPTS = 20
ROW_ENTRYPOINT = ["/bin/bash", "/opt/ml/processing/input/runtime/job/row.sh"]
ROWS_FOLDER = "/opt/ml/processing/input/rows"
# For what precedes and follows the notebook; the notebook itself has the time that was asked for.
SECONDS_BESIDE = 300
# A job of a pipeline adds a hyphen and ten characters to its name of 63 (see jobs of any pipeline).
JOB_NAME_CHARACTERS = 52


@dataclass(frozen=True)
class Part:
    """One pipeline, with the rows of these numbers."""

    name: str
    first: int
    last: int
    parallel: int

    @property
    def steps(self) -> list[str]:
        return [step_name(number) for number in range(self.first, self.last + 1)]


def step_name(number: int) -> str:
    return f"row-{number}"


def divide(prefix: str, rows: int, parallel: int, *, then: bool) -> list[Part]:
    """As few pipelines as there can be, with about as many rows each, whose limits add up to `parallel`."""
    most = MOST_STEPS - 1 if then else MOST_STEPS
    count = -(-rows // most)
    if then and count > 1:
        raise ValueError(f"--then waits for {rows} rows: at most {most}, which are one pipeline")
    if parallel < count:
        raise ValueError(
            f"--parallel is {parallel}: at least {count} for {rows} rows, one a pipeline of {most}"
        )
    parts, first = [], 1
    for number in range(count):
        last = first + rows // count + (number < rows % count) - 1
        limit = parallel // count + (number < parallel % count)
        parts.append(Part(f"{prefix}-{number + 1}", first, last, limit))
        first = last + 1
    return parts


def row_request(request: Members, arguments: Sequence[str], output: str, name: str, seconds: int) -> Members:
    """The request of a row's job, made of the request of a single job with the same notebook. Without the
    arguments that follow the notebook there; `output` has no slash at its end."""
    row = copy.deepcopy(request)
    row["ProcessingJobName"] = name[:JOB_NAME_CHARACTERS]
    application = row["AppSpecification"]
    application["ContainerEntrypoint"] = ROW_ENTRYPOINT
    application["ContainerArguments"] = [application["ContainerArguments"][0], *arguments]
    (target,) = row["ProcessingOutputConfig"]["Outputs"]
    target["S3Output"]["S3Uri"] = output
    row["Environment"] |= {
        "MARIMO_JOB_NAME": name,
        "MARIMO_JOB_OUTPUT": output,
        "MARIMO_ROW_SECONDS": str(seconds),
    }
    row["StoppingCondition"] = {"MaxRuntimeInSeconds": seconds + SECONDS_BESIDE}
    return row


def then_request(request: Members, notebook: str, rows: str, output: str, name: str, seconds: int) -> Members:
    """The request of the notebook that runs after all rows; its option `--rows` is their outputs' folder."""
    then = row_request(request, ["--rows", ROWS_FOLDER], output, name, seconds)
    then["AppSpecification"]["ContainerArguments"][0] = notebook
    inputs = then["ProcessingInputs"]
    another = copy.deepcopy(inputs[0])
    another["InputName"] = "rows"
    another["S3Input"] |= {"S3Uri": rows, "LocalPath": ROWS_FOLDER}
    inputs.append(another)
    return then


def retry_policies(attempts: int) -> Iterator[Members]:
    """What the platform interrupted is tried again, `attempts` times in all. What the notebook raised is not:
    it is an outcome (row.sh)."""
    # No job came of these: they cost nothing.
    yield _policy(["Step.SERVICE_FAULT", "Step.THROTTLING"], 5, 2, 5)
    yield _policy(["SageMaker.RESOURCE_LIMIT"], 60, 1.5, MOST_ATTEMPTS)
    if attempts > 1:
        types = ["SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR"]
        yield _policy(types, 5, 2, attempts - 1)


def _policy(types: list[str], interval: int, backoff: float, attempts: int) -> Members:
    return {
        "ExceptionType": types,
        "IntervalSeconds": interval,
        "BackoffRate": backoff,
        "MaxAttempts": attempts,
    }


def definition(requests: dict[str, Members], attempts: int, then: Members | None = None) -> str:
    """The JSON of a pipeline, whose steps are jobs by their names."""
    policies = list(retry_policies(attempts))
    steps = [_step(name, request, policies) for name, request in requests.items()]
    if then is not None:
        steps.append({**_step("then", then, policies), "DependsOn": list(requests)})
    # SageMaker Developer Guide, "Pipelines schema". null: no experiment is made of it.
    members: Members = {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [],
        "PipelineExperimentConfig": None,
    }
    return json.dumps({**members, "Steps": steps})


def _step(name: str, request: Members, policies: list[Members]) -> Members:
    return {"Name": name, "Type": "Processing", "Arguments": request, "RetryPolicies": policies}
