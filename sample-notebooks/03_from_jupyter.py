# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "marimo==0.25.2",
#     "pandas==2.3.3",
#     "plotly==6.0.1",
# ]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="From Jupyter")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # Stock value by category

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    Converted with `marimo convert 03_from_jupyter.ipynb -o 03_from_jupyter.py`, then refined: a slider
    replaces the number that was edited by hand, and no cell modifies another cell's variables.
    """)
    return


@app.cell
def _():
    import marimo as mo
    import pandas as pd
    import plotly.express as px

    return mo, pd, px


@app.cell
def _(mo, pd):
    df = pd.read_csv(mo.notebook_dir() / "prices.csv")
    df["value"] = (df["price"] * df["stock"]).round(2)
    df.head()
    return (df,)


@app.cell
def _(mo):
    min_stock = mo.ui.slider(0, 40, value=10, label="Minimum stock", show_value=True)
    min_stock
    return (min_stock,)


@app.cell
def _(df, min_stock):
    in_stock = df[df["stock"] >= min_stock.value]
    by_category = (
        in_stock.groupby("category", as_index=False)["value"]
        .sum()
        .round(2)
        .sort_values("value", ascending=False, ignore_index=True)
    )
    by_category
    return by_category, in_stock


@app.cell
def _(df, in_stock, mo):
    summary = f"{len(in_stock)} of {len(df)} items, worth {in_stock['value'].sum():,.0f}"
    if mo.app_meta().mode == "script":
        print(summary)
    mo.md(summary)
    return


@app.cell
def _(by_category, px):
    fig = px.bar(by_category, x="category", y="value", height=360)
    fig
    return


if __name__ == "__main__":
    app.run()
