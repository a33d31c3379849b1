"""What is checked before a sweep is continued: others may have changed its plan in the bucket."""

import json
from collections.abc import Iterator, Sequence

from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import request, sweep_plan
from sagemaker_marimo.jobs.pipeline import Members, Part, is_missing
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Environment
from sagemaker_marimo.jobs.sweep_plan import Plan
from sagemaker_marimo.jobs.sweep_progress import DONE, FAILED
from sagemaker_marimo.jobs.sweep_store import Store


def rows_left(states: Sequence[str], parts: Sequence[Part]) -> int:
    """The number of rows of these pipelines without an outcome."""
    numbers = (number for part in parts for number in range(part.first, part.last + 1))
    return sum(states[number - 1] not in (DONE, FAILED) for number in numbers)


def problems(store: Store, plan: Plan, who: Sender) -> Iterator[str]:
    """Why the plan of sweep.json is not the one that this sender started."""
    if plan.prefix != who.prefix:
        yield f"{plan.name} is a sweep of {plan.prefix}-…, but you send jobs as {who.prefix}-…"
        return
    found = [one for part in plan.parts if (one := _describe(store, part)) is not None]
    if not found:
        yield f"no pipeline of {plan.name} exists, so no row has run: start a new sweep"
    elif any(one.get("PipelineDescription") != plan.mark for one in found):
        yield (
            f"{store.uri(plan.name)}/sweep.json is not the one that the sweep was started with: somebody "
            "changed it. Nothing was started. Start a new sweep"
        )
    for uri in dict.fromkeys(uri for one in found for uri in _inputs(one)):
        if not store.has_objects(uri):
            # Terraform keeps only the current payload.
            yield f"{uri}, which the jobs need, no longer exists: start a new sweep"


def limits(
    plan: Plan, environment: Environment, who: Sender, rows: int, max_cost: float | None, default: float
) -> Iterator[str]:
    """What today's settings refuse of the rows that would start."""
    yield from request.problems(plan.options, environment, who)
    yield from sweep_plan.cost_problems(plan, rows, max_cost, default)


def _describe(store: Store, part: Part) -> Members | None:
    try:
        answer: Members = store.sagemaker.describe_pipeline(PipelineName=part.name)
    except ClientError as error:
        if not is_missing(error):
            raise
        return None
    return answer


def _inputs(description: Members) -> list[str]:
    """The URIs of what the jobs of a pipeline get."""
    request = json.loads(description["PipelineDefinition"])["Steps"][0]["Arguments"]
    if "TrainingJobName" in request:
        return [one["DataSource"]["S3DataSource"]["S3Uri"] for one in request["InputDataConfig"]]
    return [one["S3Input"]["S3Uri"] for one in request["ProcessingInputs"]]
