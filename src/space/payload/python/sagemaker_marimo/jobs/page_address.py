"""The address at which a browser shows a job's page."""

import webbrowser
from pathlib import Path
from urllib.parse import quote

from sagemaker_marimo import code_editor, open_marimo, state


def page_address(page: Path) -> str:
    """The page's URL in the space. Outside a space, opens the file in the browser and returns its path."""
    if not state.settings().get("MARIMO_BUCKET"):
        webbrowser.open(page.as_uri())
        return str(page)
    if code_editor.is_code_editor():
        return f"{page}\nTo see it, download it from Code Editor's Explorer, and open it in your browser"
    if not page.is_relative_to(state.HOME):
        return f"{page} is outside your home folder, so JupyterLab cannot show it"
    # JupyterLab's own tab blocks the page's scripts. Here they run without access to Jupyter (jupyter_server,
    # AuthenticatedFileHandler).
    path = f"{open_marimo.JUPYTER_PATH}/files/{quote(page.relative_to(state.HOME).as_posix())}"
    url, why_not = open_marimo.describe_space()
    if url is None:
        return f"{why_not}\nThe page is at this path of the space's URL: {path}"
    return f"{open_marimo.space_origin(url, open_marimo.JUPYTER_PATH)}{path}"
