"""A sweep as SageMaker pipelines. SageMaker starts, limits and retries a Processing step for each row."""

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

Members = dict[str, Any]  # members of an AWS request

# AWS General Reference, "Amazon SageMaker AI endpoints and quotas": steps in a pipeline.
MAX_STEPS = 50
# SageMaker Developer Guide, "Retry Policy for Pipeline Steps": MaxAttempts.
MAX_ATTEMPTS = 20
ROW_SCRIPT = "/opt/ml/processing/input/runtime/job/row.sh"
ROWS_FOLDER = "/opt/ml/processing/input/rows"
# Time before and after the notebook, in addition to the notebook's own time limit.
OVERHEAD_SECONDS = 300
# A pipeline appends a hyphen and ten characters to a job's name (seen in real pipelines). The limit is 63.
JOB_NAME_CHARACTERS = 52


@dataclass(frozen=True)
class Part:
    """One pipeline with a range of rows."""

    name: str
    first: int
    last: int
    parallel: int

    @property
    def steps(self) -> list[str]:
        return [step_name(number) for number in range(self.first, self.last + 1)]


def is_missing(error: ClientError) -> bool:
    """Whether there is no such pipeline (SageMaker API, errors of DescribePipeline,
    ListPipelineExecutions and DeletePipeline)."""
    return error.response["Error"]["Code"] in ("ResourceNotFound", "ResourceNotFoundException")


def step_name(number: int) -> str:
    return f"row-{number}"


def divide(prefix: str, rows: int, parallel: int, *, then: bool) -> list[Part]:
    """Divides rows evenly over as few pipelines as possible. Their limits add up to `parallel`."""
    most = MAX_STEPS - 1 if then else MAX_STEPS
    count = -(-rows // most)
    if then and count > 1:
        raise ValueError(f"--then allows at most {most} rows, which fit into one pipeline; there are {rows}")
    if parallel < count:
        raise ValueError(
            f"--parallel is {parallel}, but must be at least {count} for {rows} rows: one for each pipeline"
        )
    parts, first = [], 1
    for number in range(count):
        last = first + rows // count + (number < rows % count) - 1
        limit = parallel // count + (number < parallel % count)
        parts.append(Part(f"{prefix}-{number + 1}", first, last, limit))
        first = last + 1
    return parts


def row_request(request: Members, arguments: Sequence[str], output: str, name: str, seconds: int) -> Members:
    """The request of a row's job, derived from that of a single job with the same notebook. `arguments`
    replace those of the single job; `output` has no trailing slash."""
    row = copy.deepcopy(request)
    row["ProcessingJobName"] = name[:JOB_NAME_CHARACTERS]
    application = row["AppSpecification"]
    application["ContainerEntrypoint"][-1] = ROW_SCRIPT
    application["ContainerArguments"] = [application["ContainerArguments"][0], *arguments]
    (target,) = row["ProcessingOutputConfig"]["Outputs"]
    target["S3Output"]["S3Uri"] = output
    row["Environment"] |= {
        "MARIMO_JOB_OUTPUT": output,
        "MARIMO_ROW_SECONDS": str(seconds),
    }
    row["StoppingCondition"] = {"MaxRuntimeInSeconds": seconds + OVERHEAD_SECONDS}
    return row


def then_request(request: Members, notebook: str, rows: str, output: str, name: str, seconds: int) -> Members:
    """The request for the notebook that runs after all rows. Its option `--rows` is the outputs' folder."""
    then = row_request(request, ["--rows", ROWS_FOLDER], output, name, seconds)
    then["AppSpecification"]["ContainerArguments"][0] = notebook
    inputs = then["ProcessingInputs"]
    another = copy.deepcopy(inputs[0])
    another["InputName"] = "rows"
    another["S3Input"] |= {"S3Uri": rows, "LocalPath": ROWS_FOLDER}
    inputs.append(another)
    return then


def retry_policies(attempts: int) -> Iterator[Members]:
    """Retries what the platform interrupted, `attempts` times in total. An exception of the notebook is an
    outcome and is not retried (row.sh)."""
    # No job was started in these cases, so they cost nothing.
    yield _policy(["Step.SERVICE_FAULT", "Step.THROTTLING"], 5, 2, 5)
    yield _policy(["SageMaker.RESOURCE_LIMIT"], 60, 1.5, MAX_ATTEMPTS)
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
    """The JSON definition of a pipeline, whose steps are jobs with these names."""
    policies = list(retry_policies(attempts))
    steps = [_step(name, request, policies) for name, request in requests.items()]
    if then is not None:
        steps.append({**_step("then", then, policies), "DependsOn": list(requests)})
    # SageMaker Developer Guide, "Pipelines schema". With null, SageMaker creates no experiment.
    members: Members = {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [],
        "PipelineExperimentConfig": None,
    }
    return json.dumps({**members, "Steps": steps})


def _step(name: str, request: Members, policies: list[Members]) -> Members:
    kind = "Training" if "TrainingJobName" in request else "Processing"
    return {"Name": name, "Type": kind, "Arguments": request, "RetryPolicies": policies}
