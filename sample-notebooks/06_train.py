# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "boto3==1.43.75",
#     "marimo==0.25.2",
#     "pandas==2.3.3",
#     "plotly==6.0.1",
# ]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Train a model")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # Train a model

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    The function `train` learns prices from categories and stocks. First it runs here. Then the same function
    runs as a SageMaker training job on a separate instance, which is billed per second until the job ends.
    Its metrics appear while it runs, and at the end you can register the model.

    As a script, `python 06_train.py --train` does all of it.
    """)
    return


@app.cell(hide_code=True)
def _():
    import functools
    import inspect
    import io
    import json
    import os
    import re
    import tempfile
    import time
    from contextlib import redirect_stdout

    import boto3
    import botocore.config
    import botocore.exceptions
    import marimo as mo
    import pandas as pd
    import plotly.express as px

    return boto3, botocore, functools, inspect, io, json, mo, os, pd, px, re, redirect_stdout, tempfile, time


@app.function
def train(data, folder, epochs, pause):
    """Learns by gradient descent, prints the errors after each epoch, and stores the model in the folder."""
    import csv
    import json
    import time
    from pathlib import Path

    import numpy as np

    rows = list(csv.DictReader(Path(data).read_text().splitlines()))
    categories = sorted({row["category"] for row in rows})
    features = [
        [1, float(row["stock"]) / 40, *(row["category"] == one for one in categories)] for row in rows
    ]
    x, y = np.array(features, dtype=float), np.array([float(row["price"]) for row in rows])
    validation = np.arange(len(rows)) % 5 == 0
    weights = np.zeros(x.shape[1])
    for epoch in range(1, epochs + 1):
        error = x[~validation] @ weights - y[~validation]
        weights -= 0.5 * x[~validation].T @ error / len(error)
        rmse = [np.sqrt(np.mean((x[part] @ weights - y[part]) ** 2)) for part in (~validation, validation)]
        print(f"epoch={epoch} train_rmse={rmse[0]:.2f} validation_rmse={rmse[1]:.2f}", flush=True)
        time.sleep(pause)
    intercept, stock, *of_categories = weights.tolist()
    model = {
        "intercept": intercept,
        "stock": stock / 40,
        "category": dict(zip(categories, of_categories, strict=True)),
    }
    Path(folder, "model.json").write_text(json.dumps(model))


@app.function
def train_in_job(ml):
    """What the training job runs. `ml` is /opt/ml, where SageMaker puts data and collects the model."""
    import json
    import os
    import subprocess
    from pathlib import Path

    # The folder belongs to root, and the image's user is another.
    if not os.access(f"{ml}/model", os.W_OK):
        subprocess.run(["sudo", "-n", "chmod", "a+rwX", f"{ml}/model"], check=True)  # noqa: S603, S607
    given = json.loads(Path(ml, "input/config/hyperparameters.json").read_text())
    train(f"{ml}/input/data/data/prices.csv", f"{ml}/model", int(given["epochs"]), float(given["pause"]))


@app.cell(hide_code=True)
def _(pd, re):
    # SageMaker finds the metrics in the log by these, and so does this notebook.
    metrics = {"train_rmse": r"train_rmse=([\d.]+)", "validation_rmse": r"validation_rmse=([\d.]+)"}

    def measured(lines):
        """The metrics of each epoch."""
        epochs = [line for line in lines if line.startswith("epoch=")]
        rows = [
            {name: float(re.search(regex, line)[1]) for name, regex in metrics.items()} for line in epochs
        ]
        return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="epoch"))

    return measured, metrics


@app.cell
def _(io, measured, mo, px, redirect_stdout, tempfile):
    _log = io.StringIO()
    with tempfile.TemporaryDirectory() as _folder, redirect_stdout(_log):
        train(mo.notebook_dir() / "prices.csv", _folder, epochs=30, pause=0)
    here = measured(_log.getvalue().splitlines())
    if mo.app_meta().mode == "script":
        print(f"Here: validation_rmse={here['validation_rmse'].iloc[-1]:.2f}")
    mo.vstack([mo.md("## Here"), px.line(here, height=300)])
    return


@app.cell(hide_code=True)
def _(boto3, botocore, functools, json, os):
    @functools.cache
    def client_of(service):
        attempts = botocore.config.Config(connect_timeout=5, retries={"total_max_attempts": 2})
        return boto3.client(service, config=attempts)

    def ask(service, operation, **members):
        """Returns the answer of AWS and None, or None and what is wrong."""
        try:
            client = client_of(service)
            return getattr(client, operation)(**members), None
        except botocore.exceptions.ClientError as error:
            reason = error.response["Error"]
            action = f"{service}:{client.meta.method_to_api_mapping[operation]}"
            if reason["Code"].startswith("AccessDenied"):
                whom = "Ask the platform engineer who deployed your environment."
                return None, f"Your role does not allow `{action}`. {whom}\n\n{reason['Message']}"
            return None, f"AWS refused `{action}`: {reason['Message']}"
        except botocore.exceptions.BotoCoreError as error:
            return None, f"AWS cannot be asked: {error}"

    def find_environment():
        """Network, image and tags of training jobs, and your role, names and folder."""
        names = os.environ.get("MARIMO_NAME_PREFIX")
        if not names:
            return None, "A training job has your name and your role: open this notebook in a private space."
        bucket, folder = os.environ["MARIMO_BUCKET"], f"{os.environ['MARIMO_PREFIX']}/training"
        answer, problem = ask("s3", "get_object", Bucket=bucket, Key="marimo/payload/jobs.json")
        if problem:
            return None, problem
        found = json.load(answer["Body"])
        role = found["userRoleArnPrefix"] + names.removeprefix(f"{found['jobNamePrefix']}-")
        return {**found, "names": names, "folder": folder, "role": role}, None

    return ask, find_environment


@app.cell
def _(metrics):
    def training_job(name, found, instance, epochs):
        """The request of CreateTrainingJob."""
        channels = [
            {
                "ChannelName": channel,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"{found['folder']}/{name}/{channel}/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for channel in ("code", "data")
        ]
        return {
            "TrainingJobName": name,
            "RoleArn": found["role"],
            "AlgorithmSpecification": {
                "TrainingImage": found["imageUri"],
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python", "/opt/ml/input/data/code/train.py"],
                "ContainerArguments": ["/opt/ml"],
                "MetricDefinitions": [{"Name": key, "Regex": regex} for key, regex in metrics.items()],
            },
            "HyperParameters": {"epochs": str(epochs), "pause": "0.2"},
            "InputDataConfig": channels,
            "OutputDataConfig": {"S3OutputPath": found["folder"], "KmsKeyId": found["encryptionKeyArn"]},
            "ResourceConfig": {
                "InstanceType": instance,
                "InstanceCount": 1,
                "VolumeSizeInGB": found["volumeGb"],
                "VolumeKmsKeyId": found["encryptionKeyArn"],
            },
            "VpcConfig": {"Subnets": found["subnetIds"], "SecurityGroupIds": found["securityGroupIds"]},
            "StoppingCondition": {"MaxRuntimeInSeconds": 900},
            "Tags": [{"Key": key, "Value": value} for key, value in found["tags"].items()],
        }

    return (training_job,)


@app.cell(hide_code=True)
def _(ask, inspect, mo, time, training_job):
    def start_job(found, instance, epochs):
        """Uploads code and data, and starts the job. Returns its name and None, or None and what is wrong."""
        name = f"{found['names']}-train-{time.strftime('%m%d%H%M%S', time.gmtime())}"
        functions = [inspect.getsource(one) for one in (train, train_in_job)]
        code = [one[one.index("def ") :] for one in functions]
        files = {
            "code/train.py": "\n\n".join(["import sys", *code, "train_in_job(sys.argv[1])\n"]),
            "data/prices.csv": (mo.notebook_dir() / "prices.csv").read_text(),
        }
        bucket, _, folder = found["folder"].removeprefix("s3://").partition("/")
        for path, content in files.items():
            key = f"{folder}/{name}/{path}"
            _, problem = ask("s3", "put_object", Bucket=bucket, Key=key, Body=content.encode())
            if problem:
                return None, problem
        _, problem = ask("sagemaker", "create_training_job", **training_job(name, found, instance, epochs))
        return None if problem else name, problem

    def follow(name):
        """The job, the lines of its log, and what is wrong."""
        job, problem = ask("sagemaker", "describe_training_job", TrainingJobName=name)
        group, lines = "/aws/sagemaker/TrainingJobs", []
        found, _ = ask("logs", "describe_log_streams", logGroupName=group, logStreamNamePrefix=f"{name}/")
        for stream in found["logStreams"] if found else []:
            events, problem = ask(
                "logs",
                "get_log_events",
                logGroupName=group,
                logStreamName=stream["logStreamName"],
                startFromHead=True,
            )
            lines += [event["message"] for event in events["events"]] if events else []
        return job, lines, problem

    def has_ended(job):
        return job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")

    def register_model(found, job):
        """Adds the model to your group in the registry. Returns its ARN, or what is wrong."""
        group = f"{found['names']}-prices"
        tags = [{"Key": key, "Value": value} for key, value in found["tags"].items()]
        # The group may exist already.
        _, existing = ask("sagemaker", "create_model_package_group", ModelPackageGroupName=group, Tags=tags)
        container = {
            "Image": found["imageUri"],
            "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
        }
        answer, problem = ask(
            "sagemaker",
            "create_model_package",
            ModelPackageGroupName=group,
            ModelPackageDescription=f"Prices, by {job['TrainingJobName']}",
            ModelApprovalStatus="PendingManualApproval",
            InferenceSpecification={
                "Containers": [container],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            CustomerMetadataProperties={
                one["MetricName"]: str(one["Value"]) for one in job.get("FinalMetricDataList", [])
            },
        )
        if problem:
            return None, f"{problem}\n\n{existing or ''}"
        return answer["ModelPackageArn"], None

    return follow, has_ended, register_model, start_job


@app.cell(hide_code=True)
def _(mo):
    get_job, set_job = mo.state(None)
    get_ended, set_ended = mo.state(None)
    instance = mo.ui.dropdown(["ml.m5.large", "ml.m5.xlarge"], value="ml.m5.large", label="Instance")
    epochs = mo.ui.slider(10, 100, value=40, label="Epochs", show_value=True)
    start = mo.ui.run_button(label="Train it as a job")
    mo.vstack([mo.md("## As a training job"), mo.hstack([instance, epochs, start], justify="start")])
    return epochs, get_ended, get_job, instance, set_ended, set_job, start


@app.cell(hide_code=True)
def _(epochs, find_environment, instance, mo, set_ended, set_job, start, start_job):
    mo.stop(not start.value, mo.md("Press **Train it as a job**. The first metrics appear here in minutes."))
    _found, _problem = find_environment()
    _name, _problem = start_job(_found, instance.value, epochs.value) if _found else (None, _problem)
    mo.stop(_problem is not None, mo.callout(mo.md(_problem or ""), kind="warn"))
    set_ended(None)
    set_job(_name)
    mo.md(f"Started: `{_name}`")
    return


@app.cell(hide_code=True)
def _(get_ended, get_job, mo):
    # A job that has ended does not change.
    look = mo.ui.refresh(options=["2s", "10s"], default_interval=None if get_ended() else "2s")
    look if get_job() else None
    return (look,)


@app.cell(hide_code=True)
def _(follow, get_ended, get_job, has_ended, look, measured, mo, px, set_ended):
    look
    mo.stop(get_job() is None)
    _job, _lines, _problem = follow(get_job())
    mo.stop(_job is None, mo.callout(mo.md(_problem or ""), kind="warn"))
    if get_ended() is None and has_ended(_job):
        set_ended(_job)
    _metrics = measured(_lines)
    _seconds = _job.get("BillableTimeInSeconds")
    _reason = _job.get("FailureReason")
    mo.vstack(
        [
            mo.hstack(
                [
                    mo.stat(_job["TrainingJobStatus"], label="Status"),
                    mo.stat(_job["SecondaryStatus"], label="Now"),
                    mo.stat(len(_metrics), label="Epochs"),
                    mo.stat("none yet" if _seconds is None else f"{_seconds} s", label="Billed time"),
                ],
                justify="start",
                gap=2,
            ),
            px.line(_metrics, height=300) if len(_metrics) else mo.md(_problem or "No metrics yet."),
            mo.callout(mo.md("\n\n".join([_reason, *_lines[-5:]])), kind="danger") if _reason else mo.md(""),
        ]
    )
    return


@app.cell(hide_code=True)
def _(get_ended, mo):
    register = mo.ui.run_button(label="Register the model")
    register if get_ended() and get_ended()["TrainingJobStatus"] == "Completed" else None
    return (register,)


@app.cell(hide_code=True)
def _(find_environment, get_ended, mo, register, register_model):
    mo.stop(not register.value)
    _found, _problem = find_environment()
    _arn, _problem = register_model(_found, get_ended()) if _found else (None, _problem)
    mo.stop(_problem is not None, mo.callout(mo.md(_problem or ""), kind="warn"))
    mo.md(f"Registered, waiting for approval: `{_arn}`. Studio lists it under **Models**.")
    return


@app.cell(hide_code=True)
def _(find_environment, follow, has_ended, mo, register_model, start_job, time):
    def train_as_a_script():
        """Starts the job, prints its log until it ends, and registers the model."""
        found, problem = find_environment()
        name, problem = start_job(found, "ml.m5.large", 10) if found else (None, problem)
        printed = 0
        while not problem:
            job, lines, problem = follow(name)
            print(*lines[printed:], sep="\n", end="\n" if lines[printed:] else "", flush=True)
            printed = len(lines)
            if job and has_ended(job):
                break
            time.sleep(2)
        if not problem and job["TrainingJobStatus"] != "Completed":
            problem = f"{name}: {job['TrainingJobStatus']}. {job.get('FailureReason', '')}"
        arn, problem = (None, problem) if problem else register_model(found, job)
        if problem:
            raise SystemExit(problem)
        print(f"Registered: {arn}")

    if mo.app_meta().mode == "script":
        if "train" in mo.cli_args():
            train_as_a_script()
        else:
            print("To train it as a training job: python 06_train.py --train")
    return


if __name__ == "__main__":
    app.run()
