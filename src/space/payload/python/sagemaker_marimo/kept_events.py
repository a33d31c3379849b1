"""Events that a page has not confirmed yet, in memory up to a limit, and beyond that in a temporary file."""

import tempfile
from collections import deque
from itertools import islice
from typing import IO

MEMORY_BYTES = 8 << 20
"""For each page. Further events go to the file, so that a laptop that is asleep costs no memory."""
FILE_BYTES = 512 << 20
"""For each page. A page that misses more is reloaded."""


class KeptEvents:
    """A queue of byte strings. Each has a number, the first one has 1."""

    def __init__(self) -> None:
        self.last = 0
        """The number of the newest event, or 0."""
        self._events: deque[bytes | tuple[int, int]] = deque()
        """The events themselves, or offset and size in the file."""
        self._memory = 0
        self._file: IO[bytes] | None = None
        self._end = 0

    def append(self, event: bytes) -> None:
        self.last += 1
        if self._memory + len(event) <= MEMORY_BYTES or not self._events:
            self._events.append(event)
            self._memory += len(event)
            return
        try:
            if self._end + len(event) > FILE_BYTES:
                raise OSError(f"more than {FILE_BYTES} bytes")
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `clear`
            self._file.seek(self._end)
            self._file.write(event)
        except OSError:
            self.clear()  # the page has missed this event and all before it
            return
        self._events.append((self._end, len(event)))
        self._end += len(event)

    def confirm(self, number: int) -> None:
        """Forgets the events up to this number."""
        while self._events and self.last - len(self._events) < number:
            event = self._events.popleft()
            if isinstance(event, bytes):
                self._memory -= len(event)
        if not self._events:
            self.clear()

    def after(self, number: int, limit: int) -> list[bytes] | None:
        """The next events after this number, about `limit` bytes. None if they were discarded."""
        first = len(self._events) - (self.last - number)
        if not 0 <= first <= len(self._events):
            return None
        found: list[bytes] = []
        size = 0
        for event in islice(self._events, first, None):
            found.append(self._read(event))
            size += len(found[-1])
            if size >= limit:
                break
        return found

    def clear(self) -> None:
        self._events.clear()
        self._memory = self._end = 0
        if self._file:
            self._file.close()
            self._file = None

    def _read(self, event: bytes | tuple[int, int]) -> bytes:
        if isinstance(event, bytes):
            return event
        if self._file is None:
            raise RuntimeError("the file of these events is closed")
        offset, size = event
        self._file.seek(offset)
        return self._file.read(size)
