# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "boto3==1.43.75",
#     "marimo==0.25.2",
# ]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="A notebook as a job")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # A notebook as a job

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    This notebook runs `01_explore_data.py` as a SageMaker Processing job on a separate instance, which is
    billed per second until the job ends, and shows the resulting page. To do the same in a terminal:
    `marimo-job run 01_explore_data.py --with prices.csv`
    """)
    return


@app.cell(hide_code=True)
def _():
    import json
    import shutil
    import subprocess
    import tempfile
    from pathlib import Path

    import marimo as mo

    return Path, json, mo, shutil, subprocess, tempfile


@app.cell(hide_code=True)
def _(mo, shutil, subprocess):
    def marimo_job(*words):
        """Returns the last line that `marimo-job` prints and None, or None and the error."""
        program = shutil.which("marimo-job")
        if program is None:
            return None, "`marimo-job` was not found. Studio spaces have it if they were deployed with jobs."
        result = subprocess.run(
            [program, *words], capture_output=True, text=True, check=False, cwd=mo.notebook_dir()
        )
        if result.returncode != 0:
            return None, result.stderr.strip() or f"`marimo-job {words[0]}` ended with {result.returncode}."
        return result.stdout.strip().rpartition("\n")[2], None

    return (marimo_job,)


@app.cell(hide_code=True)
def _(mo):
    get_job, set_job = mo.state(None)
    get_ended, set_ended = mo.state(None)
    instance = mo.ui.dropdown(["ml.m5.large", "ml.m5.4xlarge"], value="ml.m5.large", label="Instance")
    start = mo.ui.run_button(label="Run it as a job")
    mo.hstack([instance, start], justify="start")
    return get_ended, get_job, instance, set_ended, set_job, start


@app.cell(hide_code=True)
def _(instance, json, marimo_job, mo, set_ended, set_job, start):
    if mo.app_meta().mode == "script":
        print("Open this notebook and press the button.")
    mo.stop(
        not start.value,
        mo.md("Choose an instance, and press **Run it as a job**. The job's page appears here in minutes."),
    )
    answer, refused = marimo_job(
        *("run", "01_explore_data.py", "--with", "prices.csv", "--instance", instance.value),
        *("--time-limit", "15", "--detach", "--json"),
    )
    mo.stop(answer is None, mo.callout(mo.md(f"```\n{refused}\n```"), kind="warn"))
    name = json.loads(answer)["job"]
    set_ended(None)
    set_job(name)
    mo.md(f"Sent: `{name}`")
    return


@app.cell(hide_code=True)
def _(get_ended, get_job, mo):
    # The status of a job that has ended does not change.
    look = mo.ui.refresh(options=["3s", "10s"], default_interval=None if get_ended() else "3s")
    look if get_job() else None
    return (look,)


@app.cell(hide_code=True)
def _(get_ended, get_job, json, look, marimo_job, mo, set_ended):
    look
    mo.stop(get_job() is None)
    facts, lost = marimo_job("status", get_job(), "--json")
    mo.stop(facts is None, mo.callout(mo.md(lost or ""), kind="warn"))
    job = json.loads(facts)
    if get_ended() is None and job["status"] in ("Completed", "Failed", "Stopped"):
        set_ended(job)
    mo.hstack(
        [
            mo.stat(job["state"], label="Status"),
            mo.stat(job["instance"], label="Instance type"),
            mo.stat(f"{job['seconds'] or 0:.0f} s", label="Billed time"),
            mo.stat("unknown" if job["dollars"] is None else f"{job['dollars']:.4f} USD", label="Cost"),
        ],
        justify="start",
        gap=2,
    )
    return


@app.cell(hide_code=True)
def _(Path, get_ended, marimo_job, mo, tempfile):
    mo.stop(get_ended() is None)
    ended = get_ended()
    folder = tempfile.mkdtemp()
    _, missing = marimo_job("open", ended["job"], "--output", folder)
    page = Path(folder, ended["job"], "page.html")
    mo.vstack(
        [
            mo.callout(mo.md(ended["reason"]), kind="danger") if ended["reason"] else mo.md("### Its page"),
            mo.iframe(page.read_text(), height="600px") if page.is_file() else mo.md(missing or "No page."),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
