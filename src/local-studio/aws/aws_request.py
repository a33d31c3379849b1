"""What a request asks for, in the terms of AWS's service models, and errors as that service sends them."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any
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

# Names in a signature's scope -> names of service models, where they differ (botocore's `signingName`).
_SERVICES = {"cloudcontrolapi": "cloudcontrol", "elasticfilesystem": "efs"}


class _Error(ServiceException):
    """moto takes a class of its own modules for the error of one service, by its module's name."""


@dataclass(frozen=True)
class AwsRequest:
    http: Request
    service: ServiceModel
    operation: OperationModel
    uri_params: dict[str, Any]
    region: str
    """That it is signed for."""

    @property
    def service_name(self) -> str:
        return str(self.service.service_name)

    @property
    def name(self) -> str:
        """Such as sagemaker:CreateDomain."""
        return f"{self.service_name}:{self.operation.name}"

    @property
    def protocol(self) -> str:
        return determine_request_protocol(self.service, self.http.content_type)

    def refuse(self, status: int, code: str, message: str) -> Response:
        """The error as the service's protocol puts it."""
        context = SerializationContext(request_id=str(uuid4()))
        serializer = get_serializer_class(self.service_name, self.protocol)
        answer = serializer(self.operation, context).serialize(_Error(code, message))
        # An answer to HEAD has no body: the SDK then knows the status alone, as on AWS.
        body = "" if self.http.method == "HEAD" else answer["body"]
        headers: dict[str, str] = {**answer["headers"], "x-amzn-RequestId": context.request_id}
        return Response(body, status, headers)


def identify(environ: dict[str, Any]) -> AwsRequest | None:
    """None for what is no signed request of an operation in a model. A body that is read is put back; objects
    of S3 and their like are not read."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split(",")[0].split("/")
    if len(scope) != 5:
        return None
    signed_for = scope[3].lower()
    is_s3_control = signed_for == "s3" and environ.get("PATH_INFO", "").startswith("/v20180820/")
    name = "s3control" if is_s3_control else _SERVICES.get(signed_for, signed_for)
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        _read_body(environ)
    try:
        operation, uri_params = get_service_router(name).match(Request(_copy(environ)))
    except (NotFound, NotImplementedError, UnknownServiceError):
        return None
    if not operation.has_streaming_input:
        _read_body(environ)
    return AwsRequest(Request(_copy(environ)), get_service_model(name), operation, uri_params, scope[2])


def _read_body(environ: dict[str, Any]) -> None:
    environ["wsgi.input"] = BytesIO(Request(_copy(environ)).get_data())


def _copy(environ: dict[str, Any]) -> dict[str, Any]:
    """For a request of one's own: reading its body leaves that of the other where it is, once it is read."""
    stream = environ["wsgi.input"]
    return {**environ, "wsgi.input": BytesIO(stream.getvalue()) if isinstance(stream, BytesIO) else stream}
