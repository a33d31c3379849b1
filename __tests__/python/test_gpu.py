"""marimo-doctor in spaces with GPUs, without them, and with an image for the other."""

import sys
from pathlib import Path

import pytest

from sagemaker_marimo.checks import gpu
from sagemaker_marimo.checks.problem import Findings, Problem

T4 = "Tesla T4, 15360 MiB, 550.163.01"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance without GPUs, and an image for CPUs."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "gpus").mkdir()
    (tmp_path / "lib").mkdir()
    monkeypatch.setattr(gpu, "GPUS", tmp_path / "gpus")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages")])
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


def add_gpus(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"gpus/0000:00:1{number}.0").mkdir()


def add_nvidia_smi(folder: Path, script: str) -> None:
    (folder / "bin/nvidia-smi").write_text(f"#!/bin/bash\n{script}\n")
    (folder / "bin/nvidia-smi").chmod(0o755)


def add_cuda(folder: Path) -> None:
    (folder / "lib/libcudart.so.12").touch()


def test_a_space_without_gpus_needs_no_driver(tmp_path: Path) -> None:
    assert gpu.gpu(Findings()) == "this space has none"
    add_cuda(tmp_path)
    add_nvidia_smi(tmp_path, "exit 9")
    assert gpu.gpu(Findings()) == "this space has none, although its image is made for GPUs"


def test_gpus_are_named(tmp_path: Path) -> None:
    add_gpus(tmp_path, 2)
    add_cuda(tmp_path)
    add_nvidia_smi(tmp_path, f"echo '{T4}'; echo '{T4}'")
    assert gpu.gpu(Findings()) == f"{T4}; {T4}"


def test_an_image_without_cuda_is_named(tmp_path: Path) -> None:
    add_gpus(tmp_path, 1)
    add_nvidia_smi(tmp_path, f"echo '{T4}'")
    with pytest.raises(Problem, match="this space has 1 GPU, but its image has no CUDA libraries") as raised:
        gpu.gpu(Findings())
    assert "choose an image for GPUs" in raised.value.remedy
    # Control: a package such as torch can bring them.
    library = tmp_path / "site-packages/nvidia/cuda_runtime/lib/libcudart.so.12"
    library.parent.mkdir(parents=True)
    library.touch()
    assert gpu.gpu(Findings()) == T4


def test_cuda_in_marimos_virtual_environment_counts(tmp_path: Path, environment: Path) -> None:
    add_gpus(tmp_path, 1)
    add_nvidia_smi(tmp_path, f"echo '{T4}'")
    (site_packages,) = environment.glob("lib/python*/site-packages")
    (site_packages / "nvidia/cu13/lib").mkdir(parents=True)
    (site_packages / "nvidia/cu13/lib/libcudart.so.13").touch()
    assert gpu.gpu(Findings()) == T4


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "nvidia-smi"),
        ("echo 'NVIDIA-SMI has failed because there is no driver.'; exit 9", "NVIDIA-SMI has failed because"),
        ("exit 9", "exit status 9"),
    ],
)
def test_a_driver_that_does_not_answer_is_named(tmp_path: Path, script: str | None, reason: str) -> None:
    add_gpus(tmp_path, 1)
    add_cuda(tmp_path)
    if script is not None:
        add_nvidia_smi(tmp_path, script)
    with pytest.raises(Problem, match=f"this space has 1 GPU, but its driver does not answer: .*{reason}"):
        gpu.gpu(Findings())
