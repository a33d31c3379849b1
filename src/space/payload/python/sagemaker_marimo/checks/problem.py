"""What every check uses: problems with their remedies, and the findings of earlier checks."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sagemaker_marimo import state

RESTART = "Stop the space and start it again."
INSTALL_AGAIN = f"Run: bash {state.STATE}/payload/current/install.sh\nLog: {state.INSTALL_LOG}"
APP_LOG = os.environ.get("SAGEMAKER_APP_LOG", "/var/log/apps/app_container.log")


class Problem(Exception):
    """What is wrong, with what the user can do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


@dataclass
class Findings:
    """Results of a check that later checks use."""

    server: dict[str, Any] = field(default_factory=dict)
    page: str = ""


Check = Callable[[Findings], str]
