import sys
from pathlib import Path

import pytest

from sagemaker_marimo import state


@pytest.fixture
def anyio_backend() -> str:
    """Runs asynchronous tests with asyncio, as Jupyter does."""
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder for the test. Without it, state.py would use the developer's own."""
    folder = tmp_path / "home"
    (folder / "marimo-notebooks").mkdir(parents=True)
    (folder / ".state/log").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(state, "HOME", folder)
    monkeypatch.setattr(state, "NOTEBOOKS", folder / "marimo-notebooks")
    monkeypatch.setattr(state, "STATE", folder / ".state")
    monkeypatch.setattr(state, "INSTALL_LOG", folder / ".state/log/install.log")
    monkeypatch.setattr(state, "PAYLOAD", folder / ".state/payload/current")
    return folder


@pytest.fixture
def environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """marimo's virtual environment as install.sh creates it, but without marimo."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = home / f".state/environments/{version}-0123456789abcdef"
    (folder / f"lib/python{version}/site-packages").mkdir(parents=True)
    (folder / ".complete").touch()
    (folder.parent / "current").symlink_to(folder.name)
    return folder
