"""The List operations: filters, order and pages."""

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from . import pipelines as pipelines_
from .errors import ValidationException
from .state import Members, Resource, Studio

# Source: ListApps and the other List operations, MaxResults: the default.
_PAGE = 10

# The member for SortBy=Name, by list. The other values of SortBy are member names.
_NAMES = {
    "StudioLifecycleConfigs": "StudioLifecycleConfigName",
    "ProcessingJobSummaries": "ProcessingJobName",
    "TrainingJobSummaries": "TrainingJobName",
    "PipelineSummaries": "PipelineName",
    "FeatureGroupSummaries": "FeatureGroupName",
    "Endpoints": "EndpointName",
    "AppImageConfigs": "AppImageConfigName",
}

Filter = Callable[[Members, object], bool]


def _equals(member: str) -> Filter:
    return lambda members, wanted: members.get(member) == wanted


def _contains(member: str) -> Filter:
    return lambda members, wanted: str(wanted).lower() in str(members[member]).lower()


def _time(member: str, *, after: bool) -> Filter:
    def keep(members: Members, wanted: object) -> bool:
        limit = datetime.fromtimestamp(float(str(wanted)), UTC)
        time: datetime = members[member]
        return time > limit if after else time < limit

    return keep


def _times(name: str, member: str) -> dict[str, Filter]:
    """The filters `<name>After` and `<name>Before`."""
    return {f"{name}After": _time(member, after=True), f"{name}Before": _time(member, after=False)}


def domains(studio: Studio, request: Members) -> Members:
    return _page("Domains", studio.domains.values(), request, {})


def user_profiles(studio: Studio, request: Members) -> Members:
    filters = {
        "DomainIdEquals": _equals("DomainId"),
        "UserProfileNameContains": _contains("UserProfileName"),
    }
    return _page("UserProfiles", studio.user_profiles.values(), request, filters)


def spaces(studio: Studio, request: Members) -> Members:
    filters = {"DomainIdEquals": _equals("DomainId"), "SpaceNameContains": _contains("SpaceName")}
    page = _page("Spaces", studio.spaces.values(), request, filters)
    page["Spaces"] = [_space_details(space) for space in page["Spaces"]]
    return page


def _space_details(space: Members) -> Members:
    settings = space.get("SpaceSettings", {})
    summary = {name: settings[name] for name in ("AppType", "SpaceStorageSettings") if name in settings}
    return {
        **space,
        "SpaceSettingsSummary": summary,
        "OwnershipSettingsSummary": space.get("OwnershipSettings", {}),
        "SpaceSharingSettingsSummary": space.get("SpaceSharingSettings", {}),
    }


def apps(studio: Studio, request: Members) -> Members:
    if "UserProfileNameEquals" in request and "SpaceNameEquals" in request:
        # Source: ListApps, UserProfileNameEquals: if one is set, the other cannot be set. Guess: the wording.
        raise ValidationException("UserProfileNameEquals and SpaceNameEquals cannot both be specified.")
    filters = {
        "DomainIdEquals": _equals("DomainId"),
        "UserProfileNameEquals": _equals("UserProfileName"),
        "SpaceNameEquals": _equals("SpaceName"),
    }
    return _page("Apps", studio.apps.values(), request, filters)


def lifecycle_configs(studio: Studio, request: Members) -> Members:
    filters = {
        "NameContains": _contains("StudioLifecycleConfigName"),
        "AppTypeEquals": _equals("StudioLifecycleConfigAppType"),
        **_times("CreationTime", "CreationTime"),
        **_times("ModifiedTime", "LastModifiedTime"),
    }
    request.setdefault("SortOrder", "Descending")  # the default of this operation
    return _page("StudioLifecycleConfigs", studio.lifecycle_configs.values(), request, filters)


def app_image_configs(studio: Studio, request: Members) -> Members:
    filters = {
        "NameContains": _contains("AppImageConfigName"),
        **_times("CreationTime", "CreationTime"),
        **_times("ModifiedTime", "LastModifiedTime"),
    }
    request.setdefault("SortOrder", "Descending")
    return _page("AppImageConfigs", studio.app_image_configs.values(), request, filters)


def images(studio: Studio, request: Members) -> Members:
    page = _image_page("Images", studio.images.values(), request)
    page["Images"] = [{**row, "ImageStatus": row["Status"].upper()} for row in page["Images"]]
    return page


def image_versions(studio: Studio, request: Members) -> Members:
    studio.images.find(request["ImageName"], f"Image with ImageName {request['ImageName']}")
    versions = [one for key, one in studio.image_versions.items() if key[0] == request["ImageName"]]
    page = _image_page("ImageVersions", versions, request)
    page["ImageVersions"] = [
        {**row, "ImageVersionStatus": row["Status"].upper()} for row in page["ImageVersions"]
    ]
    return page


