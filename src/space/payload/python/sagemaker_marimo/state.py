"""Paths and settings in a space's home folder."""

import json
import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path

from sagemaker_marimo import image


def home_folder() -> Path:
    """The volume, even if the image has another HOME, such as root's: see image.sh."""
    return Path(image.VOLUME) if image.has_other_home() else Path.home()


PAYLOAD = Path(__file__).parents[2]
HOME = home_folder()
NOTEBOOKS = HOME / "marimo-notebooks"
STATE = Path(os.environ.get("MARIMO_STATE") or HOME / ".local/share/sagemaker-marimo")
INSTALL_LOG = STATE / "log/install.log"


def installed_environment() -> Path | None:
    """marimo's virtual environment, if it is complete and was built for this Python version."""
    # Resolved, so that a running server stays in its own environment when `current` changes.
    environment = (STATE / "environments/current").resolve()
    made_for = f"{sys.version_info.major}.{sys.version_info.minor}-"
    if environment.name.startswith(made_for) and (environment / ".complete").is_file():
        return environment
    return None


def installation_status() -> str | None:
    """What install.sh wrote: installing, installed or failed."""
    try:
        # An empty file also means failed: a full volume could store no more.
        return (STATE / "status").read_text().strip() or "failed"
    except OSError:
        return None


def installation_failed() -> bool:
    return installation_status() == "failed"


def why_not_installed() -> str:
    """The value of X-Marimo-Waiting while there is no virtual environment."""
    return "not installed" if installation_failed() else "installing"


def install_log_tail(lines: int = 12) -> str:
    try:
        return "\n".join(INSTALL_LOG.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def settings() -> dict[str, str]:
    """The settings of this space's environment.

    They come from the payload's settings.env (such as MARIMO_TRANSPORT) and from the lifecycle configuration
    (such as MARIMO_BUCKET).
    """
    lines: list[str] = []
    for file in (PAYLOAD / "settings.env", STATE / "space.env"):
        with suppress(OSError):
            lines += file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def resource(member: str) -> str | None:
    """What AWS writes about the app, such as its SpaceName and ExecutionRoleArn. None outside of a space.
    sagemaker-core reads it at the same place (session_helper.py, get_caller_identity_arn)."""
    file = os.environ.get("SAGEMAKER_RESOURCE_METADATA", "/opt/ml/metadata/resource-metadata.json")
    try:
        value = json.loads(Path(file).read_text(encoding="utf-8")).get(member)
    except (OSError, ValueError, AttributeError):
        return None
    return value if isinstance(value, str) else None


def token_file() -> Path:
    """The file with the secret for marimo's port, which every program in the space can reach."""
    path = STATE / "token"
    STATE.mkdir(parents=True, exist_ok=True)
    if not path.exists() or not path.read_text().strip():
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    # Only if needed: on a read-only home, chmod fails even if it would change nothing.
    if stat.S_IMODE(path.stat().st_mode) != 0o600:
        path.chmod(0o600)
    return path
