"""Events that a page has not confirmed: in memory, beyond a limit in a file, beyond another one lost."""

import tempfile
from collections.abc import Iterator

import pytest

from sagemaker_marimo import kept_events
from sagemaker_marimo.kept_events import KeptEvents

EVERYTHING = 1 << 30


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_events, "MEMORY_BYTES", 100)
    monkeypatch.setattr(kept_events, "FILE_BYTES", 1000)


made: list[KeptEvents] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while made:
        made.pop().clear()


def filled(count: int, size: int = 10) -> tuple[KeptEvents, list[bytes]]:
    kept = KeptEvents()
    made.append(kept)
    events = [(b"%03d" % number).ljust(size, b".") for number in range(1, count + 1)]
    for event in events:
        kept.append(event)
    return kept, events


@pytest.mark.parametrize("count", [0, 1, 10, 11, 50, 110])
def test_keeps_the_order_in_memory_and_in_the_file(count: int) -> None:
    kept, events = filled(count)
    assert kept.last == count
    for number in range(count + 1):
        assert kept.after(number, EVERYTHING) == events[number:]
    assert kept.after(count + 1, EVERYTHING) is None
    assert kept.after(-1, EVERYTHING) is None
    assert (kept._file is not None) == (count > 10)


def test_returns_a_batch() -> None:
    kept, events = filled(50)
    assert kept.after(0, 25) == events[:3]
    assert kept.after(9, 25) == events[9:12], "across the border between memory and file"
    assert kept.after(0, 1) == events[:1], "at least one"


def test_confirmed_events_make_room() -> None:
    kept, events = filled(50)
    kept.confirm(45)
    assert kept.after(44, EVERYTHING) is None
    assert kept.after(45, EVERYTHING) == events[45:]
    kept.append(b"new")
    assert kept.after(45, EVERYTHING) == [*events[45:], b"new"]
    kept.confirm(51)
    assert kept._file is None, "the file is gone when nothing in it is needed"
    assert kept.after(51, EVERYTHING) == []


def test_confirming_twice_or_too_much_is_harmless() -> None:
    kept, events = filled(5)
    kept.confirm(2)
    kept.confirm(1)
    assert kept.after(2, EVERYTHING) == events[2:]
    kept.confirm(99)
    assert kept.after(5, EVERYTHING) == []


def test_loses_everything_beyond_the_second_limit_and_says_so() -> None:
    kept, _ = filled(111)
    assert kept.last == 111
    assert kept.after(0, EVERYTHING) is None
    assert kept.after(110, EVERYTHING) is None
    assert kept.after(111, EVERYTHING) == []
    assert kept._file is None
    kept.append(b"later")
    assert kept.after(111, EVERYTHING) == [b"later"]


def test_keeps_one_event_that_is_larger_than_the_limit() -> None:
    kept, events = filled(1, size=5000)
    assert kept.after(0, EVERYTHING) == events


def test_a_full_disk_is_like_the_second_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    kept, _ = filled(11)
    assert kept.after(0, EVERYTHING) is None
    assert kept.after(11, EVERYTHING) == []
