"""The List operations: filters, order and pages."""

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from . import pipelines as pipelines_
from .errors import ValidationException
from .state import Members, Resource, Studio

# Source: ListApps and its like, MaxResults: the default.
_PAGE = 10

# What SortBy's Name is, by the list's own name. Its other values are members.
_NAMES = {
    "StudioLifecycleConfigs": "StudioLifecycleConfigName",
    "ProcessingJobSummaries": "ProcessingJobName",
    "PipelineSummaries": "PipelineName",
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
        # Source: ListApps, UserProfileNameEquals: where one is set, the other cannot be. Guess: the words.
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
        "CreationTimeAfter": _time("CreationTime", after=True),
        "CreationTimeBefore": _time("CreationTime", after=False),
        "ModifiedTimeAfter": _time("LastModifiedTime", after=True),
        "ModifiedTimeBefore": _time("LastModifiedTime", after=False),
    }
    request.setdefault("SortOrder", "Descending")  # of this operation alone
    return _page("StudioLifecycleConfigs", studio.lifecycle_configs.values(), request, filters)


def processing_jobs(studio: Studio, request: Members) -> Members:
    filters = {
        "NameContains": _contains("ProcessingJobName"),
        "StatusEquals": _equals("Status"),
        "CreationTimeAfter": _time("CreationTime", after=True),
        "CreationTimeBefore": _time("CreationTime", after=False),
        "LastModifiedTimeAfter": _time("LastModifiedTime", after=True),
        "LastModifiedTimeBefore": _time("LastModifiedTime", after=False),
    }
    page = _page("ProcessingJobSummaries", studio.processing_jobs.values(), request, filters)
    page["ProcessingJobSummaries"] = [
        {**row, "ProcessingJobStatus": row["Status"]} for row in page["ProcessingJobSummaries"]
    ]
    return page


def pipelines(studio: Studio, request: Members) -> Members:
    filters = {
        "PipelineNamePrefix": lambda members, wanted: members["PipelineName"].startswith(str(wanted)),
        "CreatedAfter": _time("CreationTime", after=True),
        "CreatedBefore": _time("CreationTime", after=False),
    }
    request.setdefault("SortOrder", "Descending")
    return _page("PipelineSummaries", studio.pipelines.values(), request, filters)


def pipeline_executions(studio: Studio, request: Members) -> Members:
    filters = {
        "CreatedAfter": _time("CreationTime", after=True),
        "CreatedBefore": _time("CreationTime", after=False),
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
    # Guess: the code and the words.
    raise ValidationException(f"Invalid NextToken: {token}")
