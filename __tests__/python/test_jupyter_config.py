"""The environment of marimo's server."""

import os
from pathlib import Path

import pytest

from sagemaker_marimo import jupyter_config, packages


@pytest.mark.usefixtures("environment")
def test_a_variable_with_braces_reaches_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"/home/{{team}}/bin:{os.defpath}")
    monkeypatch.setattr(packages, "find_uv", lambda: "uv")
    path = jupyter_config.environment()["PATH"].format(port=1, base_url="/")
    assert path.endswith(os.environ["PATH"])
    with pytest.raises(KeyError):
        os.environ["PATH"].format(port=1, base_url="/")


def test_marimos_own_configuration_is_in_the_home_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root image's HOME is another folder, which the next start resets."""
    monkeypatch.setenv("HOME", "/root")
    assert jupyter_config.environment()["HOME"] == str(home)
