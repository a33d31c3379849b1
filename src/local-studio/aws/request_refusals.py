"""Rejects requests that do not match AWS's service models. moto accepts most of them.

studio/request_validation.py checks the requests to SageMaker.
"""

from typing import Any

from moto.core.parse import PROTOCOL_PARSERS, RequestParserError

from aws_request import AwsRequest
from model_validation import problems, summary

Refusal = tuple[int, str, str]  # HTTP status, code, message

# Error codes by service, or by protocol.
_CODES = {
    # Source: Amazon EC2 API Reference, "Error codes", client errors. Guess: for all constraints; the wording.
    "ec2": "InvalidParameterValue",
    # Source: Amazon S3 API Reference, "Error responses". Guess: for all constraints; the wording.
    "s3": "InvalidArgument",
    # Source: Amazon CloudWatch Logs API Reference, errors of each action. Guess: the wording.
    "logs": "InvalidParameterException",
    # Source: "Common Errors" of the API references of IAM and STS; for the wording humanmade/cf-to-tf#5.
    "query": "ValidationError",
    # Source: aws-samples/sagemaker-ml-workflow-with-apache-airflow#3, for SageMaker. Guess: for all services.
    "json": "ValidationException",
    "rest-json": "ValidationException",
    # Source: the error of its service model. Guess: the wording.
    "sagemaker-runtime": "ValidationError",
    # Guess: the same as S3 (S3 Control).
    "rest-xml": "InvalidArgument",
}


def members_of(request: AwsRequest) -> dict[str, Any]:
    """Parses the request, without a body that is a stream."""
    http = request.http
    members: dict[str, Any] = PROTOCOL_PARSERS[request.protocol](request.operation).parse(
        {
            "method": http.method,
            "values": http.values,
            "headers": http.headers,
            "body": b"" if request.operation.has_streaming_input else http.get_data(),
            "url_path": http.path,
            "url_params": request.uri_params,
        }
    )
    shape = request.operation.input_shape
    in_query = {
        name for name in members if shape.members[name].serialization.get("location") == "querystring"
    }
    # moto parses a list that is not in the query as an empty one.
    return {name: value for name, value in members.items() if not (name in in_query and value == [])}


def refusal(request: AwsRequest) -> Refusal | None:
    shape = request.operation.input_shape
    if shape is None or request.service_name == "sagemaker":
        return None
    try:
        members = members_of(request)
        if request.operation.has_streaming_input:
            members[shape.serialization["payload"]] = b""
        found = list(problems(shape, members))
    except (RequestParserError, ValueError, TypeError, AttributeError) as error:  # WrongType is a ValueError
        found = [str(error)]
    if not found:
        return None
    code = _CODES.get(request.service_name) or _CODES[request.protocol]
    return 400, code, summary(found)
