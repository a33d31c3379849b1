"""Convert to marimo, with a stand-in for marimo's own command. The browser tests use the real one."""

from pathlib import Path

import pytest

from sagemaker_marimo.convert import convert
from sagemaker_marimo.file_browser import address_of
from sagemaker_marimo.served_path import NotOpenedError

pytestmark = pytest.mark.anyio

CONVERTED = "import marimo\n\napp = marimo.App()\n"


@pytest.fixture
def notebook(home: Path) -> Path:
    path = home / "one/it's 100%.ipynb"
    path.parent.mkdir()
    path.write_text("{}")
    return path


def marimo(environment: Path, script: str) -> None:
    command = environment / "bin/marimo"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f"#!/bin/bash\n{script}\n")
    command.chmod(0o755)


async def test_the_new_file_is_beside_the_notebook(notebook: Path, environment: Path) -> None:
    marimo(environment, f"printf '{CONVERTED.encode('unicode_escape').decode()}' >\"$4\"")
    query = await address_of("convert", notebook)
    file = notebook.with_suffix(".py")
    assert file.read_text() == CONVERTED
    assert query.endswith("one%2Fit%27s+100%25.py")
    assert notebook.read_text() == "{}"


async def test_an_existing_file_is_never_overwritten(notebook: Path, environment: Path) -> None:
    marimo(environment, 'echo "import marimo # $2" >"$4"')
    existing = notebook.with_suffix(".py")
    existing.write_text("mine\n")
    (notebook.parent / "it's 100%-2.py").symlink_to("/nowhere")
    assert [(await convert(notebook)).name for _ in range(2)] == ["it's 100%-1.py", "it's 100%-3.py"]
    assert existing.read_text() == "mine\n"


async def test_a_notebook_that_marimo_cannot_convert(notebook: Path, environment: Path) -> None:
    marimo(environment, "echo Traceback; echo 'JSONDecodeError: Expecting value' >&2; exit 1")
    with pytest.raises(NotOpenedError, match=r"cannot convert .*: JSONDecodeError: Expecting value$"):
        await convert(notebook)
    assert list(notebook.parent.iterdir()) == [notebook]


async def test_without_marimo(notebook: Path) -> None:
    with pytest.raises(NotOpenedError, match="not installed yet"):
        await convert(notebook)


@pytest.mark.parametrize(("action", "name"), [("convert", "a.py"), ("app", "a.ipynb"), ("open", "a.csv")])
async def test_another_file_says_what_to_do(action: str, name: str, home: Path, environment: Path) -> None:
    (home / name).write_text("")
    with pytest.raises(NotOpenedError, match=r"must end in "):
        await address_of(action, home / name)


async def test_nothing_is_created_outside_the_home(home: Path, tmp_path: Path, environment: Path) -> None:
    marimo(environment, 'echo >"$4"')
    (tmp_path / "a.ipynb").write_text("{}")
    with pytest.raises(NotOpenedError, match="outside"):
        await address_of("convert", tmp_path / "a.ipynb")
    assert not (tmp_path / "a.py").exists()


async def test_an_app_is_the_notebook_without_its_code(home: Path) -> None:
    (home / "marimo-notebooks/a.py").write_text(CONVERTED)
    query = await address_of("app", home / "marimo-notebooks/a.py")
    assert query == "marimo/?file=a.py&view-as=present&show-chrome=false"


async def test_a_job_is_of_a_notebook_in_the_home(home: Path, tmp_path: Path) -> None:
    for file in (home / "marimo-notebooks/a b.py", home / "c.py", tmp_path / "outside.py"):
        file.write_text(CONVERTED)
    (home / "script.py").write_text("print()")
    job = "marimo-jobs/?notebook="
    assert await address_of("job", home / "marimo-notebooks/a b.py") == f"{job}marimo-notebooks%2Fa+b.py"
    assert await address_of("job", home / "c.py") == f"{job}c.py"
    for name, reason in (("script.py", "is not a marimo"), ("a.ipynb", "must end in .py")):
        with pytest.raises(NotOpenedError, match=reason):
            await address_of("job", home / name)
    with pytest.raises(NotOpenedError, match="outside"):
        await address_of("job", tmp_path / "outside.py")
