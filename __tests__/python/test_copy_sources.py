"""A job copies its sources only if they are those that were sent (job/copy_sources.py), and runs the payload
only if it is the deployed one (the entrypoint in names.json, and job/run.sh)."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sagemaker_marimo import names
from sagemaker_marimo.jobs import request
from sagemaker_marimo.jobs.sources import Sources

PAYLOAD = Path(names.__file__).parents[2]
SOURCES = Sources({"analysis.py": b"import csv\n", "data/prices.csv": b"a\n1\n"}, "numpy==2.0.0\n")


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """The input of a job."""
    put(tmp_path / "input", dict(SOURCES.contents()) | {names.CHECKSUMS: SOURCES.checksums})
    return tmp_path / "input"


def copy(sent: Path, sha256: str = SOURCES.sha256) -> tuple[int, str, str, list[str]]:
    target = sent.with_name("copy")
    target.mkdir()
    result = subprocess.run(  # noqa: S603  # no shell
        [sys.executable, "-I", str(PAYLOAD / "job/copy_sources.py"), str(sent), str(target), sha256],
        capture_output=True,
        text=True,
        check=False,
    )
    files = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    return result.returncode, result.stdout.strip(), result.stderr.strip(), files


def test_the_files_that_were_sent_are_copied(sent: Path) -> None:
    assert copy(sent) == (0, "", "", ["analysis.py", "data/prices.csv", "requirements.lock"])


def test_a_file_that_was_not_sent_is_left_out(sent: Path) -> None:
    put(sent, {"csv.py": b"raise SystemExit", "__pycache__/csv.cpython-312.pyc": b"x"})
    status, altered, log, files = copy(sent)
    assert (status, altered) == (0, "")
    assert files == ["analysis.py", "data/prices.csv", "requirements.lock"]
    assert log.endswith("not sent: __pycache__/csv.cpython-312.pyc, csv.py")


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def changed(name: str) -> Callable[[Path], None]:
    return lambda folder: put(folder, {name: b"print('poisoned')\n"})


def relisted(folder: Path) -> None:
    """The overwrite of a file and of its line in the list."""
    poisoned = Sources({**SOURCES.files, "analysis.py": b"print('poisoned')\n"}, SOURCES.lock)
    put(folder, dict(poisoned.contents()) | {names.CHECKSUMS: poisoned.checksums})


@pytest.mark.parametrize(
    ("alter", "says"),
    [
        (changed("analysis.py"), "analysis.py was changed"),
        (changed("requirements.lock"), "requirements.lock was changed"),
        (without("data/prices.csv"), "data/prices.csv is missing"),
        (without(names.CHECKSUMS), "SHA256SUMS is missing"),
        (changed(names.CHECKSUMS), "SHA256SUMS was changed"),
        (relisted, "SHA256SUMS was changed"),
    ],
)
def test_altered_sources_are_refused(sent: Path, alter: Callable[[Path], None], says: str) -> None:
    alter(sent)
    assert copy(sent)[:2] == (65, says)


def test_everything_that_differs_is_reported(sent: Path) -> None:
    changed("analysis.py")(sent)
    without("data/prices.csv")(sent)
    assert copy(sent)[:2] == (65, "analysis.py was changed, data/prices.csv is missing")


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """A job's /opt/ml, with a payload of two files and of run.sh, which only says that it ran."""
    payload = tmp_path / "ml/processing/input/runtime"
    put(payload, {"job/run.sh": b'echo "ran $*"\n', "image.sh": b""})
    (tmp_path / "ml/output").mkdir()
    lines = [
        f"{hashlib.sha256((payload / n).read_bytes()).hexdigest()}  {n}\n" for n in ("image.sh", "job/run.sh")
    ]
    put(payload, {names.CHECKSUMS: "".join(lines).encode()})
    return tmp_path / "ml"


def enter(container: Path, sha256: str | None = None) -> tuple[int, str, str]:
    """Runs the entrypoint of a request with two arguments. Returns its status, output and message."""
    runtime = container / "processing/input/runtime"
    given = sha256 or hashlib.sha256((runtime / names.CHECKSUMS).read_bytes()).hexdigest()
    words = [word.replace(f"{request.INPUT}/runtime", str(runtime)) for word in request.ENTRYPOINT]
    result = subprocess.run(  # noqa: S603  # no shell
        [*words, "analysis.py", "an argument"],
        env={**os.environ, "MARIMO_PAYLOAD_SHA256": given},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    message = container / "output/message"
    return result.returncode, result.stdout, message.read_text() if message.is_file() else ""


def test_the_entrypoint_runs_the_payload_of_the_request(container: Path) -> None:
    assert enter(container) == (0, "ran analysis.py an argument\n", "")


@pytest.mark.parametrize("name", ["job/run.sh", "image.sh"])
def test_the_entrypoint_refuses_an_altered_payload(container: Path, name: str) -> None:
    put(container / "processing/input/runtime", {name: b"echo poisoned\n"})
    status, output, message = enter(container)
    assert (status, output) == (65, message)
    assert message == "the payload is not the deployed one: deploy again, then send it again\n"


def test_the_entrypoint_refuses_a_payload_with_another_list(container: Path) -> None:
    assert enter(container, "0" * 64)[0] == 65
    (container / "processing/input/runtime" / names.CHECKSUMS).unlink()
    assert enter(container, "0" * 64)[0] == 65


def test_each_word_of_the_entrypoint_has_room_and_survives_terraform_and_the_scheduler() -> None:
    for word in request.ENTRYPOINT:
        # SageMaker API, ContainerEntrypoint. Both replace what is between these characters.
        assert len(word) <= 256
        assert not {"${", "%{", "<"} & {word[i : i + n] for i in range(len(word)) for n in (1, 2)}


def test_run_sh_refuses_a_payload_with_a_file_that_was_not_deployed(container: Path) -> None:
    runtime = container / "processing/input/runtime"
    for name in ("job/run.sh", "image.sh"):
        put(runtime, {name: (PAYLOAD / name).read_bytes()})
    (container / "processing/output").mkdir()
    lines = [f"{'0' * 64}  {name}\n" for name in ("image.sh", "job/run.sh")]
    put(runtime, {names.CHECKSUMS: "".join(lines).encode()})

    def run() -> tuple[int, str]:
        # No Python: what comes after the check fails.
        result = subprocess.run(  # noqa: S603  # no shell
            ["/bin/bash", str(runtime / "job/run.sh"), "analysis.py"],
            env={"PATH": "/usr/bin:/bin", "CONDA_PREFIX": "/nonexistent"},
            capture_output=True,
            check=False,
        )
        return result.returncode, (container / "output/message").read_text()

    assert run() == (70, "the image's Python, /nonexistent/bin/python, does not run")  # control
    put(runtime, {"python/sagemaker_marimo/json.py": b""})
    status, message = run()
    assert status == 65
    assert message.startswith(
        "the payload has files that were not deployed: python/sagemaker_marimo/json.py."
    )
