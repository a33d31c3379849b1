"""Endpoints. The app host runs their model server (image/model_server.py) like a job; this module has the
state. moto stores models and endpoint configurations.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from moto.logs.models import logs_backends
from moto.sagemaker.models import sagemaker_backends

from app_host import AppHostFailure, NoAppHost

from .errors import ValidationException
from .state import Members, Resource, Studio

# As in image/model_server.py, whose packages this server does not have.
READY = "The model server listens on port "
_MODEL_SERVER = Path(__file__).parents[2] / "image/model_server.py"
# The app host's timers take at most 24 days.
_SECONDS = 24 * 86_400
_IN_PROGRESS = ("Creating", "Updating", "Deleting")


@dataclass
class Server:
    """One run of the model server."""

    arn: str  # of the run on the app host
    variant: str
    url: str = ""


@dataclass
class Endpoint(Resource):
    # Which answers requests. None: none yet, or without an app host.
    server: Server | None = None
    # Which is starting, or is being replaced by an update.
    next_server: Server | None = None

    @property
    def name(self) -> str:
        return str(self.members["EndpointName"])

    @property
    def log_group(self) -> str:
        return f"/aws/sagemaker/Endpoints/{self.name}"

    def describe(self) -> Members:
        return {
            **self.members,
            "EndpointStatus": self.status,
            "ProductionVariants": [_summary(one) for one in self.members["Variants"]],
        }


def _summary(variant: Members) -> Members:
    weight = variant.get("InitialVariantWeight", 1.0)
    count, serverless = variant.get("InitialInstanceCount"), variant.get("ServerlessConfig")
    values = {"Weight": weight, "InstanceCount": count, "ServerlessConfig": serverless}
    return {"VariantName": variant["VariantName"]} | {
        f"{prefix}{name}": value
        for name, value in values.items()
        if value is not None
        for prefix in ("Current", "Desired")
    }


def create(studio: Studio, request: Members) -> Members:
    name = request["EndpointName"]
    arn = studio.arn(f"endpoint/{name.lower()}")
    if name.lower() in studio.endpoints:
        # Source: aws/sagemaker-python-sdk#101 (including the wording).
        raise ValidationException(f'Cannot create already existing endpoint "{arn}".')
    variants = _variants(studio, request["EndpointConfigName"])
    members = {"EndpointName": name, "EndpointArn": arn, "Variants": variants}
    members["EndpointConfigName"] = request["EndpointConfigName"]
    endpoint = Endpoint("Endpoint", arn, members, request.get("Tags", []))
    # Source: EndpointStatus: the values.
    endpoint.set_status("Creating")
    studio.endpoints[name.lower()] = endpoint
    _deploy(studio, endpoint, variants)
    return {"EndpointArn": arn}


def update(studio: Studio, request: Members) -> Members:
    endpoint = find(studio, request)
    _require_settled(endpoint)
    if endpoint.status == "Failed":
        # Source: EndpointStatus, Failed: DeleteEndpoint is the only operation. Guess: the wording.
        raise ValidationException(f'Cannot update failed endpoint "{endpoint.arn}".')
    variants = _variants(studio, request["EndpointConfigName"])
    # Source: as above.
    endpoint.set_status("Updating")
    _deploy(studio, endpoint, variants, request["EndpointConfigName"])
    return {"EndpointArn": endpoint.arn}


def describe(studio: Studio, request: Members) -> Members:
    return find(studio, request).describe()


def delete(studio: Studio, request: Members) -> None:
    endpoint = find(studio, request)
    _require_settled(endpoint)
    for server in (endpoint.server, endpoint.next_server):
        _stop(studio, server)
    endpoint.server = endpoint.next_server = None
    # Source: EndpointStatus: the values.
    studio.remove(studio.endpoints, endpoint.name.lower())


def find(studio: Studio, request: Members) -> Endpoint:
    name = request["EndpointName"]
    endpoint = studio.endpoints.get(name.lower())
    if not isinstance(endpoint, Endpoint):
        arn = studio.arn(f"endpoint/{name.lower()}")
        # Source: aws/amazon-sagemaker-operator-for-k8s, clientwrapper.
        raise ValidationException(f'Could not find endpoint "{arn}".')
    return endpoint


def restart(studio: Studio, endpoint: Endpoint) -> None:
    """Starts the model server again: it ended with the process that saved the endpoint."""
    endpoint.server = endpoint.next_server = None
    # Guess: AWS has no such case.
    endpoint.set_status("Creating")
    _deploy(studio, endpoint, endpoint.members["Variants"])


def _require_settled(endpoint: Endpoint) -> None:
    if endpoint.status in _IN_PROGRESS:
        # Source: aws/amazon-sagemaker-operator-for-k8s, clientwrapper. Guess: also while it is deleted.
        raise ValidationException(f'Cannot update in-progress endpoint "{endpoint.arn}".')


def _variants(studio: Studio, config_name: str) -> list[Members]:
    config = sagemaker_backends[studio.account][studio.region].endpoint_configs.get(config_name)
    if config is None:
        arn = studio.arn(f"endpoint-config/{config_name.lower()}")
        # Guess: the wording, as of endpoints.
        raise ValidationException(f'Could not find endpoint configuration "{arn}".')
    return list(config.production_variants)


def _deploy(studio: Studio, endpoint: Endpoint, variants: list[Members], config: str | None = None) -> None:
    """Starts a model server. When it is ready, it replaces the former one. An update names `config`."""
    if isinstance(studio.app_host, NoAppHost):
        _use(endpoint, variants, config)
        # Source: EndpointStatus: the values.
        studio.settle(endpoint)
        return
    run = uuid4().hex
    server = Server(f"{endpoint.arn}/{run}", variants[0]["VariantName"])
    endpoint.next_server = server
    before = endpoint.status

    def ready(port: str) -> None:
        if endpoint.next_server is not server:
            return
        server.url = f"http://127.0.0.1:{port}"
        _stop(studio, endpoint.server)
        endpoint.server, endpoint.next_server = server, None
        _use(endpoint, variants, config)
        # Source: EndpointStatus: the values.
        endpoint.set_status("InService")

    def report(event: Members) -> None:
        with studio.lock:
            if "accepted" in event and server not in (endpoint.server, endpoint.next_server):
                _stop(studio, server)
            lines = event.get("lines", [])
            for line in lines:
                if line["message"].startswith(READY):
                    ready(line["message"].removeprefix(READY))
            _log(studio, endpoint, f"{server.variant}/{run}", lines)

    def ended(outcome: Members) -> None:
        if endpoint.server is server:
            endpoint.server = None
        if endpoint.next_server is not server:
            return
        endpoint.next_server = None
        # Source: the prefix is of awsdocs/amazon-sagemaker-developer-guide, multi-container-endpoints
        # ("did not pass the ping health check"). Guess: an update that fails leaves the former model.
        endpoint.set_status(
            "Failed" if before == "Creating" else "InService",
            outcome.get("failureReason")
            or f"The primary container for production variant {server.variant} did not pass the ping health "
            f"check. Please check CloudWatch logs for this endpoint: {endpoint.log_group}",
        )

    def serve() -> None:
        try:
            with studio.lock:
                order = _order(studio, variants, server.arn, run)
            outcome = studio.app_host.run_job(order, report)
        except (AppHostFailure, ValidationException) as failure:
            outcome = {"failureReason": str(failure)}
        with studio.lock:
            ended(outcome)

    threading.Thread(target=serve, daemon=True).start()


def _use(endpoint: Endpoint, variants: list[Members], config: str | None) -> None:
    endpoint.members |= {"Variants": variants, **({"EndpointConfigName": config} if config else {})}


def _order(studio: Studio, variants: list[Members], arn: str, run: str) -> Members:
    """The order of a job that serves the model."""
    if len(variants) > 1:
        # Guess: AWS serves several.
        raise ValidationException("The local AWS serves endpoints with one production variant only.")
    name = variants[0].get("ModelName", "")
    model = sagemaker_backends[studio.account][studio.region]._models.get(name)
    if model is None:
        # Guess: that the model is looked for now, and the wording.
        raise ValidationException(f'Could not find model "{studio.arn(f"model/{name.lower()}")}".')
    container = model.primary_container or (model.containers or [{}])[0]
    data = container.get("ModelDataUrl") or _uri(container)
    if not data:
        # Guess: AWS serves containers without model data, and packages of the model registry.
        raise ValidationException("The local AWS serves only models that have a ModelDataUrl.")
    return {
        "name": f"endpoint-{run}",
        "arn": arn,
        "region": studio.region,
        "command": ["python3", str(_MODEL_SERVER), "/opt/ml/model"],
        "environment": {str(key): str(value) for key, value in container.get("Environment", {}).items()},
        "seconds": _SECONDS,
        "hosts": [{"name": "algo-1", "files": {}}],
        "inputs": [{"uri": data, "path": "/opt/ml/model", "optional": False}],
        "outputs": [],
        "ownedByRoot": [],
        "message": "/opt/ml/output/message",
        **studio.credentials(model.execution_role_arn, {}),
    }


def _uri(container: Members) -> str:
    source: Members = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return str(source.get("S3Uri", "")) if source.get("CompressionType") == "Gzip" else ""


def _stop(studio: Studio, server: Server | None) -> None:
    if server is not None:
        studio.notify_app_host(lambda host: host.kill_job(server.arn))


def _log(studio: Studio, endpoint: Endpoint, stream: str, lines: list[Members]) -> None:
    if not lines:
        return
    logs: Any = logs_backends[studio.account][studio.region]
    logs.ensure_log_group(endpoint.log_group)
    logs.ensure_log_stream(endpoint.log_group, stream)
    logs.groups[endpoint.log_group].put_log_events(stream, lines)
