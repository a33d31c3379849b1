"""Parses and validates the JSON definition of a SageMaker pipeline."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from moto.core.exceptions import ServiceException

from . import pipeline_variables, request_validation
from .errors import ValidationException
from .state import Members

# Source: SageMaker Developer Guide, "Pipelines schema": the only version.
_VERSION = "2020-12-01"
# Source: AWS General Reference, "Amazon SageMaker AI endpoints and quotas": steps in a pipeline.
_MAX_STEPS = 50
# Source: SageMaker Developer Guide, "Retry Policy for Pipeline Steps": attempts per policy.
_MAX_ATTEMPTS = 20
# Source: as above, seconds between attempts.
_MAX_INTERVAL = 43200

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


# Types of steps here, by the member with the job's name. AWS has others, such as Condition.
JOB_NAMES = {"Processing": "ProcessingJobName", "Training": "TrainingJobName"}


@dataclass(frozen=True)
class Step:
    name: str
    type: str
    arguments: Members
    depends_on: tuple[str, ...] = ()
    retry_policies: tuple[RetryPolicy, ...] = ()
    display_name: str | None = None
    description: str | None = None


def filled(arguments: Members, execution: str) -> Members:
    found: Members = pipeline_variables.fill(arguments, {pipeline_variables.EXECUTION_ID: execution})
    return found


@dataclass
class _Reader:
    problems: list[str] = field(default_factory=list)

    def steps(self, definition: Any) -> Iterator[Step]:
        if not isinstance(definition, dict):
            self.problems.append("it is not a JSON object")
            return
        if definition.get("Version") != _VERSION:
            self.problems.append(f"Version must be {_VERSION!r}, not {definition.get('Version')!r}")
        steps = definition.get("Steps")
        if not isinstance(steps, list) or not steps:
            self.problems.append("Steps must be a list with at least one step")
            return
        if len(steps) > _MAX_STEPS:
            self.problems.append(f"a pipeline can have at most {_MAX_STEPS} steps, not {len(steps)}")
        for number, members in enumerate(steps, 1):
            name = members.get("Name") if isinstance(members, dict) else None
            if not isinstance(name, str) or not name:
                self.problems.append(f"step {number} has no Name")
            elif members.get("Type") not in JOB_NAMES:
                types = " or ".join(map(repr, JOB_NAMES))
                self.problems.append(f"Type of step {name} must be {types} here, not {members.get('Type')!r}")
            else:
                yield self._step(name, members)

    def _step(self, name: str, members: Members) -> Step:
        kind, arguments = members["Type"], members.get("Arguments")
        try:
            # Each attempt has a new job name.
            job = {JOB_NAMES[kind]: name.replace("_", "-"), **filled(arguments or {}, "0" * 12)}
            request_validation.parse(f"Create{kind}Job", json.dumps(job))
        except ServiceException as refusal:
            self.problems.append(f"Arguments of step {name}: {refusal.message}")
        except ValueError as error:
            self.problems.append(f"Arguments of step {name}: {error}")
        return Step(
            name,
            kind,
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
                    f"{where}: ExceptionType must be one of {', '.join(EXCEPTION_TYPES)}, not {one!r}"
                )
        if not types:
            self.problems.append(f"{where}: ExceptionType is missing")
        if "ExpireAfterMin" in members:
            # AWS supports it as an alternative to MaxAttempts.
            self.problems.append(f"{where}: ExpireAfterMin is not supported here")
        interval, attempts = members.get("IntervalSeconds", 1), members.get("MaxAttempts", 5)
        backoff = members.get("BackoffRate", 2)
        if not isinstance(attempts, int) or not 1 <= attempts <= _MAX_ATTEMPTS:
            self.problems.append(f"{where}: MaxAttempts must be 1 to {_MAX_ATTEMPTS}, not {attempts!r}")
        if not isinstance(interval, int) or not 0 <= interval <= _MAX_INTERVAL:
            self.problems.append(f"{where}: IntervalSeconds must be 0 to {_MAX_INTERVAL}, not {interval!r}")
        if not isinstance(backoff, int | float) or backoff < 0:
            self.problems.append(f"{where}: BackoffRate must be 0 or greater, not {backoff!r}")
        return RetryPolicy(types, interval, backoff, attempts)

    def check_order(self, steps: Sequence[Step]) -> None:
        names = [step.name for step in steps]
        if duplicates := sorted({name for name in names if names.count(name) > 1}):
            self.problems.append(f"step names must be unique: {', '.join(duplicates)}")
        for step in steps:
            if unknown := [name for name in step.depends_on if name not in names]:
                self.problems.append(f"step {step.name} depends on unknown steps: {', '.join(unknown)}")
        try:
            TopologicalSorter({step.name: step.depends_on for step in steps}).prepare()
        except CycleError as error:
            self.problems.append(f"steps cannot depend on each other: {', '.join(error.args[1])}")


def parse(text: str) -> tuple[Step, ...]:
    """Returns the steps, or raises the error that AWS would return."""
    reader = _Reader()
    steps: list[Step] = []
    try:
        definition = json.loads(text)
    except ValueError as error:
        reader.problems.append(f"it is not valid JSON: {error}")
    else:
        steps = list(reader.steps(definition))
        reader.check_order(steps)
    if reader.problems:
        # Guess: the code and the wording; AWS reports one problem at a time.
        raise ValidationException("Unable to parse pipeline definition: " + "; ".join(reader.problems))
    return tuple(steps)
