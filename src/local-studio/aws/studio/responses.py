"""The HTTP interface of SageMaker. Validates every request, answers Studio's operations, and passes the other
operations to moto."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import moto.sagemaker.urls
from moto.core.common_types import TYPE_RESPONSE
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import Request
from moto.core.responses import ActionResult
from moto.sagemaker.responses import SageMakerResponse
from moto.utilities.utils import get_partition

from app_host import AppHost

from . import (
    app_image_configs,
    apps,
    domains,
    endpoints,
    feature_groups,
    images,
    jobs,
    lifecycle_configs,
    listing,
    model_registry,
    pipelines,
    presigned_urls,
    processing_jobs,
    request_validation,
    spaces,
    tags,
    training_jobs,
    user_profiles,
    warm_pools,
)
from .errors import UnknownOperationException
from .state import Members, OpenSession, Resource, Studio

_OPERATIONS: dict[str, Callable[[Studio, Members], Members | None]] = {
    "CreateDomain": domains.create,
    "DescribeDomain": domains.describe,
    "UpdateDomain": domains.update,
    "DeleteDomain": domains.delete,
    "ListDomains": listing.domains,
    "CreateUserProfile": user_profiles.create,
    "DescribeUserProfile": user_profiles.describe,
    "UpdateUserProfile": user_profiles.update,
    "DeleteUserProfile": user_profiles.delete,
    "ListUserProfiles": listing.user_profiles,
    "CreateSpace": spaces.create,
    "DescribeSpace": spaces.describe,
    "UpdateSpace": spaces.update,
    "DeleteSpace": spaces.delete,
    "ListSpaces": listing.spaces,
    "CreateApp": apps.create,
    "DescribeApp": apps.describe,
    "DeleteApp": apps.delete,
    "ListApps": listing.apps,
    "CreateStudioLifecycleConfig": lifecycle_configs.create,
    "DescribeStudioLifecycleConfig": lifecycle_configs.describe,
    "DeleteStudioLifecycleConfig": lifecycle_configs.delete,
    "ListStudioLifecycleConfigs": listing.lifecycle_configs,
    "CreateImage": images.create,
    "DescribeImage": images.describe,
    "UpdateImage": images.update,
    "DeleteImage": images.delete,
    "ListImages": listing.images,
    "CreateImageVersion": images.create_version,
    "DescribeImageVersion": images.describe_version,
    "UpdateImageVersion": images.update_version,
    "DeleteImageVersion": images.delete_version,
    "ListImageVersions": listing.image_versions,
    "CreateAppImageConfig": app_image_configs.create,
    "DescribeAppImageConfig": app_image_configs.describe,
    "UpdateAppImageConfig": app_image_configs.update,
    "DeleteAppImageConfig": app_image_configs.delete,
    "ListAppImageConfigs": listing.app_image_configs,
    "CreateProcessingJob": processing_jobs.create,
    "DescribeProcessingJob": processing_jobs.describe,
    "StopProcessingJob": processing_jobs.stop,
    "ListProcessingJobs": listing.processing_jobs,
    "CreateTrainingJob": training_jobs.create,
    "DescribeTrainingJob": training_jobs.describe,
    "StopTrainingJob": training_jobs.stop,
    "UpdateTrainingJob": warm_pools.update,
    "ListTrainingJobs": listing.training_jobs,
    "CreateFeatureGroup": feature_groups.create,
    "DescribeFeatureGroup": feature_groups.describe,
    "DeleteFeatureGroup": feature_groups.delete,
    "ListFeatureGroups": listing.feature_groups,
    "CreateEndpoint": endpoints.create,
    "UpdateEndpoint": endpoints.update,
    "DescribeEndpoint": endpoints.describe,
    "DeleteEndpoint": endpoints.delete,
    "ListEndpoints": listing.endpoints,
    "BatchDescribeModelPackage": model_registry.batch_describe,
    "DeleteModelPackage": model_registry.delete_package,
    "DeleteModelPackageGroup": model_registry.delete_group,
    "CreatePipeline": pipelines.create,
    "UpdatePipeline": pipelines.update,
    "DescribePipeline": pipelines.describe,
    "DeletePipeline": pipelines.delete,
    "ListPipelines": listing.pipelines,
    "StartPipelineExecution": pipelines.start_execution,
    "StopPipelineExecution": pipelines.stop_execution,
    "RetryPipelineExecution": pipelines.retry_execution,
    "DescribePipelineExecution": pipelines.describe_execution,
    "ListPipelineExecutions": listing.pipeline_executions,
    "ListPipelineExecutionSteps": listing.pipeline_execution_steps,
}
# For resources of moto, moto answers these operations.
_TAG_OPERATIONS: dict[str, Callable[[Resource, Members], Members]] = {
    "ListTags": lambda resource, _: {"Tags": resource.tags},
    "AddTags": tags.add,
    "DeleteTags": tags.delete,
}
JobWatcher = Callable[[Studio, jobs.Job], None]


@dataclass
class ControlPlane:
    """Studio in every account and Region that has received requests."""

    app_host: AppHost
    delay: float
    parallel_jobs: int
    job_watchers: list[JobWatcher]  # watch every job
    lock: threading.RLock = field(default_factory=threading.RLock)
    # Returns the variables of a role's session. None: without --iam.
    open_session: OpenSession | None = None
    studios: dict[tuple[str, str], Studio] = field(default_factory=dict)
    jobs: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = ThreadPoolExecutor(self.parallel_jobs, "job")

    def studio(self, account: str, region: str, partition: str) -> Studio:
        key = (account, region)
        if key not in self.studios:
            studio = Studio(account, region, partition, self.app_host, self.delay, self.lock, self.jobs)
            studio.job_watchers = [partial(watch, studio) for watch in self.job_watchers]
            studio.open_session = self.open_session
            self.studios[key] = studio
        return self.studios[key]

    def studio_of(self, region: str) -> Studio:
        return self.studio(DEFAULT_ACCOUNT_ID, region, get_partition(region))


class StudioResponse(SageMakerResponse):
    control_plane: ClassVar[ControlPlane]

    def __init__(self) -> None:
        super().__init__()
        self.request_members: Members = {}
        self.refusal: ServiceException | None = None

    def parse_parameters(self, request: Request) -> None:
        # moto calls this outside its error handling, so the error is raised in call_action.
        try:
            self.request_members = request_validation.parse(self._get_action(), request.data)
            tags.refuse_reserved(self.request_members)
        except ServiceException as refusal:
            self.refusal = refusal
        else:
            super().parse_parameters(request)

    def call_action(self) -> TYPE_RESPONSE:
        operation = self._get_action()
        try:
            if self.refusal:
                raise self.refusal
            answer = self._answer(operation)
        except ServiceException as refusal:
            return self._send(refusal)
        if answer is not None:
            return self._send(answer)
        try:
            with self.control_plane.lock:
                return super().call_action()
        except NotImplementedError:
            return self._send(UnknownOperationException(f"The local AWS does not implement {operation}."))

    def _answer(self, operation: str) -> Members | None:
        """Returns the answer, or None if moto must answer."""
        control_plane = self.control_plane
        with control_plane.lock:
            studio = control_plane.studio(self.current_account, self.region, self.partition)
            if operation in _OPERATIONS:
                answer = _OPERATIONS[operation](studio, self.request_members) or {}
                return {name: value for name, value in answer.items() if value is not None}
            if operation in _TAG_OPERATIONS:
                resource = tags.find(studio, self.request_members)
                if resource is not None:
                    return _TAG_OPERATIONS[operation](resource, self.request_members)
        if operation == "CreatePresignedDomainUrl":
            return presigned_urls.create(studio, self.request_members)
        return None

    def _send(self, result: Any) -> TYPE_RESPONSE:
        status, headers, body = self.serialized(ActionResult(result))
        headers, body = self._enrich_response(headers, body)
        return status, headers, body


def install(control_plane: ControlPlane) -> None:
    """Puts Studio in front of moto's SageMaker."""
    StudioResponse.control_plane = control_plane
    moto.sagemaker.urls.url_paths["{0}/$"] = StudioResponse.dispatch
