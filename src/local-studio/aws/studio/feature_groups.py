"""Feature groups and the records of their online stores. moto stores only groups with an offline store, and
no records. Nothing is written to an offline store here."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .errors import ResourceInUse, ResourceNotFound, ValidationException
from .state import Members, Resource, Studio

Record = list[dict[str, Any]]


@dataclass
class FeatureGroup(Resource):
    # The latest record by its identifier. None: deleted (soft), so that an older record does not return.
    records: dict[str, tuple[str, Record | None]] = field(default_factory=dict)

    def describe(self) -> Members:
        return {**self.members, "FeatureGroupStatus": self.status}


def create(studio: Studio, request: Members) -> Members:
    name = request["FeatureGroupName"]
    if name.lower() in studio.feature_groups:
        # Source: CreateFeatureGroup, errors (ResourceInUse). Guess: the wording.
        raise ResourceInUse(f"Resource Already Exists: FeatureGroup with name {name} already exists.")
    defined = {one["FeatureName"] for one in request["FeatureDefinitions"]}
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if request[member] not in defined:
            # Source: CreateFeatureGroup, RecordIdentifierFeatureName: one of the definitions. Guess: the
            # wording.
            raise ValidationException(f"{member} {request[member]} must be one of FeatureDefinitions.")
    if (
        not request.get("OnlineStoreConfig", {}).get("EnableOnlineStore")
        and "OfflineStoreConfig" not in request
    ):
        # Source: CreateFeatureGroup: an online or an offline store. Guess: the wording.
        raise ValidationException("At least one of OnlineStoreConfig and OfflineStoreConfig must be enabled.")
    arn = studio.arn(f"feature-group/{name.lower()}")
    members = {**request, "FeatureGroupArn": arn}
    group = FeatureGroup("FeatureGroup", arn, members, members.pop("Tags", []))
    # Source: FeatureGroupStatus: the values.
    group.set_status("Creating")
    studio.feature_groups[name.lower()] = group
    # Source: as above.
    studio.settle(group, "Created")
    return {"FeatureGroupArn": arn}


def find(studio: Studio, request: Members) -> FeatureGroup:
    name = request["FeatureGroupName"]
    # An ARN is accepted too (DescribeFeatureGroup, FeatureGroupName).
    group = studio.feature_groups.get(name.rsplit("/", 1)[-1].lower())
    if not isinstance(group, FeatureGroup):
        # Source: DescribeFeatureGroup, errors (ResourceNotFound). Guess: the wording.
        raise ResourceNotFound(
            f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}"
        )
    return group


def describe(studio: Studio, request: Members) -> Members:
    return find(studio, request).describe()


def delete(studio: Studio, request: Members) -> None:
    find(studio, request)
    # Source: FeatureGroupStatus: the values.
    studio.remove(studio.feature_groups, request["FeatureGroupName"].rsplit("/", 1)[-1].lower())


def put_record(group: FeatureGroup, record: Record) -> None:
    values = {one["FeatureName"]: one.get("ValueAsString", "") for one in record}
    defined = {one["FeatureName"] for one in group.members["FeatureDefinitions"]}
    identifier, time = (group.members[key] for key in ("RecordIdentifierFeatureName", "EventTimeFeatureName"))
    if unknown := values.keys() - defined:
        # Guess: the wording.
        raise ValidationException(f"Features {', '.join(sorted(unknown))} are not defined in the group.")
    if missing := {identifier, time} - values.keys():
        # Guess: the code and the wording; the records need both.
        raise ValidationException(f"The record has no value of {', '.join(sorted(missing))}.")
    # Source: Amazon SageMaker Developer Guide, "Feature Store concepts": the online store keeps the latest.
    _keep(group, values[identifier], values[time], record)


def delete_record(group: FeatureGroup, identifier: str, time: str) -> None:
    _keep(group, identifier, time, None)


def _keep(group: FeatureGroup, identifier: str, time: str, record: Record | None) -> None:
    instant, kept = _instant(time), group.records.get(identifier)
    if kept is None or _instant(kept[0]) <= instant:
        group.records[identifier] = (time, record)


def _instant(time: str) -> float:
    """Seconds, or ISO 8601 (FeatureType Fractional or String)."""
    try:
        return float(time)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        # Source: Amazon SageMaker Developer Guide, "Feature Store concepts": the two formats. Guess: the
        # wording.
        raise ValidationException(
            f"The event time {time!r} must be a number or have ISO 8601 format."
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def get_record(group: FeatureGroup, identifier: str, names: list[str] | None) -> Record | None:
    _, record = group.records.get(identifier, ("", None))
    return record and [one for one in record if not names or one["FeatureName"] in names]
