"""Whether an earlier run of a job's schedule still goes on. run.sh asks before it installs anything.

usage: overlap.py PIPELINE EXECUTION skip|queue

With `skip`, exits with 75 if one does, and prints a message. With `queue`, waits until none does: the
instance of the waiting run costs as much as that of a running one. EventBridge Scheduler itself starts runs
without looking at earlier ones.
"""

import json
import subprocess
import sys
import time

SKIPPED = 75
"""EX_TEMPFAIL of sysexits.h."""
POLL_SECONDS = 30
SECONDS = 60
# SageMaker API, ListPipelineExecutions: MaxResults.
MOST = 100


class OverlapError(Exception):
    """The executions cannot be listed."""


def executions(pipeline: str) -> list[dict[str, str]]:
    """The newest executions, newest first. By the AWS CLI, which every image has."""
    command = [
        *("aws", "sagemaker", "list-pipeline-executions", "--pipeline-name", pipeline),
        *("--sort-by", "CreationTime", "--sort-order", "Descending"),
        *("--max-results", str(MOST), "--no-paginate", "--output", "json"),
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603  # no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OverlapError(str(error)) from None
    if result.returncode:
        reason = (result.stderr.strip() or f"the AWS CLI exited with {result.returncode}").splitlines()[-1]
        raise OverlapError(reason)
    summaries: list[dict[str, str]] = json.loads(result.stdout)["PipelineExecutionSummaries"]
    return summaries


def earlier(summaries: list[dict[str, str]], own: str) -> list[str]:
    """The ids of the runs that began before this one and still go on: of two runs, only one waits."""
    ids = [one["PipelineExecutionArn"].rsplit("/", 1)[-1] for one in summaries]
    first = ids.index(own) + 1 if own in ids else 0
    goes_on = [one["PipelineExecutionStatus"] in ("Executing", "Stopping") for one in summaries]
    return [name for name, runs in zip(ids[first:], goes_on[first:], strict=True) if runs and name != own]


def main(pipeline: str, own: str, mode: str) -> int:
    while running := earlier(executions(pipeline), own):
        if mode == "skip":
            print(f"skipped: the run {running[-1]} of this schedule still goes on")
            return SKIPPED
        print(f"waiting for the run {running[-1]} of this schedule", file=sys.stderr, flush=True)
        time.sleep(POLL_SECONDS)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:4]))
    except OverlapError as error:
        print(f"earlier runs of this schedule cannot be listed: {error}")
        sys.exit(1)
