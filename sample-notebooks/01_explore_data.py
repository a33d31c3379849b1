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
app = marimo.App(width="medium", app_title="Explore data")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # Explore data

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    Move the slider: only the cells that read its value run again.
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
def _(io, pd):
    def read_prices(content):
        """Returns the rows with a price and a remark, or None and what is wrong with the file."""
        if not content.strip():
            return None, "is empty"
        header = content.partition(b"\n")[0]
        if b";" in header and b"," not in header:
            return None, "has `;` between its columns: replace it by `,`, and decimal commas by `.`"
        try:
            rows = pd.read_csv(io.BytesIO(content))
        except ValueError as error:
            return None, f"is not a CSV file in UTF-8: {error}"
        if "price" not in rows:
            return None, f"has no column `price`, only {', '.join(f'`{column}`' for column in rows)}"
        prices = pd.to_numeric(rows["price"], errors="coerce")
        prices = prices.where(prices.abs() < float("inf"))
        wrong = rows["price"][prices.isna() & rows["price"].notna()]
        if len(wrong):
            return None, f"has prices that are not numbers, such as `{wrong.iloc[0]}`"
        missing = int(prices.isna().sum())
        if missing == len(rows):
            return None, "has no row with a price"
        remark = f", without {missing} rows that have no price" if missing else ""
        return rows.assign(price=prices)[prices.notna()], remark

    return (read_prices,)


@app.cell(hide_code=True)
def _(boto3, botocore, mo, os, pd, read_prices):
    def read_bucket():
        """Returns your data from this Studio domain's bucket and its source, or None and why not."""
        # Your part of the bucket, such as s3://BUCKET/people/ana.
        prefix = os.environ.get("MARIMO_PREFIX")
        if not prefix:
            return None, "until your part of the team's bucket has `data/prices.csv`"
        # Short timeouts: without a route to S3, the error should appear within seconds.
        quick = botocore.config.Config(connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 2})
        source = f"{prefix}/data/prices.csv"
        bucket, key = source.removeprefix("s3://").split("/", 1)
        try:
            s3 = boto3.client("s3", config=quick)
            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            why = getattr(error, "response", {}).get("Error", {}).get("Code") or str(error)
            # S3 may deny a file that does not exist.
            if why in ("NoSuchKey", "AccessDenied"):
                return None, f"until you upload `{source}`"
            return None, f"because `{source}` cannot be read: {why}"
        rows, remark = read_prices(body)
        return rows, f"because `{source}` {remark}" if rows is None else f"`{source}`{remark}"

    prices, origin = read_bucket()
    if prices is None:
        sample = mo.notebook_dir() / "prices.csv"
        prices, remark = read_prices(sample.read_bytes())
        origin = f"the sample `{sample.name}`{remark}, {origin}"
        if prices is None:
            origin = f"none. `{sample}` {remark}."
            # After mo.stop, each cell below would say "Ancestor stopped" instead.
            prices = pd.DataFrame({"price": []}, dtype=float)
    if mo.app_meta().mode == "script":
        print(f"Data: {origin}")
    mo.md(f"Data: {origin}") if len(prices) else mo.callout(mo.md(f"Data: {origin}"), kind="warn")
    return (prices,)


@app.cell
def _(mo, pd, prices):
    price = prices["price"] if len(prices) else pd.Series([0])
    min_price = mo.ui.slider(
        start=int(price.min()),
        stop=int(price.max()) + 1,
        value=int(price.median()),
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
    # Your own data may have no categories.
    color = "category" if "category" in filtered else None
    mo.ui.plotly(px.histogram(filtered, x="price", color=color, nbins=40, height=360))
    return


if __name__ == "__main__":
    app.run()
