"""What a job left in the bucket (`page.html`, `files/`, `result.json`), and what its end means."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from sagemaker_marimo.jobs.follow import Description

WITHOUT_STATUS = 75
"""Exit status of a job that ended without one of the notebook's: platform's failure, stop, time limit.

EX_TEMPFAIL of sysexits.h: to run it again may help. Python and marimo never end with it.
"""


def output_of(description: Description) -> tuple[str, str]:
    """Bucket and prefix, with its `/` at the end."""
    outputs = description["ProcessingOutputConfig"]["Outputs"]
    uri = urlsplit(next(one["S3Output"]["S3Uri"] for one in outputs if one["OutputName"] == "result"))
    return uri.netloc, f"{uri.path.strip('/')}/"


def fetch(s3: Any, description: Description, folder: Path) -> list[Path]:
    """Downloads all of it into a folder; says which files there are now, the page first."""
    bucket, prefix = output_of(description)
    fetched: list[Path] = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            name = entry["Key"].removeprefix(prefix)
            # S3 takes any key, also one that leads out of the folder; its console makes "folders", empty.
            if not name or name.endswith("/") or not stays_inside(name):
                continue
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, entry["Key"], str(file))
            fetched.append(file)
    return sorted(fetched, key=lambda file: (file != folder / "page.html", file))


def stays_inside(name: str) -> bool:
    return not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts


def read_result(folder: Path) -> dict[str, Any]:
    """result.json; empty where the job did not come to write it."""
    try:
        content = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def exit_status(description: Description, result: dict[str, Any]) -> int:
    """The notebook's; WITHOUT_STATUS where it has none."""
    if description["ProcessingJobStatus"] == "Completed":
        return 0
    status = result.get("exitStatus")
    if not isinstance(status, int):
        # Both seen of training jobs: "AlgorithmError: , exit code: 1" in
        # aws-samples/amazon-sagemaker-ml-pipeline-deploy-with-terraform#12, "AlgorithmError: Exit Code: 139"
        # in aws/sagemaker-python-sdk#134.
        told = description.get("FailureReason", "")
        named = re.search(r"^AlgorithmError\b.*\bexit code: (\d+)", told, re.IGNORECASE | re.DOTALL)
        status = int(named[1]) if named else WITHOUT_STATUS
    # What SageMaker does not call completed did not go well, though the notebook did.
    return status if 0 < status < 256 else WITHOUT_STATUS


def seconds(description: Description) -> float:
    """What is paid: from the container's start to the job's end; 0 where the instance never came."""
    start, end = description.get("ProcessingStartTime"), description.get("ProcessingEndTime")
    return 0.0 if start is None or end is None else float((end - start).total_seconds())


def reason(description: Description) -> str:
    """Why a job did not complete, in SageMaker's words and in the notebook's."""
    told = (description.get("FailureReason"), description.get("ExitMessage"))
    return "\n".join(text.strip() for text in told if text and text.strip())
