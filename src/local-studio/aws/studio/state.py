"""The resources of Studio per account and Region, and their status changes."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from moto.ec2.models import EC2Backend, ec2_backends
from moto.efs.models import EFSBackend, efs_backends

from app_host import AppHost, AppHostFailure

from .errors import ResourceInUse, ResourceNotFound

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")
# Region, ARN of the role and condition keys -> variables.
OpenSession = Callable[[str, str, dict[str, str]], dict[str, str]]
Members = dict[str, Any]  # members of a request or an answer, with AWS's names


@dataclass
class Resource:
    """One Studio resource. `members` is the answer of Describe operations; the serializer drops members that
    are not in the model."""

    kind: str  # the name in AWS's messages: Domain, UserProfile, Space, App, StudioLifecycleConfig, Image
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
        """Most operations fail while another one is pending."""
        if self.status in ("Pending", "Updating", "Deleting"):
            # Source: ResourceInUse is an error of Update… and Delete…. Guess: for these statuses, and the
            # wording.
            raise ResourceInUse(f"{self.kind} [{self.arn}] is in {self.status} state.")

    def require_in_service(self) -> None:
        if self.status not in ("InService", "Update_Failed", "Delete_Failed"):
            # Guess: the code, the statuses and the wording.
            raise ResourceInUse(f"{self.kind} [{self.arn}] is in {self.status} state.")


class Store(dict[Key, Resource]):
    """The resources of one kind."""

    def find(self, key: Key, what: str) -> Resource:
        if key not in self:
            # Source: ResourceNotFound is an error of Describe…, Update… and Delete…. Guess: also of Create…,
            # and the wording.
            raise ResourceNotFound(f"{what} does not exist.")
        return self[key]


@dataclass
class Studio:
    """Studio in one account and Region. `lock` protects all members."""

    account: str
    region: str
    partition: str
    app_host: AppHost
    delay: float  # duration of Pending, Updating and Deleting in seconds
    lock: threading.RLock
    jobs: ThreadPoolExecutor  # one thread per running job
    job_watchers: list[Callable[[Any], None]] = field(default_factory=list)  # for every new job
    open_session: OpenSession | None = None  # with --iam
    domains: Store[str] = field(default_factory=Store)
    user_profiles: Store[tuple[str, str]] = field(default_factory=Store)
    spaces: Store[tuple[str, str]] = field(default_factory=Store)
    apps: Store[tuple[str, ...]] = field(default_factory=Store)
    lifecycle_configs: Store[str] = field(default_factory=Store)
    images: Store[str] = field(default_factory=Store)
    image_versions: Store[tuple[str, int]] = field(default_factory=Store)
    app_image_configs: Store[str] = field(default_factory=Store)
    feature_groups: Store[str] = field(default_factory=Store)
    endpoints: Store[str] = field(default_factory=Store)
    # Any: the modules of these classes import this one.
    processing_jobs: dict[str, Any] = field(default_factory=dict)
    training_jobs: dict[str, Any] = field(default_factory=dict)
    pipelines: dict[str, Any] = field(default_factory=dict)
    inference_profiles: dict[str, Members] = field(default_factory=dict)
    warm_pool_quota: int | None = None  # instances in all warm pools; None: no limit

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
        stores = (
            *(self.domains, self.user_profiles, self.spaces, self.apps, self.lifecycle_configs),
            *(self.images, self.image_versions, self.app_image_configs),
            *(self.feature_groups, self.endpoints),
        )
        return [*(resource for store in stores for resource in store.values()), *self.pipelines.values()]

    def credentials(self, role_arn: str, context: dict[str, str]) -> dict[str, dict[str, str]]:
        """For an order to the app host. Without --iam, everything has the rehearsal's own."""
        if self.open_session is None:
            return {}
        return {"credentials": self.open_session(self.region, role_arn, context)}

    def denial(self, role_arn: str, operation: str, request: Members) -> str | None:
        """What IAM says to a service that sends this request as a role. Without --iam, nothing."""
        if self.open_session is None:
            return None
        from iam import Session, refusal_of  # it imports this module

        return refusal_of(Session(role_arn), self, "sagemaker", operation, request)

    def domain(self, request: Members) -> Resource:
        return self.domains.find(request["DomainId"], f"Domain [{request['DomainId']}]")

    def user_profile(self, request: Members, name: str | None = None) -> Resource:
        name = name or request["UserProfileName"]
        return self.user_profiles.find(named(request["DomainId"], name), f"UserProfile [{name}]")

    def space(self, request: Members) -> Resource:
        name = request["SpaceName"]
        return self.spaces.find(named(request["DomainId"], name), f"Space [{name}]")

    def apps_of(self, *statuses: str, **members: str) -> list[Resource]:
        """Returns the apps with these member values and statuses (default: every status except Deleted)."""
        return [
            app
            for app in self.apps.values()
            if (app.status in statuses if statuses else app.status != "Deleted")
            and all(app.members.get(name) == value for name, value in members.items())
        ]

    def settle(self, resource: Resource, status: str = "InService") -> None:
        """Sets the status after the delay, unless the status has changed in the meantime."""
        before = resource.status

        def finish() -> None:
            with self.lock:
                if resource.status == before:
                    # Source: the Status of each Describe… operation has these values.
                    resource.set_status(status)

        self.after(self.delay, finish)

    def remove(self, store: Store[Key], key: Key) -> None:
        """Sets the status Deleting, and removes the resource after the delay."""
        # Source: the Status of each Describe… operation has this value.
        store[key].set_status("Deleting")

        def finish() -> None:
            with self.lock:
                store.pop(key, None)

        self.after(self.delay, finish)

    def ask_app_host(
        self,
        resource: Resource,
        work: Callable[[AppHost], Answer],
        done: Callable[[Answer], None],
        failed: str,
    ) -> None:
        """Runs `work` in a separate thread, because the start of an app can take minutes. The outcome is
        ignored if the resource's status has changed in the meantime (for example if the app was deleted)."""
        before = resource.status

        def run() -> None:
            try:
                answer = work(self.app_host)
            except AppHostFailure as failure:
                with self.lock:
                    if resource.status == before:
                        # Source: Status and FailureReason of each Describe… operation.
                        resource.set_status(failed, str(failure))
                return
            with self.lock:
                if resource.status == before:
                    done(answer)

        self.after(self.delay, run)

    def notify_app_host(self, work: Callable[[AppHost], None]) -> None:
        """Runs `work` in a separate thread. A failure is visible in the resource's status."""

        def run() -> None:
            with suppress(AppHostFailure):
                work(self.app_host)

        threading.Thread(target=run, daemon=True).start()

    def after(self, seconds: float, action: Callable[[], None]) -> threading.Timer:
        timer = threading.Timer(seconds, action)
        timer.daemon = True  # the server may stop at any time
        timer.start()
        return timer


def named(domain_id: str, name: str) -> tuple[str, str]:
    """Key of a user profile or a space. Their ARNs are in lower case, so names are not case-sensitive."""
    return domain_id, name.lower()
