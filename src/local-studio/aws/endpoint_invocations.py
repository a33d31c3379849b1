"""The runtime of SageMaker endpoints: passes a request on to the model server. moto has canned answers."""

import http.client
import json
from urllib.parse import urlsplit

from werkzeug.wrappers import Response

from aws_request import AwsRequest
from request_refusals import members_of
from studio.endpoints import Endpoint
from studio.state import Members, Studio

# Source: InvokeEndpoint: containers must respond within 60 seconds.
_TIMEOUT = 60
# Members of the request and the headers of /invocations.
_HEADERS = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
}
_ATTRIBUTES = _HEADERS["CustomAttributes"]


def answer(studio: Studio, request: AwsRequest) -> Response:
    if request.operation.name != "InvokeEndpoint":
        return request.refuse(404, "UnknownOperationException", "The local AWS does not implement this.")
    members = members_of(request)
    name = members["EndpointName"]
    with studio.lock:
        endpoint = studio.endpoints.get(name.lower())
        server = endpoint.server if isinstance(endpoint, Endpoint) else None
    if server is None:
        # Source: aws/amazon-sagemaker-examples#559 (including the wording). Guess: also while the endpoint is
        # created.
        return request.refuse(
            400, "ValidationError", f"Endpoint {name} of account {studio.account} not found."
        )
    try:
        status, headers, content = _ask(server.url, members, request.http.get_data())
    except (OSError, http.client.HTTPException) as error:
        # Guess: the status and the words of a server that has ended or takes too long.
        status, headers, content = 0, {}, f"Your invocation failed: {error}".encode()
    if status != http.client.OK:
        return _model_error(studio, name, status, content.decode(errors="replace"))
    sent = {
        "Content-Type": headers.get("content-type", "application/octet-stream"),
        "x-Amzn-Invoked-Production-Variant": server.variant,
    }
    if attributes := headers.get(_ATTRIBUTES.lower()):
        sent[_ATTRIBUTES] = attributes
    return Response(content, 200, sent)


def _ask(url: str, members: Members, body: bytes) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT)
    given = {header: members[name] for name, header in _HEADERS.items() if members.get(name)}
    try:
        connection.request("POST", "/invocations", body, given)
        response = connection.getresponse()
        return (
            response.status,
            {key.lower(): value for key, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()


def _model_error(studio: Studio, name: str, status: int, content: str) -> Response:
    """Source: ModelError; for the wording aws/amazon-sagemaker-examples#1809 and #4324."""
    side = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{name}"
    console = f"https://{studio.region}.console.aws.amazon.com/cloudwatch/home?region={studio.region}"
    body = {
        "Message": f'Received {side} error ({status}) from primary with message "{content}". See '
        f"{console}#logEventViewer:group={group} in account {studio.account} for more information.",
        "OriginalStatusCode": status,
        "OriginalMessage": content,
        "LogStreamArn": f"arn:{studio.partition}:logs:{studio.region}:{studio.account}:log-group:{group}",
    }
    return Response(
        json.dumps(body), 424, {"x-amzn-ErrorType": "ModelError", "Content-Type": "application/json"}
    )
