"""The definition of a SageMaker pipeline: what its JSON says, and what of it is refused."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from moto.core.exceptions import ServiceException

from . import request_validation
from .errors import ValidationException
from .state import Members

# Source: SageMaker Developer Guide, "Pipelines schema": the only one.
_VERSION = "2020-12-01"
# Source: AWS General Reference, "Amazon SageMaker AI endpoints and quotas": steps in a pipeline.
_MOST_STEPS = 50
# Source: SageMaker Developer Guide, "Retry Policy for Pipeline Steps": attempts of a policy.
_MOST_ATTEMPTS = 20
# Source: as above, seconds of an interval.
_LONGEST_INTERVAL = 43200

# SageMaker Developer Guide, "Retry Policy for Pipeline Steps".
SERVICE_FAULT = "Step.SERVICE_FAULT"
THROTTLING = "Step.THROTTLING"
INTERNAL_ERROR = "SageMaker.JOB_INTERNAL_ERROR"
CAPACITY_ERROR = "SageMaker.CAPACITY_ERROR"
RESOURCE_LIMIT = "SageMaker.RESOURCE_LIMIT"
EXCEPTION_TYPES = (SERVICE_FAULT, THROTTLING, INTERNAL_ERROR, CAPACITY_ERROR, RESOURCE_LIMIT)


@dataclass(frozen=True)
class RetryPolicy:
    """Defaults as in the SageMaker Developer Guide, "Retry Policy for Pipeline Steps"."""

    exception_types: tuple[str, ...]
    interval: float = 1
    backoff: float = 2
    attempts: int = 5


@dataclass(frozen=True)
class Step:
    name: str
    arguments: Members
    depends_on: tuple[str, ...] = ()
    retry_policies: tuple[RetryPolicy, ...] = ()
    display_name: str | None = None
    description: str | None = None


@dataclass
class _Reader:
    problems: list[str] = field(default_factory=list)

    def steps(self, definition: Any) -> Iterator[Step]:
        if not isinstance(definition, dict):
            self.problems.append("it is not a JSON object")
            return
        if definition.get("Version") != _VERSION:
            self.problems.append(f"Version is {definition.get('Version')!r}, expected {_VERSION!r}")
        steps = definition.get("Steps")
        if not isinstance(steps, list) or not steps:
            self.problems.append("Steps is not a list of one step or more")
            return
        if len(steps) > _MOST_STEPS:
            self.problems.append(f"it has {len(steps)} steps, more than {_MOST_STEPS}")
        for number, members in enumerate(steps, 1):
            name = members.get("Name") if isinstance(members, dict) else None
            if not isinstance(name, str) or not name:
                self.problems.append(f"step {number} has no Name")
            elif members.get("Type") != "Processing":
                # AWS knows others, such as Training and Condition.
                self.problems.append(
                    f"step {name} is of Type {members.get('Type')!r}; here they are Processing"
                )
            else:
                yield self._step(name, members)

    def _step(self, name: str, members: Members) -> Step:
        arguments = members.get("Arguments")
        # The job gets a name of its own at each attempt.
        job = {"ProcessingJobName": name.replace("_", "-"), **(arguments or {})}
        try:
            request_validation.parse("CreateProcessingJob", json.dumps(job))
        except ServiceException as refusal:
            self.problems.append(f"Arguments of step {name}: {refusal.message}")
        return Step(
            name,
            arguments or {},
            tuple(members.get("DependsOn") or ()),
            tuple(self._policy(name, policy) for policy in members.get("RetryPolicies") or ()),
            members.get("DisplayName"),
            members.get("Description"),
        )

    def _policy(self, step: str, members: Members) -> RetryPolicy:
        where = f"RetryPolicies of step {step}"
        types = tuple(members.get("ExceptionType") or ())
        for one in types:
            if one not in EXCEPTION_TYPES:
                self.problems.append(
                    f"{where}: ExceptionType {one!r} is none of {', '.join(EXCEPTION_TYPES)}"
                )
        if not types:
            self.problems.append(f"{where}: ExceptionType is missing")
        if "ExpireAfterMin" in members:
            # AWS knows it in place of MaxAttempts.
            self.problems.append(f"{where}: ExpireAfterMin is not supported here")
        interval, attempts = members.get("IntervalSeconds", 1), members.get("MaxAttempts", 5)
        backoff = members.get("BackoffRate", 2)
        if not isinstance(attempts, int) or not 1 <= attempts <= _MOST_ATTEMPTS:
            self.problems.append(f"{where}: MaxAttempts is {attempts!r}, expected 1 to {_MOST_ATTEMPTS}")
        if not isinstance(interval, int) or not 0 <= interval <= _LONGEST_INTERVAL:
            self.problems.append(
                f"{where}: IntervalSeconds is {interval!r}, expected 0 to {_LONGEST_INTERVAL}"
            )
        if not isinstance(backoff, int | float) or backoff < 0:
            self.problems.append(
                f"{where}: BackoffRate is {backoff!r}, expected a number that is not negative"
            )
        return RetryPolicy(types, interval, backoff, attempts)

    def check_order(self, steps: Sequence[Step]) -> None:
        names = [step.name for step in steps]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            self.problems.append(f"step names are not unique: {', '.join(twice)}")
        for step in steps:
            if unknown := [name for name in step.depends_on if name not in names]:
                self.problems.append(f"step {step.name} depends on {', '.join(unknown)}, which is no step")
        try:
            TopologicalSorter({step.name: step.depends_on for step in steps}).prepare()
        except CycleError as error:
            self.problems.append(f"steps depend on each other: {', '.join(error.args[1])}")


def parse(text: str) -> tuple[Step, ...]:
    """Its steps, or the refusal."""
    reader = _Reader()
    steps: list[Step] = []
    try:
        definition = json.loads(text)
    except ValueError as error:
        reader.problems.append(f"it is not JSON: {error}")
    else:
        steps = list(reader.steps(definition))
        reader.check_order(steps)
    if reader.problems:
        # Guess: the code and the words; AWS tells one problem at a time.
        raise ValidationException("Unable to parse pipeline definition: " + "; ".join(reader.problems))
    return tuple(steps)
