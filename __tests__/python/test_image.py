"""What an image lacks, and what a space says then."""

import ast
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sagemaker_marimo import image, waiting_page
from sagemaker_marimo.checks.image import image as check
from sagemaker_marimo.checks.problem import Findings, Problem

FOLDER = Path(image.__file__).parent
Break = Callable[[pytest.MonkeyPatch], None]


def old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "OLDEST", (sys.version_info[0], sys.version_info[1] + 1))


def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jupyter_server_proxy", None)


def without_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "prefix", "/nonexistent")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


def other_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: path == image.VOLUME)
    monkeypatch.setenv("HOME", "/root")


@pytest.fixture(autouse=True)
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that has everything."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def test_a_complete_image_lacks_nothing() -> None:
    assert image.missing() == []
    assert check(Findings()) == "has everything that marimo needs"


@pytest.mark.parametrize(
    ("broken", "lacks"),
    [
        (old_python, [r"Python 3\.\d+ or later \(it has 3\.\d+\)"]),
        (without_proxy, ["jupyter-server-proxy"]),
        (without_commands, ["uv, or pip", "the AWS CLI"]),
        (other_home, [r"HOME=/home/sagemaker-user \(it is /root"]),
    ],
)
def test_the_doctor_says_what_an_image_lacks(
    broken: Break, lacks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    with pytest.raises(Problem, match=f"the image lacks {'.*; '.join(lacks)}") as raised:
        check(Findings())
    assert "Choose another image" in raised.value.remedy
    assert len(image.missing()) == len(lacks)


def test_a_home_below_the_volume_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    other_home(monkeypatch)
    for home in (image.VOLUME, f"{image.VOLUME}/team"):
        monkeypatch.setenv("HOME", home)
        assert image.missing("home") == []
    monkeypatch.setenv("HOME", f"{image.VOLUME}-2")
    assert len(image.missing("home")) == 1


def test_a_failed_installation_names_what_the_image_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagemaker_marimo.state.installation_failed", lambda: True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    assert "The image lacks" not in waiting_page.installation_page()
    without_commands(monkeypatch)
    assert "The image lacks uv, or pip" in waiting_page.installation_page()


@pytest.mark.parametrize("name", ["image.py", "doctor.py", "__init__.py"])
def test_what_speaks_of_an_old_python_can_be_read_by_it(name: str) -> None:
    """JupyterLab 4 runs with Python 3.8 and later (its requires-python)."""
    ast.parse((FOLDER / name).read_text(), feature_version=(3, 8))
