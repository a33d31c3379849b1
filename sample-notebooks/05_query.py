# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "boto3==1.43.75",
#     "duckdb==1.5.1",
#     "marimo==0.25.2",
#     "pandas==2.3.3",
#     "pyathena==3.36.0",
#     "s3fs==2026.7.0",
#     "sqlalchemy==2.0.54",
#     "sqlglot==30.18.0",
# ]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Query")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # Query with SQL

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    Two engines for SQL cells: DuckDB reads files into this space's memory, Amazon Athena queries your team's
    data lake. Choose the engine in the footer of a SQL cell. The data panel (left) shows the tables and
    columns of both.
    """)
    return


@app.cell(hide_code=True)
def _():
    import importlib.util
    import logging
    import os
    import sqlite3

    import marimo as mo
    import pandas as pd

    missing = [
        name
        for name in ("duckdb", "pyathena", "s3fs", "sqlalchemy", "sqlglot")
        if importlib.util.find_spec(name) is None
    ]
    # The notebook says what Athena refuses: PyAthena would print each traceback as well.
    logging.getLogger("pyathena").setLevel(logging.CRITICAL)
    return missing, mo, os, pd, sqlite3


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Files in S3: DuckDB

    `lake` reads `s3://` with your role, and downloads nothing from the internet. In a SQL cell,
    `FROM 's3://BUCKET/FOLDER/*.parquet'` reads every file of the folder, CSV and JSON alike.
    """)
    return


@app.cell(hide_code=True)
def _(missing, mo, os, pd, sqlite3):
    def connect():
        """Returns DuckDB with S3, or SQLite and what the image lacks."""
        if {"duckdb", "s3fs", "sqlglot"} & set(missing):
            sample = sqlite3.connect(":memory:", check_same_thread=False)
            pd.read_csv(mo.notebook_dir() / "prices.csv").to_sql("prices", sample)
            return sample, (
                f"This image has no {', '.join(missing)}. Choose SageMaker Distribution 4.2 or later (in the "
                "rehearsal: `npm start -- --image full`). Until then SQLite has the sample `prices.csv`."
            )
        import botocore.exceptions
        import duckdb
        import s3fs

        quick = {"connect_timeout": 3, "read_timeout": 20, "retries": {"total_max_attempts": 2}}
        duck = duckdb.connect()
        # DuckDB's own extension for S3 would have to be downloaded. This is the image's package.
        duck.register_filesystem(s3fs.S3FileSystem(config_kwargs=quick))
        # Your part of the bucket, such as s3://BUCKET/people/ana, and everybody's.
        prefix, bucket = os.environ.get("MARIMO_PREFIX"), os.environ.get("MARIMO_BUCKET")
        folders = dict.fromkeys(filter(None, (prefix, bucket and f"s3://{bucket}/shared")))
        reasons = []
        for file in (f"{folder}/data/prices.csv" for folder in folders):
            try:
                duck.execute(f"CREATE TABLE prices AS FROM read_csv('{file}')")
                return duck, f"`prices` is `{file}`."
            except (OSError, botocore.exceptions.BotoCoreError, duckdb.Error) as error:
                reason = str(error).splitlines()[0]
                missing_file = reason.startswith("IO Error: No files found")
                what = "does not exist: upload it to use it" if missing_file else f"cannot be read: {reason}"
                reasons.append(f"\n- `{file}` {what}")
        duck.execute(f"CREATE TABLE prices AS FROM read_csv('{mo.notebook_dir() / 'prices.csv'}')")
        return duck, f"`prices` is the sample `prices.csv`.{''.join(reasons)}"

    lake, origin = connect()
    if mo.app_meta().mode == "script":
        print(origin)
    mo.callout(mo.md(origin), kind="warn") if missing else mo.md(origin)
    return (lake,)


@app.cell
def _(lake, mo):
    by_category = mo.sql(
        f"""
        SELECT category, count(*) AS items, round(avg(price), 2) AS mean_price
        FROM prices
        GROUP BY category
        ORDER BY mean_price DESC
        """,
        engine=lake,
    )
    return (by_category,)


@app.cell
def _(by_category, mo):
    # The result is a data frame for the next cells.
    if mo.app_meta().mode == "script":
        print(f"{len(by_category)} categories")
    mo.stat(by_category["category"][0], label="Highest mean price")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Your team's data lake: Amazon Athena

    `athena` queries the databases that your role may read. Each query costs by the data that it scans: name
    columns and filter by partition. Athena stops a query that scans more than your platform engineer allows.
    """)
    return


@app.cell(hide_code=True)
def _(missing, mo, os):
    def connect_athena():
        """Returns the engine and its tables, or None and what is missing, and whom to ask."""
        ask = "Ask your platform engineer for"
        workgroup, region = os.environ.get("MARIMO_ATHENA_WORKGROUP"), os.environ.get("AWS_DEFAULT_REGION")
        if not workgroup:
            return None, [], f"You have no access to Athena. {ask} `access.athena`, for you or your team."
        if not region:
            return None, [], "No AWS region is set: set `AWS_DEFAULT_REGION`, for instance to `us-east-1`."
        if missing:
            return None, [], f"This image has no {', '.join(missing)}."
        import sqlalchemy

        engine = sqlalchemy.create_engine(
            f"awsathena+rest://@athena.{region}.amazonaws.com:443/default?work_group={workgroup}"
        )
        databases = f"{ask} `access.glueDatabases` with the databases that you need."
        try:
            inspector = sqlalchemy.inspect(engine)
            found = [
                f'"{schema}"."{table}"'
                for schema in inspector.get_schema_names()
                for table in tables_of(inspector, schema)
            ]
        except Exception as error:  # of AWS, or of the network
            return None, [], f"Athena does not answer: {getattr(error, 'orig', error)}\n\n{databases}"
        return engine, found, "" if found else f"Athena shows you no tables. {databases}"

    def tables_of(inspector, schema):
        """None of a database that only others may read."""
        try:
            return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        except Exception:
            return []

    athena, tables, problem = connect_athena()
    if mo.app_meta().mode == "script":
        print(problem or f"{len(tables)} tables in Athena")
    mo.callout(mo.md(problem), kind="warn") if problem else None
    return athena, tables


@app.cell(hide_code=True)
def _(mo, tables):
    table = mo.ui.dropdown(tables, value=tables[0] if tables else None, label="Table")
    table if tables else None
    return (table,)


@app.cell(hide_code=True)
def _(table):
    # A SQL cell with an empty query runs nothing.
    first_rows = f"SELECT * FROM {table.value} LIMIT 10" if table.value else ""
    return (first_rows,)


@app.cell
def _(athena, first_rows, mo):
    rows = mo.sql(
        f"""
        {first_rows}
        """,
        engine=athena,
    )
    return (rows,)


@app.cell(hide_code=True)
def _(mo, rows):
    if mo.app_meta().mode == "script" and rows is not None:
        print(f"{len(rows)} rows with {', '.join(rows.columns)}")
    return


if __name__ == "__main__":
    app.run()
