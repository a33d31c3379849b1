"""The times at which a schedule of EventBridge Scheduler is due, from its cron(…), rate(…) or at(…)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aws_croniter.aws_croniter import AwsCroniter
from moto.scheduler.models import Schedule

_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


def parse(expression: str) -> AwsCroniter | timedelta | datetime:
    """User Guide, "Schedule types in EventBridge Scheduler". Raises ValueError for other expressions."""
    if cron := re.fullmatch(r"cron\((.+)\)", expression):
        try:
            return AwsCroniter(" ".join(cron[1].split()))
        except Exception as error:  # the library's errors have no common class
            raise ValueError(str(error)) from None
    if rate := re.fullmatch(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)", expression):
        if (rate[1] == "1") == bool(rate[3]):
            raise ValueError(f"{rate[1]} {rate[2]}{rate[3]} is not a valid rate")
        return int(rate[1]) * _UNITS[rate[2]]
    if once := re.fullmatch(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", expression):
        return datetime.fromisoformat(once[1])
    raise ValueError(f"{expression} must be cron(…), rate(…) or at(…)")


def occurrences(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yields the times at which the schedule is due, after one time and up to another."""
    first, last = (_moment(schedule.start_date), _moment(schedule.end_date))
    until = min(until, last) if last else until
    for moment in _all_occurrences(schedule, after, until, first):
        if first is None or moment >= first:
            yield moment


def _all_occurrences(
    schedule: Schedule, after: datetime, until: datetime, first: datetime | None
) -> Iterator[datetime]:
    parsed = parse(schedule.schedule_expression)
    zone = ZoneInfo(schedule.schedule_expression_timezone)
    if isinstance(parsed, datetime):
        moment = parsed.replace(tzinfo=zone).astimezone(UTC)
        if after < moment <= until:
            yield moment
    elif isinstance(parsed, timedelta):
        # Without a start date, a rate begins when the schedule is created.
        moment = first or datetime.fromtimestamp(schedule.creation_date, UTC)
        if moment <= after:
            moment += ((after - moment) // parsed + 1) * parsed
        while moment <= until:
            yield moment
            moment += parsed
    else:
        # The library calculates in UTC, so it gets the local time as if it were UTC.
        local = after.astimezone(zone).replace(tzinfo=UTC, fold=0) - timedelta(minutes=1)
        while (local := parsed.get_next(local)[0]) is not None:
            there = local.replace(tzinfo=zone)
            moment = there.astimezone(UTC)
            # User Guide, "Daylight savings time": a skipped local time is not invoked, a repeated one once.
            if moment.astimezone(zone).replace(tzinfo=UTC) == local and after < moment <= until:
                yield moment
            if moment > until + timedelta(hours=1):
                return


def _moment(value: Any) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(float(value), UTC)
