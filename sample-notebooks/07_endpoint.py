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
app = marimo.App(width="medium", app_title="What if: ask an endpoint")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # What if: ask an endpoint

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    Choose a category and a stock: a small model estimates the price. Without an endpoint the model runs in
    this notebook. **Create the endpoint** deploys the same model to a serverless endpoint of SageMaker, and
    from then on the sliders ask it. AWS bills the time of each request, and nothing while nobody asks.
    Nothing is created before you click.
    """)
    return


@app.cell(hide_code=True)
def _():
    import contextlib
    import importlib.util
    import io
    import json
    import os
    import tarfile
    import tempfile
    import textwrap
    import time
    from pathlib import Path

    import boto3
    import botocore.config
    import botocore.exceptions
    import marimo as mo
    import numpy as np
    import pandas as pd

    return (
        Path,
        boto3,
        botocore,
        contextlib,
        importlib,
        io,
        json,
        mo,
        np,
        os,
        pd,
        tarfile,
        tempfile,
        textwrap,
        time,
    )


@app.cell
def _(mo, np, pd):
    # The model: the price is a sum of one number for the category and one for each item in stock.
    items = pd.read_csv(mo.notebook_dir() / "prices.csv")
    categories = sorted(items["category"].unique())
    columns = [items["category"] == category for category in categories]
    table = np.column_stack([*columns, items["stock"]]).astype(float)
    weights, *_ = np.linalg.lstsq(table, items["price"].to_numpy(), rcond=None)
    model = {"categories": categories, "weights": [round(float(weight), 4) for weight in weights]}
    return categories, items, model


@app.cell
def _(textwrap):
    # What SageMaker's scikit-learn container calls: https://sagemaker.readthedocs.io, "Using Scikit-learn".
    inference = textwrap.dedent("""\
    import json
    import os

    import numpy as np


    def model_fn(model_dir):
        with open(os.path.join(model_dir, "model.json")) as file:
            return json.load(file)


    def input_fn(body, content_type):
        return json.loads(body)


    def predict_fn(question, model):
        row = [float(question["category"] == one) for one in model["categories"]]
        return {"price": float(np.dot([*row, question["stock"]], model["weights"]))}


    def output_fn(prediction, accept):
        return json.dumps(prediction), "application/json"
    """)
    return (inference,)


@app.cell
def _(Path, importlib, inference, json, model, tempfile):
    def load(folder):
        """Loads the model as the container does."""
        spec = importlib.util.spec_from_file_location("inference", folder / "inference.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module, module.model_fn(str(folder))

    with tempfile.TemporaryDirectory() as _folder:
        Path(_folder, "inference.py").write_text(inference)
        Path(_folder, "model.json").write_text(json.dumps(model))
        module, loaded = load(Path(_folder))

    def ask_here(question):
        return module.predict_fn(module.input_fn(json.dumps(question), "application/json"), loaded)

    return (ask_here,)


@app.cell(hide_code=True)
def _(boto3, botocore, os):
    # SageMaker allows names that begin with yours. Only a private space has the variable.
    owner = os.environ.get("MARIMO_NAME_PREFIX")
    endpoint = f"{owner}-what-if"

    def ask_aws(service, operation, **parameters):
        """Returns the response and None, or None and a description of the problem."""
        patient = botocore.config.Config(
            connect_timeout=3, read_timeout=70, retries={"total_max_attempts": 2}
        )
        try:
            client = boto3.client(service, config=patient)
            return getattr(client, operation)(**parameters), None
        except botocore.exceptions.NoRegionError:
            return None, "No AWS region is set: set `AWS_DEFAULT_REGION`, for instance to `us-east-1`."
        except botocore.exceptions.NoCredentialsError:
            return None, "No AWS credentials were found. In a Studio space the execution role provides them."
        except botocore.exceptions.ClientError as error:
            reason = error.response["Error"]
            if reason["Code"] in ("AccessDeniedException", "AccessDenied"):
                action = client.meta.method_to_api_mapping[operation]
                right = f"s3:{action}" if service == "s3" else f"sagemaker:{action}"
                setting = (
                    "" if service == "s3" else " for the setting `services: { serverlessEndpoints: true }`"
                )
                return None, (
                    f"Your role may not `{right}`. Ask your platform engineer{setting}. "
                    f"AWS says: {reason['Message']}"
                )
            return None, f"AWS returned an error: {reason['Code']}: {reason['Message']}"
        except botocore.exceptions.BotoCoreError as error:
            return None, f"AWS cannot be reached: {error}"

    def sagemaker(operation, **parameters):
        return ask_aws("sagemaker", operation, **parameters)

    return ask_aws, endpoint, owner, sagemaker


@app.cell(hide_code=True)
def _(Path, ask_aws, contextlib, endpoint, inference, io, json, model, os, sagemaker, tarfile):
    def image(region):
        """SageMaker's scikit-learn container, which is in another account in each region."""
        # A rehearsal on a laptop has no SageMaker SDK, and runs the model without this image.
        with contextlib.suppress(ImportError):
            from sagemaker.core import image_uris

            wanted = {"version": "1.2-1", "instance_type": "ml.m5.large", "image_scope": "inference"}
            return image_uris.retrieve("sklearn", region, **wanted)
        return f"683313688378.dkr.ecr.{region}.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"

    def packed():
        """model.tar.gz, with the script where the container looks for it."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, text in (("model.json", json.dumps(model)), ("code/inference.py", inference)):
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
        return archive.getvalue()

    def space_role():
        file = os.environ.get("SAGEMAKER_RESOURCE_METADATA", "/opt/ml/metadata/resource-metadata.json")
        return json.loads(Path(file).read_text())["ExecutionRoleArn"]

    def deploy():
        """Creates model, configuration and endpoint. Returns a description of the problem, or None."""
        bucket, key = f"{os.environ['MARIMO_PREFIX']}/models/what-if/model.tar.gz"[5:].split("/", 1)
        _, problem = ask_aws("s3", "put_object", Bucket=bucket, Key=key, Body=packed())
        if problem:
            return problem
        # Left by an attempt that did not get to its end.
        sagemaker("delete_endpoint_config", EndpointConfigName=endpoint)
        sagemaker("delete_model", ModelName=endpoint)
        container = {
            "Image": image(os.environ.get("AWS_DEFAULT_REGION", "us-east-1")),
            "ModelDataUrl": f"s3://{bucket}/{key}",
            "Environment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            },
        }
        # Budgets count by it.
        tag = {"Key": "Environment", "Value": os.environ.get("MARIMO_ENVIRONMENT", "")}
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": endpoint,
            "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1},
        }
        steps = [
            (
                "create_model",
                {"ModelName": endpoint, "ExecutionRoleArn": space_role(), "PrimaryContainer": container},
            ),
            ("create_endpoint_config", {"EndpointConfigName": endpoint, "ProductionVariants": [variant]}),
            (
                "create_endpoint",
                {"EndpointName": endpoint, "EndpointConfigName": endpoint, "Tags": [tag]},
            ),
        ]
        for operation, parameters in steps:
            _, problem = sagemaker(operation, **parameters)
            if problem:
                return problem
        return None

    def remove():
        """Deletes all three. Returns a description of the problem, or None."""
        _, problem = sagemaker("delete_endpoint", EndpointName=endpoint)
        if problem:
            return problem
        sagemaker("delete_endpoint_config", EndpointConfigName=endpoint)
        sagemaker("delete_model", ModelName=endpoint)
        return None

    return deploy, remove


@app.cell(hide_code=True)
def _(mo):
    get_changing, set_changing = mo.state(False)
    create = mo.ui.run_button(label="Create the endpoint")
    delete = mo.ui.run_button(label="Delete the endpoint")
    mo.hstack([create, delete], justify="start")
    return create, delete, get_changing, set_changing


@app.cell(hide_code=True)
def _(create, delete, deploy, mo, owner, remove, set_changing):
    _problem = None
    if (create.value or delete.value) and not owner:
        _problem = "Endpoints have their owner's name: open this notebook in a private space."
    elif create.value or delete.value:
        _problem = deploy() if create.value else remove()
        set_changing(True)
    mo.callout(mo.md(_problem), kind="warn") if _problem else None
    return


@app.cell(hide_code=True)
def _(get_changing, mo):
    # A status that does not change is not asked for again.
    look = mo.ui.refresh(options=["3s", "10s"], default_interval="3s" if get_changing() else None)
    look if get_changing() else None
    return (look,)


@app.cell(hide_code=True)
def _(endpoint, get_changing, look, mo, owner, sagemaker, set_changing):
    look
    described, unknown = sagemaker("describe_endpoint", EndpointName=endpoint) if owner else (None, None)
    status = described["EndpointStatus"] if described else "none"
    changing = status in ("Creating", "Updating", "Deleting")
    # Each call runs the cells again that read the value.
    if changing != get_changing():
        set_changing(changing)
    if described:
        note = f"Endpoint `{endpoint}`: **{status}**. {described.get('FailureReason', '')}"
    elif unknown is None or "Could not find" in unknown:
        note = "There is no endpoint: the model runs in this notebook."
    else:
        note = f"{unknown} Until then, the model runs in this notebook."
    mo.md(note)
    return (status,)


@app.cell
def _(categories, items, mo):
    category = mo.ui.dropdown(categories, value=categories[0], label="Category")
    stock = mo.ui.slider(0, int(items["stock"].max()), value=10, label="Stock", show_value=True)
    mo.hstack([category, stock], justify="start", gap=2)
    return category, stock


@app.cell
def _(ask_aws, ask_here, category, endpoint, json, mo, status, stock, time):
    question = {"category": category.value, "stock": stock.value}
    began, failed = time.monotonic(), None
    if status == "InService":
        asked = {"EndpointName": endpoint, "ContentType": "application/json", "Body": json.dumps(question)}
        answered, failed = ask_aws("sagemaker-runtime", "invoke_endpoint", **asked)
        answer = json.loads(answered["Body"].read()) if answered else ask_here(question)
    else:
        answer = ask_here(question)
    source = "the endpoint" if status == "InService" and not failed else "the model in this notebook"
    price = f"{answer['price']:.2f}"
    if mo.app_meta().mode == "script":
        print(f"{question['category']} with a stock of {question['stock']}: {price}, by {source}")
    mo.vstack(
        [
            mo.stat(price, label="Estimated price", caption=f"by {source}"),
            mo.md(f"{(time.monotonic() - began) * 1000:.0f} ms"),
            *([mo.callout(mo.md(failed), kind="warn")] if failed else []),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
