"""Serves marimo's entries in the menu of JupyterLab's file browser (labextensions/sagemaker-marimo)."""

import json
from http import HTTPStatus
from pathlib import Path

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, authenticated

from sagemaker_marimo.convert import convert
from sagemaker_marimo.same_origin import OTHER_ORIGIN, is_same_origin
from sagemaker_marimo.served_path import (
    NotOpenedError,
    job_query,
    notebook_query,
    served_notebook,
    served_path,
)


class FileBrowserHandler(APIHandler):  # type: ignore[misc]  # the checker has no Jupyter
    """POST {"path": …} with a file's path in Jupyter. Returns {"path": …}, relative to JupyterLab's base URL.

    Requests from other origins are rejected. Jupyter's own check has no effect with allow_origin='*'.
    """

    async def prepare(self) -> None:
        if not is_same_origin(self.request):
            raise HTTPError(HTTPStatus.FORBIDDEN, OTHER_ORIGIN)
        await super().prepare()

    @authenticated
    async def post(self, action: str) -> None:
        body = self.get_json_body()
        path = body.get("path") if isinstance(body, dict) else None
        if not isinstance(path, str):
            raise HTTPError(HTTPStatus.BAD_REQUEST, 'The body must be {"path": "…"}')
        # Jupyter's own access rules; 404 for a missing file.
        await ensure_async(self.contents_manager.get(path, content=False))
        try:
            address = await address_of(action, Path(self.contents_manager.root_dir) / path.strip("/"))
        except (NotOpenedError, OSError) as error:
            self.set_status(HTTPStatus.CONFLICT)
            self.finish(json.dumps({"message": str(error)}))
        else:
            self.finish(json.dumps({"path": address}))


async def address_of(action: str, file: Path) -> str:
    if action == "job":
        return f"marimo-jobs/{job_query(file)}"
    if action == "convert":
        served_path(str(file))  # before a file is created that marimo would not open
        file = await convert(file)
    return "marimo/" + notebook_query(served_notebook(file), as_app=action == "app")
