# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "boto3==1.43.56",
#     "marimo==0.25.2",
#     "pandas==2.3.3",
#     "plotly==6.0.1",
# ]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Explore data")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # Explore data

    Move the slider: every cell that reads its value runs again, and no other.
    """)
    return


@app.cell(hide_code=True)
def _():
    import io
    import os

    import boto3
    import botocore.config
    import botocore.exceptions
    import marimo as mo
    import pandas as pd
    import plotly.express as px

    return boto3, botocore, io, mo, os, pd, px


@app.cell(hide_code=True)
def _(boto3, botocore, io, mo, os, pd):
    def load_prices():
        """The team's data from the bucket of this Studio domain, or else the sample beside this notebook."""
        sample = mo.notebook_dir() / "prices.csv"
        bucket = os.environ.get("MARIMO_BUCKET")
        if not bucket:
            return pd.read_csv(sample), f"the sample `{sample.name}`, for this space has no bucket"
        # A space without a way to S3 should say so in seconds.
        quick = botocore.config.Config(connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 2})
        source = f"s3://{bucket}/data/prices.csv"
        try:
            s3 = boto3.client("s3", config=quick)
            body = s3.get_object(Bucket=bucket, Key="data/prices.csv")["Body"].read()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            why = getattr(error, "response", {}).get("Error", {}).get("Code") or str(error)
            if why == "NoSuchKey":
                return pd.read_csv(sample), f"the sample `{sample.name}`, until you put yours at `{source}`"
            return pd.read_csv(sample), f"the sample `{sample.name}`, for `{source}` cannot be read: {why}"
        return pd.read_csv(io.BytesIO(body)), f"`{source}`"

    prices, source = load_prices()
    mo.md(f"Data: {source}")
    return (prices,)


@app.cell
def _(mo, prices):
    min_price = mo.ui.slider(
        start=int(prices["price"].min()),
        stop=int(prices["price"].max()) + 1,
        value=int(prices["price"].median()),
        label="Minimum price",
        show_value=True,
    )
    min_price
    return (min_price,)


@app.cell
def _(min_price, mo, prices):
    filtered = prices[prices["price"] >= min_price.value].reset_index(drop=True)
    count = f"Showing {len(filtered)} of {len(prices)} items"
    if mo.app_meta().mode == "script":
        print(count)
    mo.md(count)
    return (filtered,)


@app.cell
def _(filtered, mo):
    mo.ui.table(filtered, page_size=5, selection=None)
    return


@app.cell
def _(filtered, mo, px):
    # Data of your own may have no categories.
    color = "category" if "category" in filtered else None
    mo.ui.plotly(px.histogram(filtered, x="price", color=color, nbins=40, height=360))
    return


if __name__ == "__main__":
    app.run()
