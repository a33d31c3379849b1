"""Answers "Open in marimo" in JupyterLab's file browser (labextensions/sagemaker-marimo)."""

import json
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, authenticated

from sagemaker_marimo import state
from sagemaker_marimo.proxy import OTHER_ORIGIN, is_of_this_origin
from sagemaker_marimo.served_path import NotOpenedError, served_notebook


class OpenHandler(APIHandler):  # type: ignore[misc]  # the checker has no Jupyter
    """POST {"path": …}, a file as Jupyter names it: answers {"path": …}, below JupyterLab's base URL.

    It may make a link in the folder that marimo serves, so no other page may ask for it: Jupyter's own
    check is of no use where allow_origin is '*'.
    """

    async def prepare(self) -> None:
        if not is_of_this_origin(self.request):
            raise HTTPError(HTTPStatus.FORBIDDEN, OTHER_ORIGIN)
        await super().prepare()

    @authenticated
    async def post(self) -> None:
        body = self.get_json_body()
        path = body.get("path") if isinstance(body, dict) else None
        if not isinstance(path, str):
            raise HTTPError(HTTPStatus.BAD_REQUEST, 'The body is not {"path": "…"}')
        # Jupyter's own rules about what may be seen; 404 where there is nothing.
        await ensure_async(self.contents_manager.get(path, content=False))
        try:
            state.NOTEBOOKS.mkdir(parents=True, exist_ok=True)
            file = served_notebook(Path(self.contents_manager.root_dir) / path.strip("/"))
        except (NotOpenedError, OSError) as error:
            self.set_status(HTTPStatus.CONFLICT)
            self.finish(json.dumps({"message": str(error)}))
        else:
            self.finish(json.dumps({"path": "marimo/?" + urlencode({"file": str(file)})}))
