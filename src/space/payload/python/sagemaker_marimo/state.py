"""Where things are in a space's home folder."""

import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path

PAYLOAD = Path(__file__).parents[2]
NOTEBOOKS = Path.home() / "marimo-notebooks"
STATE = Path(os.environ.get("MARIMO_STATE") or Path.home() / ".local/share/sagemaker-marimo")
INSTALL_LOG = STATE / "log/install.log"


def installed_environment() -> Path | None:
    """marimo's environment, once one is in place that was made for this Python."""
    # Resolved, so that a server that is running stays in its own environment when `current` moves on.
    environment = (STATE / "environments/current").resolve()
    made_for = f"{sys.version_info.major}.{sys.version_info.minor}-"
    if environment.name.startswith(made_for) and (environment / ".complete").is_file():
        return environment
    return None


def installation_failed() -> bool:
    try:
        # Empty: a full volume took no more.
        return (STATE / "status").read_text().strip() in ("", "failed")
    except OSError:
        return False


def install_log_tail(lines: int = 12) -> str:
    try:
        return "\n".join(INSTALL_LOG.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def settings() -> dict[str, str]:
    """What the space knows of its environment.

    The payload's settings.env (MARIMO_TRANSPORT and so on) and what the lifecycle script was given
    (MARIMO_BUCKET and so on).
    """
    lines: list[str] = []
    for file in (PAYLOAD / "settings.env", STATE / "space.env"):
        with suppress(OSError):
            lines += file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def token_file() -> Path:
    """The secret between JupyterLab and marimo's port, which any program in the space can reach."""
    path = STATE / "token"
    STATE.mkdir(parents=True, exist_ok=True)
    if not path.exists() or not path.read_text().strip():
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    # A home that is read-only refuses even what would change nothing.
    if stat.S_IMODE(path.stat().st_mode) != 0o600:
        path.chmod(0o600)
    return path
