# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "boto3==1.43.75",
#     "marimo==0.25.2",
#     "pandas==2.3.3",
# ]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Training jobs")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # SageMaker training jobs

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    The latest 20 jobs in this account and region. Select one to see its details.
    """)
    return


@app.cell(hide_code=True)
def _():
    import boto3
    import botocore.config
    import botocore.exceptions
    import marimo as mo
    import pandas as pd

    return boto3, botocore, mo, pd


@app.cell(hide_code=True)
def _(boto3, botocore):
    def ask_sagemaker(operation, **parameters):
        """Returns the response and None, or None and a description of the problem."""
        quick = botocore.config.Config(connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 2})
        try:
            client = boto3.client("sagemaker", config=quick)
            return getattr(client, operation)(**parameters), None
        except botocore.exceptions.NoRegionError:
            return None, "No AWS region is set: set `AWS_DEFAULT_REGION`, for instance to `us-east-1`."
        except botocore.exceptions.NoCredentialsError:
            return None, "No AWS credentials were found. In a Studio space the execution role provides them."
        except botocore.exceptions.ClientError as error:
            reason = error.response["Error"]
            if reason["Code"] in ("AccessDeniedException", "AccessDenied"):
                action = client.meta.method_to_api_mapping[operation]
                return None, f"The execution role lacks the permission `sagemaker:{action}`."
            return None, f"SageMaker returned an error: {reason['Code']}: {reason['Message']}"
        except botocore.exceptions.BotoCoreError as error:
            return None, f"SageMaker cannot be reached: {error}"

    return (ask_sagemaker,)


@app.cell
def _(mo):
    refresh = mo.ui.button(label="Refresh")
    refresh
    return (refresh,)


@app.cell
def _(ask_sagemaker, mo, refresh):
    refresh
    answer, problem = ask_sagemaker(
        "list_training_jobs", MaxResults=20, SortBy="CreationTime", SortOrder="Descending"
    )
    job_names = [job["TrainingJobName"] for job in answer["TrainingJobSummaries"]] if answer else []
    if not problem and not job_names:
        problem = "There are no training jobs in this account and region yet."
    if problem and mo.app_meta().mode == "script":
        print(problem)
    mo.callout(mo.md(problem), kind="warn") if problem else mo.md(f"{len(job_names)} jobs")
    return (job_names,)


@app.cell
def _(job_names, mo):
    selected = mo.ui.dropdown(
        options=job_names, value=job_names[0] if job_names else None, label="Training job"
    )
    selected if job_names else None
    return (selected,)


@app.cell(hide_code=True)
def _(ask_sagemaker, mo, refresh, selected):
    refresh
    job, job_problem = (
        ask_sagemaker("describe_training_job", TrainingJobName=selected.value)
        if selected.value
        else (None, None)
    )
    if job_problem and mo.app_meta().mode == "script":
        print(job_problem)
    mo.callout(mo.md(job_problem), kind="warn") if job_problem else None
    return (job,)


@app.cell(hide_code=True)
def _(job, mo):
    mo.stop(job is None)
    resources = job.get("ResourceConfig", {})
    seconds = job.get("TrainingTimeInSeconds")
    if mo.app_meta().mode == "script":
        print(f"{job['TrainingJobName']}: {job['TrainingJobStatus']}")
    mo.vstack(
        [
            mo.md(f"## {job['TrainingJobName']}"),
            mo.hstack(
                [
                    mo.stat(job["TrainingJobStatus"], label="Status"),
                    mo.stat(resources.get("InstanceType", "none"), label="Instance type"),
                    mo.stat(resources.get("InstanceCount", "none"), label="Instances"),
                    mo.stat("not reported" if seconds is None else f"{seconds} s", label="Training time"),
                ],
                justify="start",
                gap=2,
            ),
            mo.callout(mo.md(job["FailureReason"]), kind="danger") if job.get("FailureReason") else mo.md(""),
        ]
    )
    return


@app.cell(hide_code=True)
def _(job, mo, pd):
    mo.stop(job is None)
    _metrics = [
        {"metric": metric["MetricName"], "value": metric["Value"]}
        for metric in job.get("FinalMetricDataList", [])
    ]
    mo.vstack(
        [
            mo.md("### Metrics"),
            mo.ui.table(pd.DataFrame(_metrics), selection=None)
            if _metrics
            else mo.md("This job reported no metrics."),
        ]
    )
    return


@app.cell(hide_code=True)
def _(job, mo, pd):
    mo.stop(job is None)
    # Missing if the job was created without hyperparameters.
    _parameters = [
        {"hyperparameter": name, "value": value} for name, value in job.get("HyperParameters", {}).items()
    ]
    mo.vstack(
        [
            mo.md("### Hyperparameters"),
            mo.ui.table(pd.DataFrame(_parameters), selection=None)
            if _parameters
            else mo.md("This job has no hyperparameters."),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
