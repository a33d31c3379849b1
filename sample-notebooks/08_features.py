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
app = marimo.App(width="medium", app_title="Features")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # Features

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    A feature group of SageMaker Feature Store has a record for each item. Its online store answers in
    milliseconds with the latest record, which a model needs for a prediction. You pay for reads, writes
    and what is stored.

    As a script, `python 08_features.py --store` creates the group, and stores and reads records.
    """)
    return


@app.cell(hide_code=True)
def _():
    import functools
    import os
    import time
    from datetime import UTC, datetime

    import boto3
    import botocore.config
    import botocore.exceptions
    import marimo as mo
    import pandas as pd

    return UTC, boto3, botocore, datetime, functools, mo, os, pd, time


@app.cell
def _(mo, pd):
    prices = pd.read_csv(mo.notebook_dir() / "prices.csv").head(20)
    prices
    return (prices,)


@app.cell(hide_code=True)
def _(boto3, botocore, functools):
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
            action = f"sagemaker:{client.meta.method_to_api_mapping[operation]}"
            if reason["Code"].startswith("AccessDenied"):
                whom = "Ask the platform engineer who deployed your environment (`services.featureStore`)."
                return None, f"Your role does not allow `{action}`. {whom}\n\n{reason['Message']}"
            return None, f"AWS refused `{action}`: {reason['Message']}"
        except botocore.exceptions.BotoCoreError as error:
            return None, f"AWS cannot be asked: {error}"

    return (ask,)


@app.cell
def _(UTC, ask, datetime, os, time):
    # Names of feature groups begin with yours.
    group = f"{os.environ.get('MARIMO_NAME_PREFIX', '')}-prices"
    online = "sagemaker-featurestore-runtime"
    types = {"item": "String", "updated": "String", "category": "String"}
    types |= {"price": "Fractional", "stock": "Integral"}

    def create_group():
        """Returns what is wrong, or None."""
        if group.startswith("-"):
            return "A feature group has your name: open this notebook in a private space."
        environment = os.environ.get("MARIMO_ENVIRONMENT")
        _, problem = ask(
            "sagemaker",
            "create_feature_group",
            FeatureGroupName=group,
            RecordIdentifierFeatureName="item",
            EventTimeFeatureName="updated",
            FeatureDefinitions=[{"FeatureName": name, "FeatureType": kind} for name, kind in types.items()],
            OnlineStoreConfig={"EnableOnlineStore": True},
            Tags=[{"Key": "Environment", "Value": environment}] if environment else [],
        )
        if problem and "already exists" not in problem.lower():
            return problem
        while True:
            found, problem = ask("sagemaker", "describe_feature_group", FeatureGroupName=group)
            if problem or found["FeatureGroupStatus"] == "Created":
                return problem
            if found["FeatureGroupStatus"] != "Creating":
                return found.get("FailureReason", f"`{group}` is {found['FeatureGroupStatus']}.")
            time.sleep(1)

    def put(row):
        """Stores a record, which replaces that of the same item. Returns what is wrong, or None."""
        values = {**row, "updated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        record = [{"FeatureName": name, "ValueAsString": str(values[name])} for name in types]
        return ask(online, "put_record", FeatureGroupName=group, Record=record)[1]

    def get(item):
        """Returns the features of an item and None, or None and what is wrong."""
        answer, problem = ask(
            online, "get_record", FeatureGroupName=group, RecordIdentifierValueAsString=item
        )
        if problem:
            return None, problem
        record = {one["FeatureName"]: one["ValueAsString"] for one in answer.get("Record", [])}
        return record or None, None if record else f"There is no record of {item}."

    def store(table):
        """Creates the group and stores the rows. Returns what is wrong, or None."""
        problem = create_group()
        return problem or next(filter(None, map(put, table.to_dict("records"))), None)

    return get, group, put, store


@app.cell(hide_code=True)
def _(mo):
    get_stored, set_stored = mo.state(0)
    fill = mo.ui.run_button(label="Create the group and store these rows")
    fill
    return fill, get_stored, set_stored


@app.cell(hide_code=True)
def _(fill, group, mo, prices, set_stored, store):
    mo.stop(not fill.value)
    with mo.status.spinner(title="Creating the feature group"):
        _problem = store(prices)
    if _problem is None:
        set_stored(lambda count: count + 1)
    mo.callout(mo.md(_problem), kind="warn") if _problem else mo.md(f"Stored in `{group}`.")
    return


@app.cell(hide_code=True)
def _(mo, prices):
    item = mo.ui.dropdown(list(prices["item"]), value=prices["item"].iloc[0], label="Item")
    price = mo.ui.number(start=0, stop=10_000, step=0.01, value=99.0, label="New price")
    change = mo.ui.run_button(label="Store it")
    mo.hstack([item, price, change], justify="start")
    return change, item, price


@app.cell(hide_code=True)
def _(change, item, mo, price, prices, put, set_stored):
    mo.stop(not change.value)
    _row = prices.set_index("item", drop=False).loc[item.value].to_dict()
    _problem = put({**_row, "price": price.value})
    if _problem is None:
        set_stored(lambda count: count + 1)
    mo.callout(mo.md(_problem), kind="warn") if _problem else mo.md("Stored.")
    return


@app.cell(hide_code=True)
def _(get, get_stored, item, mo):
    mo.stop(get_stored() == 0, mo.md("The record of an item appears here when the group has records."))
    _record, _problem = get(item.value)
    mo.callout(mo.md(_problem), kind="warn") if _problem else mo.ui.table([_record], selection=None)
    return


@app.cell(hide_code=True)
def _(mo):
    remove = mo.ui.run_button(label="Delete the group", kind="danger")
    remove
    return (remove,)


@app.cell(hide_code=True)
def _(ask, group, mo, remove):
    mo.stop(not remove.value)
    _, _problem = ask("sagemaker", "delete_feature_group", FeatureGroupName=group)
    mo.callout(mo.md(_problem), kind="warn") if _problem else mo.md(f"`{group}` is being deleted.")
    return


@app.cell(hide_code=True)
def _(get, mo, prices, store):
    if mo.app_meta().mode == "script":
        if "store" in mo.cli_args():
            _problem = store(prices)
            _record, _problem = (None, _problem) if _problem else get(prices["item"].iloc[0])
            if _problem:
                raise SystemExit(_problem)
            print(f"Stored {len(prices)} records, such as {_record}")
        else:
            print("To create the feature group: python 08_features.py --store")
    return


if __name__ == "__main__":
    app.run()
