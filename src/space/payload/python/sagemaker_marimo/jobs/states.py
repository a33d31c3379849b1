"""The state of a job in words for people. SageMaker's own statuses are in `--json` too."""

from typing import Any

from sagemaker_marimo.jobs.sweep_progress import DONE, FAILED, INTERRUPTED, RUNNING, STOPPED, STOPPING

STARTING = "starting"


def of_job(description: dict[str, Any], result: dict[str, Any]) -> str:
    """`result` is the content of the job's result.json, or empty. Summaries of ListProcessingJobs have no
    ProcessingStartTime (SageMaker API, ProcessingJobSummary): a running job needs its whole description."""
    status = description["ProcessingJobStatus"]
    if status == "InProgress":
        # Of training jobs (SageMaker API, DescribeTrainingJob, SecondaryStatus).
        if description.get("SecondaryStatus") == "Interrupted":
            return INTERRUPTED
        return RUNNING if "ProcessingStartTime" in description else STARTING
    # A sweep's row is Completed even if its notebook raised an exception (row.sh).
    if status == "Completed":
        return FAILED if result.get("exitStatus") else DONE
    return {"Failed": FAILED, "Stopped": STOPPED, "Stopping": STOPPING}[status]
