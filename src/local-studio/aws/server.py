"""A local AWS: moto's server, extended by SageMaker Studio's control plane.

Prints {"endpoint": "http://127.0.0.1:PORT"} on a line of its own once it takes requests, and stops when its
standard input closes, or on SIGTERM: it cannot outlive whoever started it. Account 123456789012, any
credentials, loopback only. GET /local-aws/inventory lists all that exists. POST /local-aws/faults takes the
rules of faults.py, as JSON, in place of those before; GET tells them, each with how many requests it matched
and how many it broke. POST /local-aws/processing-jobs/interrupt {"ProcessingJobName": …} fails a job as AWS's
own failures do. POST /local-aws/schedules/fire {"GroupName": …, "Name": …} fires a schedule now, and POST
/local-aws/schedules/pass-time {"After": …, "Until": …} all that are due between two moments (ISO 8601). These
three take a "Region" too. Requests are logged to standard error.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

# moto reads these when it is imported: no answers for pages of other origins that a browser here may show,
# and no 1,300 machine images, which only cost time.
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

HOST = "127.0.0.1"
StartResponse = Callable[..., Any]


class Quiet(MotoRequestHandler):
    """`LocalAws` logs requests, with their operation."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class LocalAws:
    """The WSGI application. What it serves with is imported in the background: that takes longer than
    starting."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._lock = threading.Lock()
        self._control_plane: Any = None
        self._moto = DomainDispatcherApplication(create_backend_app)

    def prepare(self) -> None:
        with self._lock:
            if self._control_plane:
                return
            import budgets
            import event_bus
            import moto_fixes
            import scheduler
            from app_host import HttpAppHost, NoAppHost
            from faults import Faults
            from studio import responses

            arguments = self._arguments
            self._faults = Faults(arguments.faults)
            app_host = HttpAppHost(arguments.app_host) if arguments.app_host else NoAppHost()
            control_plane = responses.ControlPlane(
                app_host, arguments.delay, arguments.parallel_jobs, [event_bus.publish]
            )
            moto_fixes.install()
            budgets.install()
            event_bus.install()
            scheduler.install()
            responses.install(control_plane)
            scheduler.Clock(control_plane).start()
            self._control_plane = control_plane

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self.prepare()
        path = environ.get("PATH_INFO", "")
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
            # Its reset would empty moto, but not Studio.
            return Response("not here", 404)(environ, start_response)
        return self._answer(environ, start_response)

    def _answer_faults(self, request: Request) -> Response:
        from faults import parse_rules

        if request.method == "POST":
            # A page of another origin in a browser here cannot send this type without asking first.
            if request.mimetype != "application/json":
                return Response(f"Content-Type is {request.mimetype!r}: expected application/json", 415)
            try:
                self._faults.replace(parse_rules(json.loads(request.get_data())))
            except ValueError as error:
                return Response(str(error), 400)
        elif request.method != "GET":
            return Response("expected GET or POST", 405)
        return Response(json.dumps(self._faults.describe()), mimetype="application/json")

    def _answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        from aws_request import identify
        from request_refusals import refusal

        request, began, note = identify(environ), monotonic(), ""
        query = environ.get("QUERY_STRING")
        path = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{'?' + query if query else ''}"

        def log_and_start(status: str, *rest: Any) -> Any:
            milliseconds = (monotonic() - began) * 1000
            asked = request.name if request else path
            line = f"{asked} {status.split()[0]}{note} {milliseconds:.0f} ms"
            sys.stderr.write(line + "\n")  # one write: several threads log
            return start_response(status, *rest)

        if request:
            seconds, error = self._faults.of(request)
            sleep(seconds)
            if error:
                note = f" {error[1]} on order"
            elif error := refusal(request):
                note = f" {error[1]}: {error[2]}"
            if error:
                return request.refuse(*error)(environ, log_and_start)

        if request and request.service_name == "cloudcontrol":
            import cloud_control

            return cloud_control.answer(self._control_plane, request)(environ, log_and_start)
        # moto is not safe for threads: with Terraform's ten requests at a time, dictionaries change while
        # others walk through them, and the SDK's retry of such a failure finds half of its first attempt.
        # Requests to SageMaker take the same lock themselves, but not while they wait for the app host.
        is_sagemaker = request is not None and request.service_name == "sagemaker"
        with nullcontext() if is_sagemaker else self._control_plane.lock:
            answer: Iterable[bytes] = self._moto(environ, log_and_start)
        return answer


def app_host_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme != "http" or url.hostname not in (HOST, "localhost"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a loopback address: expected http://{HOST}:PORT")
    return text


def seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 60 seconds")
    return value


def number_of_jobs(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def fault_rules(text: str) -> list[Any]:
    from faults import parse_rules

    try:
        return parse_rules(json.loads(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument(
        "--app-host",
        type=app_host_url,
        metavar="URL",
        help="what runs the apps of spaces (default: nothing runs; apps are in service by themselves)",
    )
    parser.add_argument(
        "--delay",
        type=seconds,
        default=0.2,
        metavar="SECONDS",
        help="how long Studio's resources stay Pending, Updating or Deleting (default: %(default)s)",
    )
    parser.add_argument(
        "--parallel-jobs",
        type=number_of_jobs,
        default=os.cpu_count() or 1,
        metavar="NUMBER",
        help="processing jobs that run at a time, while others wait (default: as many as there are cores)",
    )
    parser.add_argument(
        "--faults",
        type=fault_rules,
        default=[],
        metavar="RULES",
        help="faults from the start: a JSON list of rules, which faults.py describes (default: none)",
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    local_aws = LocalAws(arguments)
    try:
        listener = socket.create_server((HOST, arguments.port))
    except (OSError, OverflowError) as error:
        sys.exit(
            f"Cannot listen on {HOST}:{arguments.port}: {error}. Choose another --port, or 0 for a free one."
        )
    port = listener.getsockname()[1]
    server = make_server(HOST, port, local_aws, threaded=True, request_handler=Quiet, fd=listener.detach())

    def stop(*_: object) -> None:
        # `shutdown` waits for `serve_forever`, which the main thread runs.
        threading.Thread(target=server.shutdown, daemon=True).start()

    def stop_with_parent() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for background in (stop_with_parent, local_aws.prepare):
        threading.Thread(target=background, daemon=True).start()
    print(json.dumps({"endpoint": f"http://{HOST}:{port}"}), flush=True)
    server.serve_forever(poll_interval=0.1)
    # Threads of requests and apps under way must not hold the process up.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
