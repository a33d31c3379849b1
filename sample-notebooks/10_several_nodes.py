# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "marimo==0.25.2",
#     "numpy==1.26.4",
# ]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Several nodes")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # Several nodes

    Cells not run yet? Click **Run all stale cells** (▷, lower right), or press Ctrl+Shift+R
    (⌘+Shift+R on a Mac).

    With `--nodes 2` a job runs this notebook on two instances at once. Each computes its part, and the
    first gathers: with PyTorch where it is installed, otherwise over a plain connection.

    `marimo-job run 10_several_nodes.py --nodes 2 --time-limit 15`

    The job's page is that of the first node; the others' are in its folder `nodes`. An environment allows
    several nodes by its setting `jobs.maximumInstances`.
    """)
    return


@app.cell(hide_code=True)
def _():
    import importlib.util
    import os
    import socket
    import time
    from multiprocessing.connection import Client, Listener

    import marimo as mo
    import numpy as np

    from sagemaker_marimo import job

    return Client, Listener, importlib, job, mo, np, os, socket, time


@app.cell
def _(job, np):
    # A part of the whole, by rank: how many of these random points are in the circle.
    points = np.random.default_rng(job.rank).random((1_000_000, 2))
    inside = int((np.square(points).sum(axis=1) < 1).sum())
    print(f"Node {job.rank + 1} of {len(job.hosts)}: {inside} of {len(points)} points")
    return inside, points


@app.cell
def _(Client, Listener, job, os, socket, time):
    PORT = 29500
    PATIENCE = 300

    def reach(ready):
        """Waits until the other node answers: instances start at different times, and so do their names."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return ready()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def gather_with_torch(value):
        import torch
        from torch import distributed

        if job.network_interface:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", job.network_interface)
        reach(lambda: socket.getaddrinfo(job.hosts[0], PORT))
        distributed.init_process_group(
            "gloo", init_method=f"tcp://{job.hosts[0]}:{PORT}", rank=job.rank, world_size=len(job.hosts)
        )
        parts = [torch.zeros(1, dtype=torch.int64) for _ in job.hosts]
        distributed.all_gather(parts, torch.tensor([value]))
        distributed.destroy_process_group()
        return [int(part) for part in parts]

    def gather_with_sockets(value):
        """The first node gets all values, in the order of ranks; the others send theirs."""
        # Only the nodes of this job reach one another, and this key is theirs.
        key = os.environ.get("TRAINING_JOB_NAME", "here").encode()
        if job.rank > 0:
            with reach(lambda: Client((job.hosts[0], PORT), authkey=key)) as connection:
                connection.send((job.rank, value))
            return [value]
        parts = {0: value}
        if len(job.hosts) > 1:
            with reach(lambda: Listener((job.hosts[0], PORT), authkey=key)) as listener:
                while len(parts) < len(job.hosts):
                    with listener.accept() as connection:
                        rank, part = connection.recv()
                        parts[rank] = part
        return [parts[rank] for rank in sorted(parts)]

    return gather_with_sockets, gather_with_torch


@app.cell
def _(gather_with_sockets, gather_with_torch, importlib, inside, job, mo, points):
    has_torch = importlib.util.find_spec("torch") is not None
    gathered = (gather_with_torch if has_torch else gather_with_sockets)(inside)
    mo.stop(not job.is_first, mo.md("The first node has the result."))
    pi = 4 * sum(gathered) / len(gathered) / len(points)
    print(f"pi={pi:.4f} from {len(gathered)} nodes: {gathered}")
    mo.md(f"π is about **{pi:.4f}**, from {len(gathered)} node{'s' * (len(gathered) > 1)}.")
    return


if __name__ == "__main__":
    app.run()
