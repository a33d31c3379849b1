"""A job's page and files: what is in the bucket, and what was downloaded into the home."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sagemaker_marimo import state
from sagemaker_marimo.jobs import results
from sagemaker_marimo.jobs.descriptions import Description

MOST = 1_000
"""S3 API, ListObjectsV2: MaxKeys. The page shows no more files than one request lists."""


@dataclass(frozen=True)
class Stored:
    """What the bucket has of a job."""

    files: int
    size: int
    is_all: bool

    def __str__(self) -> str:
        more = "" if self.is_all else "more than "
        return f"{more}{self.files} file{'s' * (self.files != 1)}, {_size(self.size)}"


def stored(s3: Any, description: Description) -> Stored:
    bucket, prefix = results.output_of(description)
    answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=MOST)
    sizes = [one["Size"] for one in answer.get("Contents", []) if not one["Key"].endswith("/")]
    return Stored(len(sizes), sum(sizes), not answer.get("IsTruncated", False))


def download(s3: Any, description: Description) -> list[Path]:
    """Downloads a job's page and files, also unfinished ones, where `marimo-job open` does. The page is the
    first."""
    return results.fetch(s3, description, folder(description))


def folder(description: Description) -> Path:
    return state.HOME / "marimo-jobs" / str(description["ProcessingJobName"])


def links(description: Description, files: Sequence[Path]) -> list[tuple[str, str]]:
    """The name and the address of each file, relative to this app's address in JupyterLab. There, the page's
    scripts run without access to Jupyter (jupyter_server, AuthenticatedFileHandler)."""
    own = folder(description)
    return [
        (file.relative_to(own).as_posix(), f"../files/{quote(file.relative_to(state.HOME).as_posix())}")
        for file in files
    ]


def _size(size: float) -> str:
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
