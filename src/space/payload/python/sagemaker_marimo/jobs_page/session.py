"""What one open page knows: whose jobs it shows, and the pages that were read."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sagemaker_marimo import state
from sagemaker_marimo.jobs import lookup, sender, settings
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Clients, Environment, Refused
from sagemaker_marimo.jobs.sweep import Sweep
from sagemaker_marimo.jobs.sweep_store import Store
from sagemaker_marimo.jobs_page import lines
from sagemaker_marimo.jobs_page.costs import Costs
from sagemaker_marimo.jobs_page.lines import Line
from sagemaker_marimo.jobs_page.pages import Pages
from sagemaker_marimo.served_path import is_notebook

MINE = "my jobs"


@dataclass
class Session:
    clients: Clients
    environment: Environment
    who: Sender
    costs: Costs = field(default_factory=Costs)

    def __post_init__(self) -> None:
        self.prefix = self.who.prefix
        self._pages: Pages | None = None
        self._sweeps: list[str] = []

    @classmethod
    def open(cls) -> "Session":
        """Raises Refused if the environment has no jobs."""
        bucket, region = settings.where(None, None)
        clients = settings.connect(region)
        environment = settings.read(clients.s3, bucket)
        return cls(clients, environment, sender.reader(environment, None))

    @property
    def prefixes(self) -> dict[str, str]:
        """What the page can show, with what the jobs' names begin with."""
        prefix = self.environment.prefix
        scheduled = {f"schedule {name}": f"{prefix}-{name}" for name in self.environment.schedules}
        return {MINE: self.who.prefix, **scheduled}

    def show(self, prefix: str) -> None:
        """Reads the lists anew when the next page is asked for."""
        self.prefix, self._pages = prefix, None

    @property
    def pages(self) -> Pages:
        if self._pages is None:
            self._pages = Pages(self.clients.sagemaker, self.prefix)
            # An administrator's schedules have no sweeps.
            self._sweeps = self.store.names() if self.prefix == self.who.prefix and self.who.role else []
        return self._pages

    @property
    def store(self) -> Store:
        return lookup.store(self.clients, self.environment, self.who)

    def lines(self, number: int) -> list[Line]:
        """The lines of the page with this number, from 0."""
        pages = self.pages
        until, since = lines.bounds(pages.page, number, is_last=not pages.has_more(number))
        jobs = pages.page(number)
        return lines.lines(jobs, self._sweeps, self.costs.dollars, until=until, since=since)

    def sweep(self, name: str) -> Sweep:
        return Sweep.open(self.store, name)

    def instances(self, own: str | None = None) -> list[str]:
        """The instance types to choose from: the allowed ones, else those of the price table's usual ones."""
        allowed = self.environment.allowed
        usual = ["ml.m5.large", "ml.m5.xlarge", "ml.m5.4xlarge", "ml.r5.4xlarge", "ml.g5.xlarge"]
        types = [*(usual if allowed is None else allowed), *self.who.team_types]
        return list(dict.fromkeys([*([own] if own else []), self.environment.instance, *types]))

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)


def chosen_notebook(text: object) -> str | None:
    """The notebook that the page's address names, as a path in the home. Raises Refused for another file."""
    if not isinstance(text, str) or not text:
        return None  # no such parameter, or several
    path = (state.HOME / text).resolve()
    if not path.is_relative_to(state.HOME.resolve()) or path.suffix != ".py" or not path.is_file():
        raise Refused([f"{text} is not a Python file in your home folder"])
    if not is_notebook(path):
        raise Refused([f"{text} is not a marimo notebook: it must import marimo and call marimo.App()"])
    return str(path)
