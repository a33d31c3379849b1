"""Says in JupyterLab's launcher why marimo cannot run in this image. Runs with Python 3.8 too."""

import sys
from pathlib import Path
from typing import Any

from sagemaker_marimo import image

PAYLOAD = Path(__file__).parents[2]
REMEDY = "Choose another image for the space, such as SageMaker Distribution, or ask this one's owner for it."


def problem() -> str:
    """What the image lacks for JupyterLab to show marimo, or an empty string."""
    lacks = image.missing("python", "proxy")
    return f"This image lacks {'; '.join(lacks)}. {REMEDY}" if lacks else ""


def explain(config: Any, reason: str) -> None:
    """Lets the payload's JupyterLab extension show a tile with the reason.

    JupyterLab copies page_config_data, a setting of jupyterlab_server 2.28's web application, into its page.
    """
    print(f"sagemaker-marimo: skipped: {reason}", file=sys.stderr)
    config.ServerApp.tornado_settings.update({"page_config_data": {"sagemakerMarimoProblem": reason}})
    config.LabServerApp.extra_labextensions_path.append(str(PAYLOAD / "labextensions"))