def _image_page(key: str, resources: Iterable[Resource], request: Members) -> Members:
    """The lists of images have upper-case words such as CREATION_TIME and DESCENDING."""
    words = str(request.get("SortBy", "CREATION_TIME")).split("_")
    order = str(request.get("SortOrder", "DESCENDING")).capitalize()
    filters = {
        "NameContains": _contains("ImageName"),
        **_times("CreationTime", "CreationTime"),
        **_times("LastModifiedTime", "LastModifiedTime"),
    }
    sort_by = "".join(word.capitalize() for word in words)
    return _page(key, resources, {**request, "SortBy": sort_by, "SortOrder": order}, filters)


def processing_jobs(studio: Studio, request: Members) -> Members:
    return _jobs("ProcessingJob", studio.processing_jobs.values(), request)


def training_jobs(studio: Studio, request: Members) -> Members:
    return _jobs("TrainingJob", studio.training_jobs.values(), request)


def _jobs(kind: str, jobs: Iterable[Resource], request: Members) -> Members:
    filters = {
        "NameContains": _contains(f"{kind}Name"),
        "StatusEquals": _equals("Status"),
        **_times("CreationTime", "CreationTime"),
        **_times("LastModifiedTime", "LastModifiedTime"),
        "WarmPoolStatusEquals": lambda members, wanted: (
            members.get("WarmPoolStatus", {}).get("Status") == wanted
        ),
    }
    key = f"{kind}Summaries"
    page = _page(key, jobs, request, filters)
    page[key] = [{**row, f"{kind}Status": row["Status"]} for row in page[key]]
    return page


def feature_groups(studio: Studio, request: Members) -> Members:
    filters = {
        "NameContains": _contains("FeatureGroupName"),
        "FeatureGroupStatusEquals": _equals("Status"),
        **_times("CreationTime", "CreationTime"),
    }
    page = _page("FeatureGroupSummaries", studio.feature_groups.values(), request, filters)
    rows = page["FeatureGroupSummaries"]
    page["FeatureGroupSummaries"] = [{**row, "FeatureGroupStatus": row["Status"]} for row in rows]
    return page


def endpoints(studio: Studio, request: Members) -> Members:
    filters = {
        "NameContains": _contains("EndpointName"),
        "StatusEquals": _equals("Status"),
        **_times("CreationTime", "CreationTime"),
        **_times("LastModifiedTime", "LastModifiedTime"),
    }
    request.setdefault("SortOrder", "Descending")
    page = _page("Endpoints", studio.endpoints.values(), request, filters)
    page["Endpoints"] = [{**row, "EndpointStatus": row["Status"]} for row in page["Endpoints"]]
    return page


def pipelines(studio: Studio, request: Members) -> Members:
    filters = {
        "PipelineNamePrefix": lambda members, wanted: members["PipelineName"].startswith(str(wanted)),
        **_times("Created", "CreationTime"),
    }
    request.setdefault("SortOrder", "Descending")
    return _page("PipelineSummaries", studio.pipelines.values(), request, filters)


def pipeline_executions(studio: Studio, request: Members) -> Members:
    filters = {
        **_times("Created", "CreationTime"),
    }
    executions = pipelines_.find(studio, request).executions.values()
    request.setdefault("SortOrder", "Descending")
    page = _page("PipelineExecutionSummaries", executions, request, filters)
    page["PipelineExecutionSummaries"] = [
        {
            **row,
            "StartTime": row["CreationTime"],
            "PipelineExecutionStatus": row["Status"],
            "PipelineExecutionFailureReason": row.get("FailureReason"),
        }
        for row in page["PipelineExecutionSummaries"]
    ]
    return page


def pipeline_execution_steps(studio: Studio, request: Members) -> Members:
    steps = pipelines_.steps_of(studio, request)
    if request.get("SortOrder", "Descending") == "Descending":
        steps.reverse()
    return _slice("PipelineExecutionSteps", steps, request)


def _page(key: str, resources: Iterable[Resource], request: Members, filters: dict[str, Filter]) -> Members:
    rows = [
        resource.members
        for resource in resources
        if all(name not in request or keep(resource.members, request[name]) for name, keep in filters.items())
    ]
    sort_by: str = request.get("SortBy") or "CreationTime"
    member = _NAMES[key] if sort_by == "Name" else sort_by
    rows.sort(
        key=lambda members: members[member],
        reverse=request.get("SortOrder") == "Descending",
    )
    return _slice(key, rows, request)


def _slice(key: str, rows: list[Members], request: Members) -> Members:
    start = _offset(request.get("NextToken"))
    end = start + request.get("MaxResults", _PAGE)
    page: Members = {key: rows[start:end]}
    if end < len(rows):
        page["NextToken"] = base64.b64encode(f"offset:{end}".encode()).decode()
    return page


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        word, _, offset = base64.b64decode(token, validate=True).decode().partition(":")
        if word == "offset":
            return int(offset)
    except (binascii.Error, ValueError):
        pass
    # Guess: the code and the wording.
    raise ValidationException(f"Invalid NextToken: {token}")
