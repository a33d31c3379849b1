"""The runtime of SageMaker Feature Store: records of online stores. moto has none."""

from http import HTTPStatus
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.serialize import SerializationContext, get_serializer_class
from werkzeug.wrappers import Response

from aws_request import AwsRequest
from request_refusals import members_of
from studio import feature_groups
from studio.errors import ResourceNotFound, ValidationException
from studio.state import Members, Studio

# The runtime's names of these errors (its service model).
_ERRORS: dict[type[ServiceException], tuple[int, str]] = {
    ResourceNotFound: (HTTPStatus.NOT_FOUND, "ResourceNotFound"),
    ValidationException: (HTTPStatus.BAD_REQUEST, "ValidationError"),
}


def answer(studio: Studio, request: AwsRequest) -> Response:
    try:
        result = _answer(studio, request.operation.name, members_of(request))
    except ServiceException as error:
        status, code = _ERRORS.get(type(error), (HTTPStatus.BAD_REQUEST, error.code))
        return request.refuse(status, code, error.message)
    if result is None:
        return request.refuse(404, "UnknownOperationException", "The local AWS does not implement this.")
    serializer: Any = get_serializer_class(request.service_name, request.protocol)
    sent = serializer(request.operation, SerializationContext(request_id="")).serialize(result)
    return Response(sent["body"], sent["status_code"], sent["headers"])


def _answer(studio: Studio, operation: str, members: Members) -> Members | None:
    if operation == "BatchGetRecord":
        return {"Records": _batch(studio, members), "Errors": [], "UnprocessedIdentifiers": []}
    group = feature_groups.find(studio, members)
    if not group.members.get("OnlineStoreConfig", {}).get("EnableOnlineStore"):
        # Guess: the code and the wording. AWS also writes to an offline store only.
        raise ValidationException(f"{group.members['FeatureGroupName']} has no online store.")
    match operation:
        case "PutRecord":
            feature_groups.put_record(group, members["Record"])
        case "DeleteRecord":
            identifier = members["RecordIdentifierValueAsString"]
            feature_groups.delete_record(group, identifier, members["EventTime"])
        case "GetRecord":
            return {"Record": _get(group, members)}
        case _:
            return None
    return {}


def _get(group: feature_groups.FeatureGroup, members: Members) -> feature_groups.Record | None:
    identifier = members["RecordIdentifierValueAsString"]
    return feature_groups.get_record(group, identifier, members.get("FeatureNames"))


def _batch(studio: Studio, members: Members) -> list[Members]:
    found = []
    for one in members["Identifiers"]:
        group = feature_groups.find(studio, one)
        for identifier in one["RecordIdentifiersValueAsString"]:
            record = feature_groups.get_record(group, identifier, one.get("FeatureNames"))
            if record:
                found.append(
                    {
                        "FeatureGroupName": one["FeatureGroupName"],
                        "RecordIdentifierValueAsString": identifier,
                        "Record": record,
                    }
                )
    return found
