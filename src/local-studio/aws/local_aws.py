"""The application of the local AWS: dispatches each request to moto, to Studio's control plane, or to its own
operations below /local-aws/ (documented in server.py)."""

import argparse
import hmac
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from time import monotonic, sleep
from typing import Any
from urllib.parse import parse_qs

# moto reads these variables when it is imported. They disable cross-origin requests from web pages, and the
# 1,300 machine images that take time to load.
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.wrappers import Request, Response

HOST = "127.0.0.1"
StartResponse = Callable[..., Any]


class QuietRequestHandler(MotoRequestHandler):
    """`LocalAws` logs requests, including their operation."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class LocalAws:
    """The WSGI application. Its modules are imported in the background, because this takes longer than the
    start of the server."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._lock = threading.Lock()
        self._control_plane: Any = None
        self._sessions: Any = None  # with --iam: those of roles
        # Removed from the environment, so that child processes do not inherit them.
        self._token = os.environ.pop("LOCAL_STUDIO_TOKEN", "")
        self._key = os.environ.pop("LOCAL_STUDIO_KEY", "")
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.save: Callable[[], None] = lambda: None
        self._request_count = 0

    def prepare(self) -> None:
        with self._lock:
            if self._control_plane:
                return
            import budgets
            import costs
            import event_bus
            import moto_fixes
            import scheduler
            import state_machines
            import trail
            from app_host import HttpAppHost, NoAppHost
            from faults import Faults
            from studio import responses

            arguments = self._arguments
            self._faults = Faults(arguments.faults)
            url = arguments.app_host
            app_host = HttpAppHost(url, self._token) if url else NoAppHost()
            control_plane = responses.ControlPlane(
                app_host, arguments.delay, arguments.parallel_jobs, [event_bus.publish]
            )
            if arguments.iam:
                from iam import Sessions

                self._sessions = Sessions()
                control_plane.open_session = self._sessions.open
            moto_fixes.install()
            budgets.install()
            costs.install()
            event_bus.install()
            scheduler.install()
            state_machines.install(self._key)
            trail.install()
            responses.install(control_plane)
            scheduler.Clock(control_plane).start()
            if arguments.keep:
                import snapshot

                if arguments.keep.exists():
                    snapshot.load(control_plane, arguments.keep)
                self.save = lambda: snapshot.save(control_plane, arguments.keep)
            self._control_plane = control_plane

    def save_changes(self) -> None:
        """Saves after a second without requests, when pending changes are complete."""
        count, saved = self._request_count, 0
        while True:
            sleep(1)
            if count == self._request_count != saved:
                self.save()
                saved = count
            count = self._request_count

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if refused := self._refusal(environ, path):
            sys.stderr.write(f"{refused.status_code} {environ['REQUEST_METHOD']} {path!r}\n")
            return refused(environ, start_response)
        self.prepare()
        if path == "/local-aws/inventory":
            from inventory import inventory

            with self._control_plane.lock:
                lines = inventory(self._control_plane, list(self._moto.app_instances))
            return Response(json.dumps(lines), mimetype="application/json")(environ, start_response)
        if path == "/local-aws/faults":
            return self._answer_faults(Request(environ))(environ, start_response)
        if path.startswith("/local-aws/"):
            from orders import answer

            return answer(self._control_plane, path, Request(environ))(environ, start_response)
        if path.startswith("/moto-api"):
            # moto's reset operation would delete moto's resources, but not those of Studio.
            return Response("the local AWS does not support moto's own API", 404)(environ, start_response)
        return self._answer(environ, start_response)

    def _refusal(self, environ: dict[str, Any], path: str) -> Response | None:
        """Rejects requests from web pages and from other users of this machine."""
        host, port = environ.get("HTTP_HOST", ""), environ["SERVER_PORT"]
        if host not in (f"{HOST}:{port}", f"localhost:{port}"):
            return Response(f"the Host header must be {HOST}:{port} or localhost:{port}, not {host!r}\n", 421)
        if not path.startswith("/local-aws/"):
            if not self._key or hmac.compare_digest(_access_key(environ), self._key.encode()):
                return None
            if self._session(environ):
                return None
            return Response("the access key must be the one of this rehearsal\n", 403)
        if environ["REQUEST_METHOD"] != "POST":
            return None
        given = environ.get("HTTP_AUTHORIZATION", "").encode()
        if not self._token or not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            return Response("only the process that started the local AWS can send this request\n", 401)
        kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip()
        if kind != "application/json":
            return Response(f"Content-Type must be application/json, not {kind!r}\n", 415)
        return None

    def _session(self, environ: dict[str, Any]) -> Any:
        """The session of a role, with --iam."""
        if not self._arguments.iam:
            return None
        self.prepare()
        with self._control_plane.lock:
            return self._sessions.find(_access_key(environ).decode())

    def _denial(self, environ: dict[str, Any], request: Any) -> Any:
        session = self._session(environ)
        if session is None:
            return None
        from iam import refusal

        with self._control_plane.lock:
            return refusal(session, self._control_plane.studio_of(request.region), request)

    def _denies(self, environ: dict[str, Any], region: str) -> Callable[..., str | None]:
        """What IAM says to further operations of the request's caller."""
        session = self._session(environ)
        if session is None:
            return lambda *_: None
        from iam import refusal_of

        studio = self._control_plane.studio_of(region)
        return lambda *operation: refusal_of(session, studio, *operation)

    def _answer_faults(self, request: Request) -> Response:
        from faults import parse_rules

        if request.method == "POST":
            try:
                self._faults.replace(parse_rules(json.loads(request.get_data())))
            except ValueError as error:
                return Response(str(error), 400)
        elif request.method != "GET":
            return Response("the method must be GET or POST", 405)
        return Response(json.dumps(self._faults.describe()), mimetype="application/json")

    def _answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        import bedrock
        import inference_profiles
        import trail
        from aws_request import identify, identify_presigned
        from request_refusals import refusal

        request, began, note = identify(environ), monotonic(), ""
        self._request_count += 1
        query = environ.get("QUERY_STRING")
        path = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{'?' + query if query else ''}"

        def log_and_start(status: str, *rest: Any) -> Any:
            milliseconds = (monotonic() - began) * 1000
            operation = request.name if request else path
            line = f"{operation} {status.split()[0]}{note} {milliseconds:.0f} ms"
            sys.stderr.write(line + "\n")  # a single write, because several threads log
            if request:
                with self._control_plane.lock:
                    trail.record(request, _access_key(environ).decode(), int(status.split()[0]))
            return start_response(status, *rest)

        if request:
            seconds, error = self._faults.of(request)
            sleep(seconds)
            if error:
                note = f" {error[1]} (injected fault)"
            elif error := refusal(request) or self._denial(environ, request):
                note = f" {error[1]}: {error[2]}"
            if error:
                return request.refuse(*error)(environ, log_and_start)
        elif self._session(environ):
            if not (presigned := identify_presigned(environ)):
                # Guess: as if no policy named the operation, which is not known.
                return Response("AccessDenied: the local AWS does not know this operation\n", 403)(
                    environ, log_and_start
                )
            if error := self._denial(environ, presigned):
                note = f" {error[1]}: {error[2]}"
                return presigned.refuse(*error)(environ, log_and_start)

        if request and request.name == "cloudtrail:LookupEvents":
            with self._control_plane.lock:
                answer = trail.lookup(request)
            return answer(environ, log_and_start)
        if request and request.service_name == "cloudcontrol":
            import cloud_control

            return cloud_control.answer(self._control_plane, request)(environ, log_and_start)
        if request and request.service_name == "sagemaker-featurestore-runtime":
            import feature_records

            with self._control_plane.lock:
                sent = feature_records.answer(self._control_plane.studio_of(request.region), request)
            return sent(environ, log_and_start)
        if request and request.service_name == "sagemaker-runtime":
            import endpoint_invocations

            studio = self._control_plane.studio_of(request.region)
            return endpoint_invocations.answer(studio, request)(environ, log_and_start)
        if request and request.service_name == "athena":
            import athena

            if request.name in athena.OPERATIONS:
                with self._control_plane.lock:
                    studio = self._control_plane.studio_of(request.region)
                    sent = athena.answer(studio, request, self._denies(environ, request.region))
                return sent(environ, log_and_start)
        if request and inference_profiles.handles(request):
            with self._control_plane.lock:
                sent = inference_profiles.answer(self._control_plane.studio_of(request.region), request)
            return sent(environ, log_and_start)
        if request and request.name in bedrock.OPERATIONS:
            return bedrock.answer(request)(environ, log_and_start)
        # moto is not thread-safe. Terraform sends ten requests at a time, so dictionaries would change during
        # an iteration, and the SDK's retry would find a partly completed first attempt. Requests to SageMaker
        # acquire the same lock themselves, but release it while they wait for the app host.
        is_sagemaker = request is not None and request.service_name == "sagemaker"
        with nullcontext() if is_sagemaker else self._control_plane.lock:
            body: Iterable[bytes] = self._moto(environ, log_and_start)
        return body


def _access_key(environ: dict[str, Any]) -> bytes:
    """Returns the access key of a signed request or of a presigned URL."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2]
    query = parse_qs(environ.get("QUERY_STRING", ""))
    presigned: list[str] = query.get("X-Amz-Credential") or query.get("AWSAccessKeyId") or [""]
    return (scope or presigned[0]).partition("/")[0].encode()
