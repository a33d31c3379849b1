"""A local AWS: moto's server, extended with the control plane of SageMaker Studio.

When it is ready, it prints the line {"endpoint": "http://127.0.0.1:PORT"}. It stops when its standard input
is closed, or on SIGTERM, so it cannot outlive the process that started it. It listens on the loopback
interface only, and its account is 123456789012. If LOCAL_STUDIO_KEY is set, requests with another access key
are rejected; otherwise any credentials are accepted.

  GET  /local-aws/inventory                 lists the resources
  GET  /local-aws/faults                    lists the fault rules and how many requests matched and failed
  POST /local-aws/faults                    replaces the fault rules (see faults.py)
  POST /local-aws/costs                     {"ActiveTags": [KEY…], "Costs": [{"Date": …, "Service": …,
                                             "UsageType": …, "Amount": …, "Tags": {…}}…]}
                                            replaces what Cost Explorer answers with
  POST /local-aws/processing-jobs/interrupt {"ProcessingJobName": …}
                                            fails a job with an internal error of AWS
  POST /local-aws/training-jobs/interrupt   {"TrainingJobName": …, "Seconds": …}
                                            takes the Spot instances of a job; it gets others after these
                                            seconds (default: 0)
  POST /local-aws/warm-pools/quota          {"Instances": …}
                                            limits the instances in warm pools (default: no limit)
  POST /local-aws/schedules/fire            {"GroupName": …, "Name": …}
                                            invokes a schedule now
  POST /local-aws/schedules/pass-time       {"After": …, "Until": …}
                                            invokes the schedules that are due between two times (ISO 8601)

POST requests must have the content type application/json and the bearer token LOCAL_STUDIO_TOKEN, which is
also sent to the app host. The last five accept a "Region". Requests are logged to standard error.
"""

import argparse
import gc
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from werkzeug.serving import make_server

from local_aws import HOST, LocalAws, QuietRequestHandler


def app_host_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme != "http" or url.hostname not in (HOST, "localhost"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a loopback address: it must be http://{HOST}:PORT")
    return text


def seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 60:
        raise argparse.ArgumentTypeError(f"must be between 0 and 60 seconds, not {text}")
    return value


def number_of_jobs(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or greater, not {text}")
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
        help="URL of the app host, which runs apps and jobs (default: apps become InService without running)",
    )
    parser.add_argument(
        "--delay",
        type=seconds,
        default=0.2,
        metavar="SECONDS",
        help="time that Studio resources are Pending, Updating or Deleting (default: %(default)s)",
    )
    parser.add_argument(
        "--parallel-jobs",
        type=number_of_jobs,
        default=os.cpu_count() or 1,
        metavar="NUMBER",
        help="maximum number of processing jobs that run at the same time (default: number of CPU cores)",
    )
    parser.add_argument(
        "--faults",
        type=fault_rules,
        default=[],
        metavar="RULES",
        help="initial fault rules, as a JSON list (see faults.py; default: none)",
    )
    parser.add_argument(
        "--iam",
        action="store_true",
        help="hold sessions of roles to the roles' policies (iam.py; default: everything is allowed)",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help="load the state from this file, if it exists, and save the state to it (default: not saved)",
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    # moto's models stay as long as the server: looking for garbage after each 700 objects only takes time.
    gc.set_threshold(50_000)
    local_aws = LocalAws(arguments)
    if arguments.keep:
        from snapshot import SnapshotError

        try:
            local_aws.prepare()
        except SnapshotError as error:
            sys.exit(str(error))
        threading.Thread(target=local_aws.save_changes, daemon=True).start()
    try:
        listener = socket.create_server((HOST, arguments.port))
    except (OSError, OverflowError) as error:
        sys.exit(
            f"Cannot listen on {HOST}:{arguments.port}: {error}. Choose another --port, or 0 for a free one."
        )
    port = listener.getsockname()[1]
    # moto reads it for the tasks of state machines, which call this server (moto/settings.py).
    os.environ["MOTO_PORT"] = str(port)
    server = make_server(
        HOST, port, local_aws, threaded=True, request_handler=QuietRequestHandler, fd=listener.detach()
    )

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
    local_aws.save()
    # Pending threads of requests and apps must not delay the exit.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
