"""The times of a schedule: a cron expression of five fields, its form for EventBridge Scheduler, and when it
is next due. The image has no library that knows both; this is the part that both have in common."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
EXAMPLE = '"0 7 * * MON-FRI" (minute, hour, day of month, month, day of week)'
# 29 February is at most 8 years away.
_LONGEST = timedelta(days=8 * 366)
# More than the starts of a day, and than the days of a year.
_COMPARED = 1500


class CronError(Exception):
    """What is wrong with an expression."""


@dataclass(frozen=True)
class Field:
    name: str
    first: int
    last: int
    words: tuple[str, ...] = ()

    @property
    def all(self) -> frozenset[int]:
        return frozenset(range(self.first, self.last + 1))

    def parse(self, text: str) -> frozenset[int]:
        return frozenset(value for item in text.split(",") for value in self._item(text, item))

    def _item(self, text: str, item: str) -> Iterator[int]:
        parts = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?", item)
        if parts is None:
            raise CronError(f"{text!r} is not a valid {self.name}")
        if parts[1] == "*":
            first, last = self.first, self.last
        else:
            first = self._number(text, parts[2])
            # As in cron(8): a step needs a range, else it goes on to the end.
            last = self._number(text, parts[3]) if parts[3] else self.last if parts[4] else first
        if self.words == _DAYS and last < first:
            last += 7  # FRI-MON
        if last < first:
            raise CronError(f"{text!r} is not a valid {self.name}: {item} goes backwards")
        for value in range(first, last + 1, int(parts[4] or 1)):
            yield value % 7 if self.words == _DAYS else value

    def _number(self, text: str, word: str) -> int:
        if word.upper() in self.words:
            return self.words.index(word.upper()) + self.first
        # 7 is Sunday too.
        most = 7 if self.words == _DAYS else self.last
        if not word.isdecimal() or not self.first <= int(word) <= most:
            raise CronError(f"{text!r} is not a valid {self.name}: it must be {self.first} to {self.last}")
        return int(word)

    def format(self, values: frozenset[int]) -> str:
        """For EventBridge Scheduler, which counts days of the week from 1: names are the same everywhere."""
        if values == self.all:
            return "*"
        found = sorted(values)
        texts = [self.words[value - self.first] if self.words else str(value) for value in found]
        is_range = len(found) > 2 and all(after - before == 1 for before, after in pairwise(found))
        return f"{texts[0]}-{texts[-1]}" if is_range else ",".join(texts)


_FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, _MONTHS),
    Field("day of week", 0, 6, _DAYS),
)


@dataclass(frozen=True)
class Cron:
    values: tuple[frozenset[int], ...]

    @classmethod
    def parse(cls, text: str) -> "Cron":
        words = text.split()
        if len(words) != len(_FIELDS):
            raise CronError(f"{text!r} has {len(words)} fields, but must have 5, such as {EXAMPLE}")
        cron = cls(tuple(field.parse(word) for field, word in zip(_FIELDS, words, strict=True)))
        _, _, day, _, weekday = cron._is_all()
        if not day and not weekday:
            # cron(8) runs on both. User Guide, "Cron-based schedules": one of them must be ?.
            raise CronError(
                f"{text!r} has a day of month and a day of week, but EventBridge Scheduler allows one of "
                "them: make two schedules"
            )
        if next(cron.times(datetime.now(UTC), ZoneInfo("UTC")), None) is None:
            raise CronError(f"{text!r} is never due")
        return cron

    @classmethod
    def of_expression(cls, expression: str) -> "Cron | None":
        """From EventBridge Scheduler; None for an expression that `expression` does not write."""
        match = re.fullmatch(r"cron\((\S+ \S+ \S+ \S+ \S+) \*\)", expression)
        try:
            cron = cls.parse(match[1].replace("?", "*")) if match else None
        except CronError:
            return None
        return cron if cron is not None and cron.expression == expression else None

    def _is_all(self) -> tuple[bool, ...]:
        return tuple(values == field.all for field, values in zip(_FIELDS, self.values, strict=True))

    def __str__(self) -> str:
        texts = (field.format(values) for field, values in zip(_FIELDS, self.values, strict=True))
        return " ".join(texts)

    @property
    def expression(self) -> str:
        minute, hour, day, month, weekday = str(self).split()
        if weekday == "*":
            weekday = "?"
        else:
            day = "?"
        return f"cron({minute} {hour} {day} {month} {weekday} *)"

    def times(self, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Yields the times after this one, at most those of 8 years."""
        minutes, hours, days, months, weekdays = self.values
        there = after.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        end = there + _LONGEST
        while there < end:
            if there.month in months and there.day in days and (there.weekday() + 1) % 7 in weekdays:
                for hour in sorted(hours):
                    for minute in sorted(minutes):
                        local = there.replace(hour=hour, minute=minute)
                        moment = local.replace(tzinfo=zone).astimezone(UTC)
                        # User Guide, "Daylight savings time": a skipped local time is not invoked, a repeated
                        # one once.
                        exists = moment.astimezone(zone).replace(tzinfo=None, fold=0) == local
                        if exists and moment > after:
                            yield moment
            there += timedelta(days=1)

    def shortest(self) -> timedelta | None:
        """The shortest time between two starts. In UTC, which skips and repeats no hour."""
        begin = datetime(2024, 1, 1, tzinfo=UTC)
        times = islice(self.times(begin, ZoneInfo("UTC")), _COMPARED)
        return min((after - before for before, after in pairwise(times)), default=None)
