"""Application inference profiles of Amazon Bedrock. moto has none."""

import secrets
from datetime import UTC, datetime
from typing import Any

from moto.core.serialize import SerializationContext, get_serializer_class
from werkzeug.wrappers import Response

from aws_request import AwsRequest
from request_refusals import members_of
from studio.state import Members, Studio

_OF_PROFILES = (
    "CreateInferenceProfile",
    "GetInferenceProfile",
    "ListInferenceProfiles",
    "DeleteInferenceProfile",
)
_OF_TAGS = ("TagResource", "UntagResource", "ListTagsForResource")


def handles(request: AwsRequest) -> bool:
    if request.service_name != "bedrock":
        return False
    operation = request.operation.name
    of_profile = ":application-inference-profile/" in members_of(request).get("resourceARN", "")
    return operation in _OF_PROFILES or (operation in _OF_TAGS and of_profile)


def answer(studio: Studio, request: AwsRequest) -> Response:
    members, operation = members_of(request), request.operation.name
    profiles = studio.inference_profiles
    arn = members.get("resourceARN") or members.get("inferenceProfileIdentifier") or ""
    if operation == "CreateInferenceProfile":
        if any(one["inferenceProfileName"] == members["inferenceProfileName"] for one in profiles.values()):
            # Source: ConflictException is an error of the operation. Guess: for this, and the wording.
            return request.refuse(400, "ConflictException", "An inference profile of this name exists.")
        result = _create(studio, members)
    elif operation == "ListInferenceProfiles":
        result = {"inferenceProfileSummaries": [*profiles.values()]}
    elif (profile := find(studio, arn)) is None:
        # Source: an error of each operation. Guess: the wording.
        return request.refuse(
            404, "ResourceNotFoundException", f"The inference profile {arn} does not exist."
        )
    else:
        result = _change(studio, operation, profile, members)
    serializer: Any = get_serializer_class(request.service_name, request.protocol)
    sent = serializer(request.operation, SerializationContext(request_id="")).serialize(result)
    return Response(sent["body"], sent["status_code"], sent["headers"])


def find(studio: Studio, identifier: str) -> Members | None:
    """By its ARN or its id."""
    return studio.inference_profiles.get(identifier.rsplit("/", 1)[-1])


def _create(studio: Studio, members: Members) -> Members:
    source, identifier = members["modelSource"]["copyFrom"], secrets.token_hex(6)
    place = f"arn:{studio.partition}:bedrock:{studio.region}"
    arn = f"{place}:{studio.account}:application-inference-profile/{identifier}"
    model = source.rsplit("/", 1)[-1]
    if ":inference-profile/" in source:
        # Guess: in the caller's Region only. AWS lists the profile's Regions.
        model = model.partition(".")[2]
    now = datetime.now(UTC)
    studio.inference_profiles[identifier] = {
        "inferenceProfileName": members["inferenceProfileName"],
        "type": "APPLICATION",
        "status": "ACTIVE",
        "inferenceProfileArn": arn,
        "inferenceProfileId": identifier,
        "createdAt": now,
        "updatedAt": now,
        "models": [{"modelArn": f"{place}::foundation-model/{model}"}],
        "tags": {one["key"]: one["value"] for one in members.get("tags", [])},
        "source": source,
    }
    return {"inferenceProfileArn": arn, "status": "ACTIVE"}


def _change(studio: Studio, operation: str, profile: Members, members: Members) -> Members:
    match operation:
        case "GetInferenceProfile":
            return profile
        case "DeleteInferenceProfile":
            del studio.inference_profiles[profile["inferenceProfileId"]]
        case "TagResource":
            profile["tags"] |= {one["key"]: one["value"] for one in members["tags"]}
        case "UntagResource":
            for key in members["tagKeys"]:
                profile["tags"].pop(key, None)
        case "ListTagsForResource":
            return {"tags": [{"key": key, "value": value} for key, value in profile["tags"].items()]}
    return {}
