"""What counts as a person's work in marimo, and the file that Studio's idle shutdown reads.

In JupyterLab, jupyter-activity-monitor-extension reads the file. In Code Editor its server does, which also
counts output in terminals, marimo's too (aws/code-editor, patches/sagemaker/sagemaker-idle-extension.diff).
"""

import os
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

# The path and format that both read.
FILE = "/tmp/.sagemaker-last-active-timestamp"  # noqa: S108
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"

# Requests that marimo's page (0.25.2) sends because of a user's action. This is an allowlist, because an open
# page also sends automatic requests, and the next version may add more: it requests /api/usage or
# /api/home/running_notebooks every 10 s, exports itself, and instantiates its notebook after a reload.
KERNEL_ACTIONS = (
    "code_autocomplete",
    "copy",
    "delete",
    "format",
    "install_missing_packages",
    "interrupt",
    "pdb/.+",
    "rename",
    "restart_session",
    "run",
    "save",
    "save_app_config",
    "scratchpad/run",
    "set_cell_config",
    "set_model_value",
    "set_ui_element_value",
    "shutdown",
    "stdin",
    "takeover",
)
USER_ACTIONS = re.compile(
    rf"/api/(kernel/({'|'.join(KERNEL_ACTIONS)})"
    r"|ai/(chat|completion|inline_completion)"
    r"|export/(html|ipynb|markdown|pdf|script)"
    r"|files/(copy|create|delete|move|open|search|update)"
    r"|home/(shutdown_session|tutorial/open)"
    r"|packages/(add|remove)"
    r"|secrets/(create|delete))$"
)


def now() -> datetime:
    return datetime.now(UTC)


def file() -> Path:
    """The environment variable is for spaces that share /tmp, as in local Studio."""
    return Path(os.environ.get("SAGEMAKER_LAST_ACTIVE_TIMESTAMP") or FILE)


def recorded() -> datetime | None:
    try:
        return datetime.strptime(file().read_text().strip(), FORMAT).replace(tzinfo=UTC)
    except (OSError, ValueError):
        return None


def record(time: datetime) -> None:
    """Never replaces a later time, which others may write, and never leaves half a file or follows a link."""
    last = recorded()
    if last and last >= time:
        return
    path = file()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(handle, "w") as new:
            new.write(time.strftime(FORMAT))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
