"""What a user adds gets the image's versions as constraints. uv is a script here that records its calls."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sagemaker_marimo import image_packages
from sagemaker_marimo.image_packages import (
    CONSTRAINTS,
    LOCKED,
    install,
    named_with_version,
    read_constraints,
    say_what_is_replaced,
    write_constraints,
)


def package(folder: Path, name: str, version: str, origin: str | None = None) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if origin:
        (info / "direct_url.json").write_text(json.dumps({"url": origin}))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image with some packages, and marimo's virtual environment."""
    image = tmp_path / "image"
    package(image, "NumPy", "1.26.4")
    package(image, "torch", "2.5.0+cpu")
    package(image, "anyio", "3.0")
    package(image, "scipy", "1.13.1")
    package(image, "from_git", "1.0", "https://host/repository")
    monkeypatch.setattr(sys, "path", [str(image)])
    environment = tmp_path / "environment"
    (environment / "lib/python3.12/site-packages").mkdir(parents=True)
    write_constraints(environment, {"anyio": "anyio==4.9", "scipy": "scipy==1.13.1"})
    (environment / LOCKED).write_text(json.dumps({"anyio": "anyio==4.9"}))
    return environment


UV = """#!{python}
import json, os, sys
folder = {folder!r}
constraints = open(os.environ["UV_CONSTRAINT"]).read().split()
with open(folder + "/calls", "a") as log:
    print(json.dumps([sys.argv[1:], constraints]), file=log)
for line, answer in json.load(open(folder + "/refuses")).items():
    if line in constraints:
        sys.exit(answer)
"""


@pytest.fixture
def uv(tmp_path: Path) -> Path:
    program = tmp_path / "uv"
    program.write_text(UV.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    (tmp_path / "refuses").write_text("{}")
    return program


def calls(uv: Path) -> list[tuple[list[str], list[str]]]:
    return [tuple(json.loads(line)) for line in (uv.parent / "calls").read_text().splitlines()]


def test_constraints_are_the_images_versions_that_an_index_may_have(environment: Path) -> None:
    assert read_constraints(environment) == {"numpy": "numpy==1.26.4", "scipy": "scipy==1.13.1"}


def test_no_constraints_before_the_first_installation(tmp_path: Path) -> None:
    assert read_constraints(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["numpy"], set()),
        (["-U", "numpy", "--python", "/home/numpy==1"], set()),
        (["numpy==2.2.6", "SciPy>=1"], {"numpy", "scipy"}),
        (["numpy [extra] ~= 2", "a @ https://host/a.whl"], {"numpy", "a"}),
        (["-r", "/nonexistent"], set()),
    ],
)
def test_packages_named_with_a_version(arguments: list[str], names: set[str]) -> None:
    assert named_with_version(arguments) == names


def test_packages_named_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# numpy==3\nnumpy==2.2.6\npandas\n")
    assert named_with_version(["--requirements", str(file)]) == {"numpy"}


