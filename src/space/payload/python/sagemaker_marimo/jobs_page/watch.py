"""Follows a job until it ends, with ever longer pauses, as `marimo-job logs --follow` does."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_marimo.jobs import prices, results, training_status
from sagemaker_marimo.jobs.descriptions import Description
from sagemaker_marimo.jobs.follow import POLL_SECONDS, Log
from sagemaker_marimo.jobs_page import job
from sagemaker_marimo.jobs_page.session import Session


@dataclass
class Watch:
    session: Session
    name: str
    kind: str
    lines: list[str] = field(default_factory=list)
    description: Description = field(default_factory=dict)
    problem: str = ""
    """Why the last request failed."""

    def __post_init__(self) -> None:
        self._log: Log | None = None

    def read(self) -> None:
        """Reads the job's state and the new lines of its log."""
        clients = self.session.clients
        self.description = job.describe(clients.sagemaker, self.name, self.kind)
        self._log = self._log or job.log(clients.logs, self.description)
        self.lines += self._log.new_lines()
        if self.session.costs.note(self.description) is not None and self.has_ended:
            self.session.costs.save()

    @property
    def has_ended(self) -> bool:
        return bool(self.description) and job.has_ended(self.description)

    @property
    def status(self) -> str:
        return job.status_line(self.session.clients.s3, self.description, self.session.now())

    @property
    def cost(self) -> str:
        instance, count = results.instance(self.description), results.instances(self.description)
        seconds = job.billed_seconds(self.description, self.session.now())
        price = prices.cost(instance, seconds, count)
        return f"unknown: no price for {instance}" if price is None else f"{price:.4f} USD"

    @property
    def notes(self) -> str:
        """Of Spot, checkpoints and a warm pool."""
        return "\n".join(training_status.lines(self.description))

    @property
    def reason(self) -> str:
        return results.reason(self.description)

    def follow(
        self,
        show: Callable[[], Any],
        should_exit: Callable[[], bool],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Calls `show` after each reading, until the job has ended or nobody looks any more."""
        began = time.monotonic()
        while not self.has_ended and not should_exit():
            # In steps of a second: another job may be chosen meanwhile.
            for _ in range(max(1, round(min(POLL_SECONDS, (time.monotonic() - began) / 20)))):
                sleep(1.0)
                if should_exit():
                    return
            try:
                self.read()
                self.problem = ""
            except (ClientError, BotoCoreError) as error:
                # A short outage, or credentials that the space renews.
                self.problem = f"AWS: {error}"
            show()
        if self.has_ended:
            # CloudWatch may receive the last lines shortly after SageMaker reports the end.
            sleep(2.0)
            if not should_exit():
                self.read()
                show()
