"""A job in a list, of either kind, from the summaries of ListProcessingJobs and ListTrainingJobs."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Members = dict[str, Any]
# In the names of a sweep's jobs: what sweep_plan.MARK counts, and the row. SageMaker Pipelines appends more.
# The name of a single job ends with the 4 hex digits.
_ROW = re.compile(r"(?P<mark>\d{6}-[0-9a-f]{4})-(?:\d+|then)(?:-|$)")
IN_PROGRESS = "in progress"
_STATES = {
    "InProgress": IN_PROGRESS,
    "Completed": "done",
    "Failed": "failed",
    "Stopping": "stopping",
    "Stopped": "stopped",
}


@dataclass(frozen=True)
class Summary:
    name: str
    kind: str
    """`processing` or `training`."""
    state: str
    created: datetime
    ended: datetime | None

    @classmethod
    def of(cls, kind: str, members: Members) -> "Summary":
        word = kind.capitalize()
        status = str(members[f"{word}JobStatus"])
        state = _STATES.get(status, status)
        # Of training jobs (SageMaker API, TrainingJobSummary).
        if status == "InProgress" and members.get("SecondaryStatus") == "Interrupted":
            state = "interrupted"
        ended = members.get(f"{word}EndTime")
        return cls(str(members[f"{word}JobName"]), kind, state, members["CreationTime"], ended)

    @property
    def mark(self) -> str | None:
        """The end of the name of the sweep that has this job as a row."""
        match = _ROW.search(self.name)
        return match["mark"] if match else None

    @property
    def seconds(self) -> float | None:
        """From the request to the end: summaries do not have the start."""
        return None if self.ended is None else (self.ended - self.created).total_seconds()
