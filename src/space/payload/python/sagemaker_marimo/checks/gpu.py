"""The check of the space's GPUs, which its image must be made for."""

import subprocess
import sys
from pathlib import Path

from sagemaker_marimo import image_packages, state
from sagemaker_marimo.checks.problem import RESTART, Findings, Problem

GPUS = Path("/proc/driver/nvidia/gpus")
"""A folder for each GPU (README of NVIDIA's driver, "The /proc interface"). Guess: any image sees it."""
QUERY = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]


def has_cuda() -> bool:
    """Whether the image or marimo's virtual environment has the CUDA runtime. SageMaker Distribution for GPUs
    has it from conda (`cuda-cudart` in build_artifacts/v4/v4.0/v4.0.14/gpu.env.out)."""
    environment = state.installed_environment()
    packages = [*sys.path, *(() if environment is None else image_packages.site_packages(environment))]
    return any(
        [
            *Path(sys.prefix, "lib").glob("libcudart.so*"),
            *Path("/usr/local").glob("cuda*/lib64/libcudart.so*"),
            *(found for folder in packages for found in Path(folder).glob("nvidia/*/lib/libcudart.so*")),
        ]
    )


def gpu(_: Findings) -> str:
    count = len(list(GPUS.glob("*")))
    if count == 0:
        return "this space has none" + (", although its image is made for GPUs" if has_cuda() else "")
    has = f"this space has {count} GPU{'s' * (count > 1)}"
    if not has_cuda():
        raise Problem(
            f"{has}, but its image has no CUDA libraries: torch and others use the CPU only",
            "Stop the space, choose an image for GPUs in Studio, and start it again.",
        )
    try:
        result = subprocess.run(QUERY, capture_output=True, text=True, timeout=30, check=True)  # noqa: S603  # no shell
    except (OSError, subprocess.SubprocessError) as error:
        output = error.stdout if isinstance(error, subprocess.CalledProcessError) else None
        reason = (output or str(error)).strip().splitlines()[0]
        raise Problem(f"{has}, but its driver does not answer: {reason}", RESTART) from None
    return "; ".join(result.stdout.strip().splitlines())
