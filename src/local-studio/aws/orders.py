"""Additional operations of the local AWS, for tests: POST /local-aws/…, documented in server.py."""

import json
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError, ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from werkzeug.wrappers import Request, Response

import costs
import scheduler
from studio import processing_jobs, training_jobs, warm_pools
from studio.responses import ControlPlane
from studio.state import Members, Studio

_ORDERS: dict[str, Callable[[Studio, Members], Members | None]] = {
    "/local-aws/costs": costs.replace,
    "/local-aws/processing-jobs/interrupt": processing_jobs.interrupt,
    "/local-aws/training-jobs/interrupt": training_jobs.interrupt,
    "/local-aws/warm-pools/quota": warm_pools.set_quota,
    "/local-aws/schedules/fire": scheduler.fire_now,
    "/local-aws/schedules/pass-time": scheduler.pass_time,
}


def answer(control_plane: ControlPlane, path: str, request: Request) -> Response:
    order = _ORDERS.get(path)
    if order is None:
        return Response(f"there is no operation {path}", 404)
    if request.method != "POST":
        return Response("the method must be POST", 405, {"Allow": "POST"})
    try:
        members: Any = json.loads(request.get_data())
        with control_plane.lock:
            studio = control_plane.studio(DEFAULT_ACCOUNT_ID, members.get("Region", "us-east-1"), "aws")
            return Response(json.dumps(order(studio, members) or {}), mimetype="application/json")
    except KeyError as error:
        return Response(f"{error} is missing", 400)
    except (ValueError, AttributeError) as error:
        return Response(f"the body must be a valid JSON object: {error}", 400)
    except ServiceException as refusal:
        return Response(f"{refusal.code}: {refusal.message}", 400)
    except JsonRESTError as refusal:
        return Response(refusal.description, 400)
