"""Jobs of both kinds, newest first, page by page: at most one request of each list a page."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo.jobs.lookup import DENIED
from sagemaker_marimo.jobs_page.summary import Summary

KINDS = ("processing", "training")
PAGE_SIZE = 50
MAX_RESULTS = 100
"""SageMaker API, ListProcessingJobs and ListTrainingJobs."""
MOST_EMPTY = 20
"""Answers without a job in a row after which a list counts as ended. AWS may filter after it has read."""


class _Source:
    """The jobs of one kind that the answers so far had and no page has taken."""

    def __init__(self, sagemaker: Any, kind: str, prefix: str, after: datetime | None) -> None:
        self._list = getattr(sagemaker, f"list_{kind}_jobs")
        self._kind = kind
        self._prefix = prefix
        self._filter = {} if after is None else {"CreationTimeAfter": after}
        self._token: str | None = None
        self._has_more = True
        self._jobs: deque[Summary] = deque()
        self.problem = ""

    def next(self) -> Summary | None:
        empty = 0
        while not self._jobs and self._has_more and empty < MOST_EMPTY:
            self._read()
            empty += 1
        return self._jobs[0] if self._jobs else None

    def take(self) -> Summary:
        return self._jobs.popleft()

    @property
    def has_more(self) -> bool:
        return bool(self._jobs) or self._has_more

    def _read(self) -> None:
        token = {} if self._token is None else {"NextToken": self._token}
        try:
            answer = self._list(
                NameContains=f"{self._prefix}-",
                SortBy="CreationTime",
                SortOrder="Descending",
                MaxResults=MAX_RESULTS,
                **self._filter,
                **token,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != DENIED:
                raise
            self.problem = f"Your role may not list {self._kind} jobs."
            self._has_more = False
            return
        found = (Summary.of(self._kind, one) for one in answer[f"{self._kind.capitalize()}JobSummaries"])
        # Other jobs may have the prefix in the middle of their names.
        self._jobs += (one for one in found if one.name.startswith(f"{self._prefix}-"))
        self._token = answer.get("NextToken")
        self._has_more = self._token is not None


class Pages:
    """The jobs whose names begin with a prefix and a hyphen. Pages that were read once are kept."""

    def __init__(
        self, sagemaker: Any, prefix: str, size: int = PAGE_SIZE, after: datetime | None = None
    ) -> None:
        self._size = size
        self._sources = [_Source(sagemaker, kind, prefix, after) for kind in KINDS]
        self._pages: list[list[Summary]] = []

    def page(self, number: int) -> list[Summary]:
        """The page with this number, from 0; empty after the last one."""
        while len(self._pages) <= number:
            page = self._read()
            if not page:
                return []
            self._pages.append(page)
        return self._pages[number]

    def has_more(self, number: int) -> bool:
        """Whether a page may follow this one. Needs no request, so the page that follows may be empty."""
        return number + 1 < len(self._pages) or any(one.has_more for one in self._sources)

    @property
    def problems(self) -> list[str]:
        return [one.problem for one in self._sources if one.problem]

    def __iter__(self) -> Iterator[Summary]:
        number = 0
        while page := self.page(number):
            yield from page
            number += 1

    def _read(self) -> list[Summary]:
        page: list[Summary] = []
        while len(page) < self._size:
            found = [(job.created, i) for i, one in enumerate(self._sources) if (job := one.next())]
            if not found:
                break
            page.append(self._sources[max(found)[1]].take())
        return page
