"""The states of a sweep's rows, and how many rows are in each."""

from collections import Counter
from dataclasses import dataclass

# The states of a row. A resume may run a row again in the first four.
WAITING, RUNNING, INTERRUPTED, STOPPED = "waiting", "running", "interrupted", "stopped"
DONE, FAILED = "done", "failed"
STOPPING = "stopping"  # of a whole sweep


@dataclass
class Progress:
    """The state of a sweep."""

    rows: list[str]  # the state of each row
    retries: int = 0
    then: str | None = None  # the state of the last notebook
    is_over: bool = False
    is_stopping: bool = False

    def count(self) -> Counter[str]:
        return Counter(self.rows)

    @property
    def state(self) -> str:
        """The state of the whole sweep, in the words that jobs have."""
        found = {*self.rows, self.then}
        if not self.is_over:
            return STOPPING if self.is_stopping else RUNNING
        # After an interruption, the rows that were waiting are stopped too.
        if INTERRUPTED in found:
            return FAILED
        return next((state for state in (STOPPED, FAILED) if state in found), DONE)

    def __str__(self) -> str:
        count = self.count()
        states = (DONE, RUNNING, WAITING, FAILED, INTERRUPTED, STOPPED)
        words = [f"{count[state]} {state}" for state in states if count[state] or state == DONE]
        if self.retries:
            words.append(f"{self.retries} retried")
        if self.then:
            words.append(f"then: {self.then}")
        return f"{len(self.rows)} rows: " + ", ".join(words)
