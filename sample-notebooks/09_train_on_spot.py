# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "marimo==0.25.2",
#     "numpy==1.26.4",
#     "pandas==2.3.3",
# ]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Training on Spot")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # Training on Spot

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    Spot instances cost about a third, but AWS may take them away at any time. This notebook saves a
    checkpoint after each epoch and goes on from the last one, so an interruption costs one epoch:

    `marimo-job run 09_train_on_spot.py --spot --checkpoints --time-limit 30 -- --epochs 200 --pause 1`

    Here it does the same: stop it while it trains, run it again, and it goes on.
    """)
    return


@app.cell(hide_code=True)
def _():
    import json
    import time

    import marimo as mo
    import numpy as np
    import pandas as pd

    from sagemaker_marimo import job

    return job, json, mo, np, pd, time


@app.cell
def _(mo):
    epochs, pause = int(mo.cli_args().get("epochs") or 20), float(mo.cli_args().get("pause") or 0)
    return epochs, pause


@app.cell
def _(job, json):
    checkpoint = job.checkpoint_folder / "model.json"

    def load():
        """The last state, or the first one."""
        if checkpoint.is_file():
            return json.loads(checkpoint.read_text())
        return {"weights": [0.0, 0.0], "losses": []}

    def save(state):
        # SageMaker may upload the folder at any moment: a file is there as a whole or not at all.
        new = checkpoint.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(checkpoint)

    return load, save


@app.cell
def _(epochs, load, mo, np, pause, save, time):
    x = np.linspace(-1, 1, 200)
    y = 3 * x + 1 + np.random.default_rng(0).normal(0, 0.1, 200)
    state = load()
    begun = len(state["losses"])
    print(f"Epoch {begun + 1} is the next" if begun else "The first run")
    for _epoch in mo.status.progress_bar(range(begun + 1, epochs + 1), title="Epochs"):
        slope, intercept = state["weights"]
        error = slope * x + intercept - y
        state = {
            "weights": [slope - 0.2 * float(np.mean(error * x)), intercept - 0.2 * float(np.mean(error))],
            "losses": [*state["losses"], float(np.mean(error**2))],
        }
        save(state)
        print(f"epoch={_epoch} loss={state['losses'][-1]:.4f}", flush=True)
        time.sleep(pause)
    return (state,)


@app.cell
def _(mo, pd, state):
    losses = pd.DataFrame({"loss": state["losses"]})
    losses.index = pd.RangeIndex(1, len(losses) + 1, name="epoch")
    losses.to_csv("losses.csv")
    mo.vstack([mo.md(f"After {len(losses)} epochs the slope is {state['weights'][0]:.2f} of 3."), losses])
    return


if __name__ == "__main__":
    app.run()
