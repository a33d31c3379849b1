"""Handles requests that come through Code Editor's proxy, before marimo does."""

import os
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "python"))

from sagemaker_marimo.user_activity import USER_ACTIONS, now, record

SECONDS_BETWEEN_RECORDS = 30.0


class CodeEditorRequests:
    """Puts the path back that Code Editor's server removes, and reports the user's actions to Studio."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app
        self.base_path = os.environ["MARIMO_PROXY_BASE_PATH"]
        self.recorded = -SECONDS_BETWEEN_RECORDS

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if "path" in scope and not scope["path"].startswith(f"{self.base_path}/"):
            scope = {**scope, "path": self.base_path + scope["path"]}
        is_action = scope.get("method") == "POST" and USER_ACTIONS.search(scope["path"])

        async def note_and_send(message: dict[str, Any]) -> None:
            # A rejected request, such as one from another site, is not the user's action.
            if is_action and message.get("status", HTTPStatus.BAD_REQUEST) < HTTPStatus.BAD_REQUEST:
                self.record_action()
            await send(message)

        await self.app(scope, receive, note_and_send)

    def record_action(self) -> None:
        if time.monotonic() - self.recorded < SECONDS_BETWEEN_RECORDS:
            return
        self.recorded = time.monotonic()
        try:
            record(now())
        except OSError as error:
            print(f"sagemaker-marimo: activity cannot be recorded now: {error!r}", file=sys.stderr)
