"""The client of the app host, which is the process that runs what AWS runs in containers.

The answers of the app host are JSON. The reason of a rejected request (422) becomes the FailureReason of the
resource, as on AWS.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, Protocol, cast


class AppHostFailure(Exception):
    """The app host rejected the request or could not be reached. The message is shown to users."""


class AppHost(Protocol):
    def start_app(self, app: dict[str, Any]) -> str | None:
        """Returns the URL of the app's space, without a trailing slash, once the app is running."""

    def stop_app(self, app_arn: str) -> None: ...

    def delete_space(self, domain_id: str, space_name: str) -> None: ...

    def presigned_url(self, request: dict[str, Any]) -> str | None: ...

    def run_job(self, job: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Runs a job to its end and reports its progress and its log lines. Returns the outcome:
        `exitCode` and `timedOut`, or `failureReason`; and `exitMessage`, if there is one."""

    def stop_job(self, job_arn: str) -> None:
        """Terminates the job, and kills it after a grace period."""

    def kill_job(self, job_arn: str) -> None: ...


class NoAppHost:
    """Runs nothing: apps become InService and jobs become Completed. For tests that need only the control
    plane or Terraform."""

    def start_app(self, app: dict[str, Any]) -> str | None:
        return None

    def stop_app(self, app_arn: str) -> None:
        return None

    def delete_space(self, domain_id: str, space_name: str) -> None:
        return None

    def presigned_url(self, request: dict[str, Any]) -> str | None:
        return None

    def run_job(self, job: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        report({"started": True})
        return {"exitCode": 0}

    def stop_job(self, job_arn: str) -> None:
        return None

    def kill_job(self, job_arn: str) -> None:
        return None


@dataclass(frozen=True)
class HttpAppHost:
    url: str
    token: str
    """Authenticates the control plane to the app host."""

    def start_app(self, app: dict[str, Any]) -> str | None:
        # Each lifecycle configuration can take 5 minutes. The app host has its own, shorter limits.
        return self._url_of(self._post("/apps", app, timeout=1800))

    def stop_app(self, app_arn: str) -> None:
        self._post("/apps/stop", {"appArn": app_arn}, timeout=120)

    def delete_space(self, domain_id: str, space_name: str) -> None:
        self._post("/spaces/delete", {"domainId": domain_id, "spaceName": space_name}, timeout=120)

    def presigned_url(self, request: dict[str, Any]) -> str | None:
        return self._url_of(self._post("/presigned-urls", request, timeout=30))

    def run_job(self, job: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        # The answer is one line of JSON per event; the last event is the outcome. No timeout is needed: the
        # app host enforces the job's time limit, and the connection closes when the app host ends.
        with self._open("/jobs", job, timeout=None) as response:
            for line in response:
                event: dict[str, Any] = json.loads(line)
                if "outcome" in event:
                    return cast(dict[str, Any], event["outcome"])
                report(event)
        raise AppHostFailure(f"The app host at {self.url} ended before the job did.")

    def stop_job(self, job_arn: str) -> None:
        self._post("/jobs/stop", {"arn": job_arn}, timeout=30)

    def kill_job(self, job_arn: str) -> None:
        self._post("/jobs/kill", {"arn": job_arn}, timeout=30)

    @staticmethod
    def _url_of(answer: dict[str, Any]) -> str:
        url = answer.get("url")
        if not isinstance(url, str):
            raise AppHostFailure(f"The answer of the app host has no url: {json.dumps(answer)}")
        return url

    def _post(self, path: str, body: dict[str, Any], timeout: float) -> dict[str, Any]:
        with self._open(path, body, timeout) as response:
            return cast(dict[str, Any], json.loads(response.read() or b"{}"))

    @contextmanager
    def _open(self, path: str, body: dict[str, Any], timeout: float | None) -> Iterator[HTTPResponse]:
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked on the command line
            self.url.rstrip("/") + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        # The app host is on the loopback interface, so proxies from the environment are not used.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as response:
                yield response
        except urllib.error.HTTPError as error:
            raise AppHostFailure(_reason(error)) from None
        except (OSError, ValueError, HTTPException) as error:
            raise AppHostFailure(f"The request to the app host at {self.url}{path} failed: {error}") from None


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        reason = json.loads(text)["reason"]
    except (ValueError, KeyError, TypeError):
        return f"The app host answered with status {error.code}: {text[:500]}"
    return str(reason)
