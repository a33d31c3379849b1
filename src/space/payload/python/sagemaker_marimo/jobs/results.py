"""A job's output in the bucket (`page.html`, `files/`, `result.json`) and its exit status."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from sagemaker_marimo.jobs.descriptions import Description
from sagemaker_marimo.jobs.settings import find_object
from sagemaker_marimo.jobs.training import CHECKPOINTS

WITHOUT_STATUS = 75
"""Exit status of a job that ended without a notebook's status: platform failure, stop or time limit.

EX_TEMPFAIL of sysexits.h: running the job again may succeed. Python and marimo never use it.
"""

NO_ANSWER = 69
"""Exit status if AWS rejects a request or does not answer, for example because credentials have expired.

EX_UNAVAILABLE of sysexits.h. A job that has started continues.
"""


ALTERED = 65
"""Exit status of a job whose files are not those that were sent (job/run.sh): EX_DATAERR of sysexits.h."""


def output_of(description: Description) -> tuple[str, str]:
    """Bucket and prefix; the prefix ends with `/`."""
    outputs = description["ProcessingOutputConfig"]["Outputs"]
    uri = urlsplit(next(one["S3Output"]["S3Uri"] for one in outputs if one["OutputName"] == "result"))
    return uri.netloc, f"{uri.path.strip('/')}/"


def fetch(s3: Any, description: Description, folder: Path) -> list[Path]:
    """Downloads the output into a folder, without the checkpoints. Returns the files, the page first."""
    bucket, prefix = output_of(description)
    fetched: list[Path] = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            name = entry["Key"].removeprefix(prefix)
            # A key can point outside the folder, and S3's console creates empty "folders".
            if not name or name.endswith("/") or not stays_inside(name) or name.startswith(f"{CHECKPOINTS}/"):
                continue
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, entry["Key"], str(file))
            fetched.append(file)
    return sorted(fetched, key=lambda file: (file != folder / "page.html", file))


def describe(name: str, folder: Path, files: list[Path]) -> str:
    """Says where the fetched files are, and whether a page is among them."""
    if not files:
        return f"{name} has no output"
    page = folder / "page.html"
    there = f"the page is {page}" if page in files else "there is no page"
    return f"{len(files)} file{'s' * (len(files) != 1)} in {folder}; {there}"


def stays_inside(name: str) -> bool:
    return not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts


def read_result(folder: Path) -> dict[str, Any]:
    """The content of result.json; empty if the job did not write it."""
    try:
        return _result((folder / "result.json").read_text())
    except (OSError, ValueError):
        return {}


def fetch_result(s3: Any, description: Description) -> dict[str, Any]:
    """The content of result.json in the bucket; empty if the job did not write it."""
    bucket, prefix = output_of(description)
    return _result(find_object(s3, bucket, f"{prefix}result.json") or "")


def _result(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def exit_status(description: Description, result: dict[str, Any]) -> int:
    """The notebook's exit status, or WITHOUT_STATUS if it has none."""
    status = result.get("exitStatus")
    # A sweep's row is Completed even if its notebook raised an exception (row.sh).
    if description["ProcessingJobStatus"] == "Completed":
        return status if isinstance(status, int) else 0
    if not isinstance(status, int):
        # Both formats were seen in training jobs: "AlgorithmError: , exit code: 1" in
        # aws-samples/amazon-sagemaker-ml-pipeline-deploy-with-terraform#12, "AlgorithmError: Exit Code: 139"
        # in aws/sagemaker-python-sdk#134.
        status = _named_status(description.get("FailureReason", ""))
    # A job that did not complete has failed, even if the notebook succeeded.
    return status if 0 < status < 256 else WITHOUT_STATUS


def _named_status(failure_reason: str) -> int:
    named = re.search(r"^AlgorithmError\b.*\bexit code: (\d+)", failure_reason, re.IGNORECASE | re.DOTALL)
    return int(named[1]) if named else WITHOUT_STATUS


def instance(description: Description) -> str:
    return str(description["ProcessingResources"]["ClusterConfig"]["InstanceType"])


def instances(description: Description) -> int:
    return int(description["ProcessingResources"]["ClusterConfig"]["InstanceCount"])


def seconds(description: Description) -> float:
    """The billed time, from the container's start to the job's end; 0 if there was no instance."""
    # Only training jobs have it; on Spot it is what a job on demand would cost as much as.
    if "BillableTimeInSeconds" in description:
        return float(description["BillableTimeInSeconds"])
    start, end = description.get("ProcessingStartTime"), description.get("ProcessingEndTime")
    return 0.0 if start is None or end is None else float((end - start).total_seconds())


def reason(description: Description) -> str:
    """Why a job did not complete, as SageMaker and the notebook report it."""
    return explained(description.get("FailureReason") or "", description.get("ExitMessage") or "")


def explained(failure_reason: str, message: str = "") -> str:
    # A job that may not write its message, and a step of a pipeline, have none.
    if not message and _named_status(failure_reason) == ALTERED:
        message = "the files of the job are not those that were sent: see its log, and send it again"
    return "\n".join(text.strip() for text in (failure_reason, message) if text.strip())