def test_the_image_wins_unless_the_user_names_another_version(environment: Path, uv: Path) -> None:
    assert install([str(uv), "pip", "install"], ["scikit-learn"], environment, {}) == 0
    assert calls(uv)[-1] == (
        ["pip", "install", "scikit-learn"],
        ["numpy==1.26.4", "scipy==1.13.1", "anyio==4.9"],
    )
    assert install([str(uv), "pip", "install"], ["scikit-learn", "numpy>=2"], environment, {}) == 0
    assert calls(uv)[-1][1] == ["scipy==1.13.1", "anyio==4.9"]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("numpy==1.26.4", "The image has numpy==1.26.4. To use another version in marimo, name it too"),
        ("anyio==4.9", "marimo itself needs anyio==4.9, so no other version can be installed"),
    ],
)
def test_a_conflict_is_refused_with_advice(
    line: str, advice: str, environment: Path, uv: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (uv.parent / "refuses").write_text(json.dumps({line: f"Because new-package needs another than {line}"}))
    assert install([str(uv), "pip", "install"], ["new-package"], environment, {}) == 1
    assert capfd.readouterr().err.count(advice) == 1


def test_marimos_own_packages_cannot_be_replaced_by_name(environment: Path, uv: Path) -> None:
    assert install([str(uv), "pip", "install"], ["anyio==3.0"], environment, {}) == 0
    assert "anyio==4.9" in calls(uv)[-1][1]


@pytest.mark.parametrize(("arguments", "variables"), [(["--offline", "a"], {}), (["a"], {"UV_OFFLINE": "1"})])
def test_offline_no_constraint_is_given_up(
    arguments: list[str], variables: dict[str, str], environment: Path, uv: Path
) -> None:
    """A version that is missing from the cache may be on the index, and another numpy may be in the cache."""
    (uv.parent / "refuses").write_text(
        json.dumps({"numpy==1.26.4": "Because there is no version of numpy==1.26.4"})
    )
    assert install([str(uv), "pip", "install"], arguments, environment, variables) == 1
    assert len(calls(uv)) == 1


def test_pip_gets_the_constraints_too(environment: Path, uv: Path) -> None:
    uv.write_text(uv.read_text().replace("UV_CONSTRAINT", "PIP_CONSTRAINT"))
    assert install([str(uv), "-m", "pip", "install"], ["numpy==2.2.6"], environment, {}) == 0
    assert calls(uv) == [(["-m", "pip", "install", "numpy==2.2.6"], ["scipy==1.13.1", "anyio==4.9"])]


def test_the_trial_has_the_same_folder_and_time_limit(environment: Path, uv: Path) -> None:
    uv.write_text(uv.read_text().replace("import json", "import time; time.sleep(60)\nimport json"))
    with pytest.raises(subprocess.TimeoutExpired):
        install([str(uv), "pip", "install"], ["a"], environment, {}, timeout=0.3)


class PassedOnError(Exception):
    """The command goes to uv as it is."""


@pytest.fixture
def run(environment: Path, uv: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs bin/uv in this process, whose sys.path is the image's."""
    monkeypatch.setenv("MARIMO_UV", str(uv))
    monkeypatch.setenv("VIRTUAL_ENV", str(environment))

    def passed_on(program: str, arguments: list[str]) -> None:
        raise PassedOnError

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["uv", *arguments])
        monkeypatch.setattr(os, "execv", passed_on)
        return image_packages.main()

    return run


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("AnyIO", "marimo itself needs anyio: nothing was removed."),
        ("NumPy", "numpy belongs to the image: nothing was removed."),
        ("torch", "torch belongs to the image"),
    ],
)
def test_packages_of_marimo_and_the_image_cannot_be_removed(
    name: str, reason: str, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pip", "uninstall", name, "mine") == 2
    assert capsys.readouterr().err.startswith(f"sagemaker-marimo: {reason}")


@pytest.mark.parametrize("name", ["mine", "numpy"])
def test_added_packages_can_be_removed(name: str, environment: Path, run: Callable[..., int]) -> None:
    package(environment / "lib/python3.12/site-packages", "numpy", "2.2.6")
    with pytest.raises(PassedOnError):
        run("pip", "uninstall", name)


LISTS = """#!{python}
import json
print(json.dumps([{{"name": "anyio", "version": "4.9"}}, {{"name": "mine", "version": "1.0"}}]))
"""


def test_the_list_has_the_images_packages_too(
    environment: Path, uv: Path, run: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    uv.write_text(LISTS.format(python=sys.executable))
    for name, version in (("anyio", "4.9"), ("mine", "1.0")):
        package(environment / "lib/python3.12/site-packages", name, version)
    assert run("pip", "list", "--format=json", "-p", str(environment / "bin/python")) == 0
    listed = [(one["name"], one["version"]) for one in json.loads(capfd.readouterr().out)]
    assert listed == [
        ("anyio", "4.9"),
        ("from-git", "1.0"),
        ("mine", "1.0"),
        ("numpy", "1.26.4"),
        ("scipy", "1.13.1"),
        ("torch", "2.5.0+cpu"),
    ]


def test_a_list_that_fails_stays_a_failure(
    uv: Path, run: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    uv.write_text(f"#!{sys.executable}\nraise SystemExit(2)\n")
    assert run("pip", "list", "--format=json") == 2
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "arguments", [["--format=json", "--outdated"], [], ["--format=json", "-p", "/other/bin/python"]]
)
def test_other_lists_are_passed_on(arguments: list[str], run: Callable[..., int]) -> None:
    with pytest.raises(PassedOnError):
        run("pip", "list", *arguments)


@pytest.mark.parametrize(
    "answer",
    [
        "  Because there is no version of numpy==1.26.4 and you require numpy==1.26.4",
        "Because numpy==1.26.4 has no wheels with a matching Python ABI tag",
        "Because there is\n      no version of\n numpy==1.26.4",
    ],
)
def test_a_version_that_only_conda_has_is_no_constraint(
    answer: str, environment: Path, uv: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (uv.parent / "refuses").write_text(json.dumps({"numpy==1.26.4": answer}))
    assert install([str(uv), "pip", "install"], ["scikit-learn"], environment, {}) == 0
    assert calls(uv)[-1] == (["pip", "install", "scikit-learn"], ["scipy==1.13.1", "anyio==4.9"])
    assert "numpy==1.26.4 of the image is not on the package index" in capfd.readouterr().err


def test_says_what_is_used_instead_of_the_images_version(
    environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package(environment / "lib/python3.12/site-packages", "numpy", "2.2.6")
    say_what_is_replaced(environment, {"scipy"})
    assert capsys.readouterr().err == ""
    say_what_is_replaced(environment, {"numpy"})
    assert "numpy 2.2.6 is now used instead of the image's numpy==1.26.4" in capsys.readouterr().err


def test_constraints_stay_after_the_images_version_was_added(environment: Path) -> None:
    """Otherwise the next package could bring another numpy."""
    write_constraints(environment, {"numpy": "numpy==1.26.4"})
    assert "numpy" in read_constraints(environment)
    write_constraints(environment, {"numpy": "numpy==2.2.6"})
    assert "numpy" not in read_constraints(environment)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["pip", "list"], {}),
        (["pip", "install", "a", "--python", "/other/bin/python"], {}),
        (["pip", "install", "a"], {"UV_CONSTRAINT": "/mine"}),
    ],
)
def test_other_commands_are_passed_on(
    arguments: list[str], variables: dict[str, str], environment: Path, uv: Path
) -> None:
    env = {"MARIMO_UV": str(uv), "VIRTUAL_ENV": str(environment), **variables}
    uv.write_text(uv.read_text().replace('os.environ["UV_CONSTRAINT"]', '"/dev/null"'))
    command = [sys.executable, "-B", image_packages.__file__, *arguments]
    subprocess.run(command, env=env, check=True)  # noqa: S603  # no shell
    assert calls(uv) == [(arguments, [])]
    assert (environment / CONSTRAINTS).is_file()
