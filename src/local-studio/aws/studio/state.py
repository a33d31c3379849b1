"""What exists in Studio, per account and region, and how it changes by itself."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from moto.ec2.models import EC2Backend, ec2_backends
from moto.efs.models import EFSBackend, efs_backends

from app_host import AppHost, AppHostFailure

from .errors import ResourceInUse, ResourceNotFound

if TYPE_CHECKING:
    from .pipelines import Pipeline
    from .processing_jobs import ProcessingJob

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")
Members = dict[str, Any]  # members of a request or an answer, under AWS's own names


@dataclass
class Resource:
    """One Studio resource. `members` hold what Describe answers; the serializer drops what is not in the
    model."""

    kind: str  # as AWS's messages call it: Domain, UserProfile, Space, App, StudioLifecycleConfig
    arn: str
    members: Members
    tags: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        self.members |= {"Status": "Pending", "CreationTime": now, "LastModifiedTime": now}

    @property
    def status(self) -> str:
        return str(self.members["Status"])

    def set_status(self, status: str, failure_reason: str | None = None) -> None:
        self.members["Status"] = status
        self.members["LastModifiedTime"] = datetime.now(UTC)
        self.members.pop("FailureReason", None)
        if failure_reason:
            self.members["FailureReason"] = failure_reason[:1024]  # the model's limit of FailureReason

    def require_settled(self) -> None:
        """Most operations are refused while another one is under way."""
        if self.status in ("Pending", "Updating", "Deleting"):
            # Source: ResourceInUse is an error of Update… and Delete…. Guess: in these statuses, and the
            # words.
            raise ResourceInUse(f"{self.kind} [{self.arn}] is in {self.status} state.")

    def require_in_service(self) -> None:
        if self.status not in ("InService", "Update_Failed", "Delete_Failed"):
            # Guess: the code, the statuses and the words.
            raise ResourceInUse(f"{self.kind} [{self.arn}] is in {self.status} state.")


class Store(dict[Key, Resource]):
    """Resources of one kind."""

    def find(self, key: Key, what: str) -> Resource:
        if key not in self:
            # Source: ResourceNotFound is an error of Describe…, Update… and Delete…. Guess: of Create… too,
            # and the words.
            raise ResourceNotFound(f"{what} does not exist.")
        return self[key]


@dataclass
class Studio:
    """Studio in one account and region. `lock` guards everything in it."""

    account: str
    region: str
    partition: str
    app_host: AppHost
    delay: float  # seconds that Pending, Updating and Deleting last
    lock: threading.RLock
    jobs: ThreadPoolExecutor  # a thread for each processing job that runs; the others wait
    job_watchers: list[Callable[["ProcessingJob"], None]] = field(default_factory=list)  # of every new job
    domains: Store[str] = field(default_factory=Store)
    user_profiles: Store[tuple[str, str]] = field(default_factory=Store)
    spaces: Store[tuple[str, str]] = field(default_factory=Store)
    apps: Store[tuple[str, ...]] = field(default_factory=Store)
    lifecycle_configs: Store[str] = field(default_factory=Store)
    processing_jobs: dict[str, "ProcessingJob"] = field(default_factory=dict)
    pipelines: dict[str, "Pipeline"] = field(default_factory=dict)

    def arn(self, resource: str) -> str:
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.account}:{resource}"

    @property
    def ec2(self) -> EC2Backend:
        return ec2_backends[self.account][self.region]

    @property
    def efs(self) -> EFSBackend:
        return efs_backends[self.account][self.region]

    @property
    def resources(self) -> list[Resource]:
        stores = (self.domains, self.user_profiles, self.spaces, self.apps, self.lifecycle_configs)
        return [*(resource for store in stores for resource in store.values()), *self.pipelines.values()]

    def domain(self, request: Members) -> Resource:
        return self.domains.find(request["DomainId"], f"Domain [{request['DomainId']}]")

    def user_profile(self, request: Members, name: str | None = None) -> Resource:
        name = name or request["UserProfileName"]
        return self.user_profiles.find(named(request["DomainId"], name), f"UserProfile [{name}]")

    def space(self, request: Members) -> Resource:
        name = request["SpaceName"]
        return self.spaces.find(named(request["DomainId"], name), f"Space [{name}]")

    def apps_of(self, *statuses: str, **members: str) -> list[Resource]:
        """Apps whose members have these values, in these statuses (all but Deleted when none is named)."""
        return [
            app
            for app in self.apps.values()
            if (app.status in statuses if statuses else app.status != "Deleted")
            and all(app.members.get(name) == value for name, value in members.items())
        ]

    def settle(self, resource: Resource, status: str = "InService") -> None:
        """Reaches the status after the delay, unless something else has happened to the resource by then."""
        before = resource.status

        def finish() -> None:
            with self.lock:
                if resource.status == before:
                    # Source: each Describe…'s Status has the values.
                    resource.set_status(status)

        self._after_delay(finish)

    def remove(self, store: Store[Key], key: Key) -> None:
        """Deletes the resource: Deleting for the delay, then gone."""
        # Source: each Describe…'s Status has the value.
        store[key].set_status("Deleting")

        def finish() -> None:
            with self.lock:
                store.pop(key, None)

        self._after_delay(finish)

    def ask_app_host(
        self,
        resource: Resource,
        work: Callable[[AppHost], Answer],
        done: Callable[[Answer], None],
        failed: str,
    ) -> None:
        """Runs `work` on a thread of its own: an app may take minutes. Its outcome counts only as long as
        nobody changed the resource's status meanwhile (an app deleted while it starts stays on its way to
        Deleted)."""
        before = resource.status

        def run() -> None:
            try:
                answer = work(self.app_host)
            except AppHostFailure as failure:
                with self.lock:
                    if resource.status == before:
                        # Source: each Describe…'s Status and FailureReason.
                        resource.set_status(failed, str(failure))
                return
            with self.lock:
                if resource.status == before:
                    done(answer)

        self._after_delay(run)

    def tell_app_host(self, work: Callable[[AppHost], None]) -> None:
        """Runs `work` on a thread of its own, whose failure shows in what it was to change."""

        def run() -> None:
            with suppress(AppHostFailure):
                work(self.app_host)

        threading.Thread(target=run, daemon=True).start()

    def _after_delay(self, action: Callable[[], None]) -> None:
        timer = threading.Timer(self.delay, action)
        timer.daemon = True  # the server may stop at any time
        timer.start()


def named(domain_id: str, name: str) -> tuple[str, str]:
    """Key of a user profile or a space. Their ARNs are in lower case, so names that differ in case alone
    collide."""
    return domain_id, name.lower()
