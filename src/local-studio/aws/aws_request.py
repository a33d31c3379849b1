"""Identifies the operation of a request with AWS's service models, and formats errors as its service does."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from botocore.exceptions import UnknownServiceError
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel, ServiceModel
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

# Service names in a signature's scope -> service model names, if they differ (botocore's `signingName`).
_SERVICES = {"cloudcontrolapi": "cloudcontrol", "elasticfilesystem": "efs"}
# Services that sign as another one -> their paths begin like this (botocore's `requestUri`).
_BY_PATH = {
    "bedrock": {"/model/": "bedrock-runtime"},
    "s3": {"/v20180820/": "s3control"},
    "sagemaker": {
        "/endpoints/": "sagemaker-runtime",
        "/FeatureGroup/": "sagemaker-featurestore-runtime",
        "/BatchGetRecord": "sagemaker-featurestore-runtime",
    },
}

# Target prefixes of the SDK for JavaScript -> those of botocore's service model.
_TARGETS = {"CloudTrail_20131101": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"}


class _Error(ServiceException):
    """A class outside moto's modules, because moto derives the service of an error from its module's name."""


@dataclass(frozen=True)
class AwsRequest:
    http: Request
    service: ServiceModel
    operation: OperationModel
    uri_params: dict[str, Any]
    region: str
    """The Region in the signature."""

    @property
    def service_name(self) -> str:
        return str(self.service.service_name)

    @property
    def name(self) -> str:
        """For example sagemaker:CreateDomain."""
        return f"{self.service_name}:{self.operation.name}"

    @property
    def protocol(self) -> str:
        return determine_request_protocol(self.service, self.http.content_type)

    def refuse(self, status: int, code: str, message: str) -> Response:
        """Formats an error in the protocol of the service."""
        context = SerializationContext(request_id=str(uuid4()))
        serializer = get_serializer_class(self.service_name, self.protocol)
        answer = serializer(self.operation, context).serialize(_Error(code, message))
        # An answer to HEAD has no body, so the SDK knows only the status, as on AWS.
        body = "" if self.http.method == "HEAD" else answer["body"]
        headers: dict[str, str] = {**answer["headers"], "x-amzn-RequestId": context.request_id}
        return Response(body, status, headers)


def identify(environ: dict[str, Any]) -> AwsRequest | None:
    """Returns None if the request is not signed or its operation is unknown. The body can be read again
    afterwards. Streaming bodies, such as S3 objects, are not read."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split(",")[0].split("/")
    if len(scope) != 5:
        return None
    signed_for = scope[3].lower()
    prefix, _, operation_name = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")
    if prefix in _TARGETS:
        environ["HTTP_X_AMZ_TARGET"] = f"{_TARGETS[prefix]}.{operation_name}"
    path = environ.get("PATH_INFO", "")
    by_path = (service for start, service in _BY_PATH.get(signed_for, {}).items() if path.startswith(start))
    name = next(by_path, _SERVICES.get(signed_for, signed_for))
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        _read_body(environ)
    try:
        operation, uri_params = get_service_router(name).match(Request(_copy(environ)))
    except (NotFound, NotImplementedError, UnknownServiceError):
        return None
    if not operation.has_streaming_input:
        _read_body(environ)
    return AwsRequest(Request(_copy(environ)), get_service_model(name), operation, uri_params, scope[2])


def identify_presigned(environ: dict[str, Any]) -> AwsRequest | None:
    """The request of a presigned URL, whose signature is in its query."""
    scope = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
    return identify({**environ, "HTTP_AUTHORIZATION": f"Credential={scope}"})


def _read_body(environ: dict[str, Any]) -> None:
    environ["wsgi.input"] = BytesIO(Request(_copy(environ)).get_data())


def _copy(environ: dict[str, Any]) -> dict[str, Any]:
    """Copies the environment of a request, so that its body can be read more than once."""
    stream = environ["wsgi.input"]
    return {**environ, "wsgi.input": BytesIO(stream.getvalue()) if isinstance(stream, BytesIO) else stream}
