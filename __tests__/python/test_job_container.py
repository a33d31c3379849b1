"""What a job's notebook gets of its container: nodes, checkpoints and the place of its output."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sagemaker_marimo import job, job_container
from sagemaker_marimo.job_container import Container
from sagemaker_marimo.job_upload import Upload

PAYLOAD = Path(job_container.__file__).parents[1]


@pytest.fixture
def ml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/opt/ml of the second of three nodes of a training job."""
    monkeypatch.delenv("MARIMO_CHECKPOINTS", raising=False)
    monkeypatch.setenv("MARIMO_JOB_OUTPUT", "s3://bucket/people/ana/jobs/x")
    (tmp_path / "input/config").mkdir(parents=True)
    resources = {
        "current_host": "algo-2",
        "hosts": ["algo-1", "algo-10", "algo-2"],
        "network_interface_name": "eth0",
    }
    (tmp_path / job_container.RESOURCES).write_text(json.dumps(resources))
    return tmp_path


def test_a_node_of_a_training_job(ml: Path) -> None:
    container = Container.of(ml)
    assert container.is_training
    assert container.hosts == ("algo-1", "algo-2", "algo-10")
    assert container.message == ml / "output/failure"
    # The first node's output is the job's.
    assert container.target == "s3://bucket/people/ana/jobs/x/nodes/algo-2"


def test_a_processing_job_is_one_node(ml: Path) -> None:
    (ml / job_container.RESOURCES).unlink()
    container = Container.of(ml)
    assert not container.is_training
    assert container.message == ml / "output/message"
    assert container.target == "s3://bucket/people/ana/jobs/x"
    assert container.variables() == {
        "MARIMO_JOB_HOSTS": "algo-1",
        "MARIMO_JOB_HOST": "algo-1",
    }


def notebook(variables: dict[str, str], folder: Path, code: str) -> str:
    """What code prints in a process with the environment of a job's notebook."""
    command = [sys.executable, "-B", "-P", "-c", f"from sagemaker_marimo import job\n{code}"]
    environment = {**variables, "PYTHONPATH": str(PAYLOAD)}
    return subprocess.run(  # noqa: S603  # no shell
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_notebook_knows_its_node_and_has_a_folder_of_its_own(
    ml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARIMO_CHECKPOINTS", "s3://bucket/people/ana/jobs/x/checkpoints")
    code = "print(job.is_job, job.rank, len(job.hosts), job.network_interface, job.checkpoint_folder)"
    said = notebook(Container.of(ml).variables(), ml, code)
    assert said == f"True 1 3 eth0 {ml}/checkpoints/algo-2"
    assert (ml / "checkpoints/algo-2").is_dir()


def load(monkeypatch: pytest.MonkeyPatch, folder: Path) -> ModuleType:
    for name in ("HOSTS", "HOST", "INTERFACE"):
        monkeypatch.delenv(f"MARIMO_JOB_{name}", raising=False)
    monkeypatch.delenv("MARIMO_CHECKPOINT_FOLDER", raising=False)
    monkeypatch.chdir(folder)
    return importlib.reload(job)


def test_it_works_outside_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(monkeypatch, tmp_path)
    assert (module.is_job, module.rank, module.hosts, module.is_first) == (False, 0, ("localhost",), True)
    # Only a notebook that asks for it gets the folder.
    assert list(tmp_path.iterdir()) == []
    assert module.checkpoint_folder == tmp_path / "checkpoints"
    assert (tmp_path / "checkpoints").is_dir()
    with pytest.raises(AttributeError, match="nothing"):
        _ = module.nothing


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake `aws`, which writes its arguments to a file and exits with the status in another."""
    (tmp_path / "aws").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\nexit $(cat {tmp_path}/status)\n')
    (tmp_path / "aws").chmod(0o755)
    (tmp_path / "status").write_text("0")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def test_an_output_is_uploaded_while_the_job_runs_and_at_its_end(aws: Path) -> None:
    said: list[str] = []
    upload = Upload(Path("/output"), "s3://bucket/x", said.append)
    upload.changes(60)
    assert upload.all(60)
    assert (aws / "calls").read_text().splitlines() == [
        "s3 sync --only-show-errors /output s3://bucket/x/",
        "s3 cp --recursive --only-show-errors /output s3://bucket/x/",
    ]
    # After that, only the end matters.
    upload.cancel()
    upload.changes(60)
    assert len((aws / "calls").read_text().splitlines()) == 2
    (aws / "status").write_text("1")
    assert not upload.all(60)
    assert said == ["the output was uploaded", "the output could not be uploaded"]


def test_nothing_is_uploaded_without_a_target(aws: Path) -> None:
    assert Upload(Path("/output"), None, print).all(60)
    assert not (aws / "calls").exists()
