import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from traitlets.config import Config

from sagemaker_marimo import image, state, unsuitable_image


def test_an_image_that_has_everything() -> None:
    assert unsuitable_image.problem() == ""


def test_an_image_that_lacks_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "OLDEST", (sys.version_info[0], sys.version_info[1] + 1))
    monkeypatch.setitem(sys.modules, "jupyter_server_proxy", None)
    lacks = (
        r"This image lacks Python 3\.\d+ or later \(it has .*\); jupyter-server-proxy in JupyterLab's Python"
    )
    assert re.match(lacks, unsuitable_image.problem())
    assert unsuitable_image.problem().endswith(unsuitable_image.REMEDY)


@pytest.mark.parametrize("is_set_before", [True, False])
def test_reason_reaches_the_page_beside_other_settings(
    is_set_before: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config()
    if is_set_before:
        config.ServerApp.tornado_settings = {"compress_response": True}
    unsuitable_image.explain(config, "no Python")
    assert "sagemaker-marimo: skipped: no Python" in capsys.readouterr().err
    settings = config.ServerApp.tornado_settings
    settings = settings if is_set_before else settings.get_value({})
    assert settings == {
        **({"compress_response": True} if is_set_before else {}),
        "page_config_data": {"sagemakerMarimoProblem": "no Python"},
    }
    extensions = config.LabServerApp.extra_labextensions_path.get_value([])
    assert extensions == [str(unsuitable_image.PAYLOAD / "labextensions")]


def test_it_runs_with_an_old_python() -> None:
    """What start.sh imports before it knows the version must not need a newer one."""
    folder = Path(unsuitable_image.__file__).parent
    for name in ("unsuitable_image.py", "image.py", "__init__.py"):
        ast.parse((folder / name).read_text(), feature_version=(3, 8))
    with pytest.raises(SyntaxError):
        ast.parse("match 1:\n  case _: pass", feature_version=(3, 8))
    assert importlib.util.find_spec("sagemaker_marimo.unsuitable_image")
    assert state.PAYLOAD == unsuitable_image.PAYLOAD
