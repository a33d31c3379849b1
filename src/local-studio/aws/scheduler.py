"""The clock of EventBridge Scheduler, and of rules with a schedule. moto stores schedules; this module
validates them, and invokes each when it is due."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.events.models import events_backends
from moto.scheduler.exceptions import ValidationException
from moto.scheduler.models import EventBridgeSchedulerBackend, scheduler_backends
from moto.utilities.utils import get_partition

import event_bus
from policies import role_of, trusts
from schedule_expression import occurrences, parse
from schedule_invocation import SERVICE, invoke, trust_context
from studio.responses import ControlPlane
from studio.state import Members, Studio


def install() -> None:
    """Rejects schedules that moto accepts and AWS rejects."""
    backend: Any = EventBridgeSchedulerBackend
    for name in ("create_schedule", "update_schedule"):
        method = getattr(backend, name)

        def checked(self: Any, method: Any = method, **members: Any) -> Any:
            _check(self, members)
            return method(self, **members)

        setattr(backend, name, checked)


def _check(backend: Any, members: Members) -> None:
    expression = members["schedule_expression"]
    zone = members["schedule_expression_timezone"] or "UTC"
    if zone not in available_timezones():
        # Guess: the wording.
        raise ValidationException(f"Provided Timezone {zone} is not valid.")
    try:
        parse(expression)
    except ValueError:
        # Source: localstack/localstack#9284 (including the wording).
        raise ValidationException(f"Invalid Schedule Expression {expression}.") from None
    target = members["target"]
    role = role_of(backend.account_id, backend.partition, target["RoleArn"])
    group = f"schedule-group/{members['group_name'] or 'default'}"
    arn = f"arn:{backend.partition}:scheduler:{backend.region_name}:{backend.account_id}:{group}"
    if role is None or not trusts(role, SERVICE, trust_context(backend.account_id, arn)):
        # Source: aws/aws-sdk-js-v3#6494 (including the wording).
        raise ValidationException(
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
        )


class Clock:
    """Invokes due schedules every half second."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        after = datetime.now(UTC)
        while True:
            time.sleep(0.5)
            with self._control_plane.lock:
                until = datetime.now(UTC)
                # A copy of the existing backends: access to a Region by name would create one.
                schedulers, buses = (
                    scheduler_backends[DEFAULT_ACCOUNT_ID],
                    events_backends[DEFAULT_ACCOUNT_ID],
                )
                for region in {*dict(schedulers), *dict(buses)}:
                    studio = self._control_plane.studio(DEFAULT_ACCOUNT_ID, region, get_partition(region))
                    _invoke_all(studio, after, until)
                    event_bus.fire_scheduled(studio, after, until)
            after = until


def _invoke_all(studio: Studio, after: datetime, until: datetime) -> list[Members]:
    return [
        invoke(studio, group, schedule, moment)
        for group in list(_backend(studio).schedule_groups.values())
        for schedule in list(group.schedules.values())
        if schedule.state == "ENABLED"
        for moment in occurrences(schedule, after, until)
    ]


def _backend(studio: Studio) -> EventBridgeSchedulerBackend:
    backend: EventBridgeSchedulerBackend = scheduler_backends[studio.account][studio.region]
    return backend


def fire_now(studio: Studio, order: Members) -> Members:
    """Invokes one schedule now."""
    group = _backend(studio).get_schedule_group(order.get("GroupName"))
    schedule = group.get_schedule(order["Name"])
    if schedule.state != "ENABLED":
        raise ValueError(f"schedule {schedule.name} is {schedule.state}: it must be ENABLED")
    return invoke(studio, group, schedule, datetime.now(UTC))


def pass_time(studio: Studio, order: Members) -> Members:
    """Invokes the schedules that are due after one time and up to another, as if that time had passed."""
    after, until = (datetime.fromisoformat(order[name]).astimezone(UTC) for name in ("After", "Until"))
    if not timedelta() < until - after <= timedelta(days=366):
        raise ValueError(f"Until {until} must be up to 366 days later than After {after}")
    event_bus.fire_scheduled(studio, after, until)
    return {"Fired": _invoke_all(studio, after, until)}
