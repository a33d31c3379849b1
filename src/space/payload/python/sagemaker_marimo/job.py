"""For notebooks: whether they run as a job, on which node, and where their checkpoints go.

    from sagemaker_marimo import job

    model = job.checkpoint_folder / "model.pt"  # `marimo-job run --checkpoints` uploads it while the job runs

In a space or on a laptop it is the only node, and the checkpoints are in the folder `checkpoints` beside the
notebook. job_run.py sets the environment variables.
"""

import os
from pathlib import Path

is_job: bool = "MARIMO_JOB_HOSTS" in os.environ
hosts: tuple[str, ...] = tuple(os.environ.get("MARIMO_JOB_HOSTS", "localhost").split(","))
"""The names of the job's nodes, which reach one another by them. That of rank 0 is the first."""
host: str = os.environ.get("MARIMO_JOB_HOST", hosts[0])
rank: int = hosts.index(host)
is_first: bool = rank == 0
"""Whether this node's page and files are the job's. Those of the others are in the job's folder `nodes`."""
network_interface: str | None = os.environ.get("MARIMO_JOB_INTERFACE")
"""For NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME. None outside of training jobs."""

_FOLDER = Path(os.environ.get("MARIMO_CHECKPOINT_FOLDER", "checkpoints")).absolute()


def __getattr__(name: str) -> Path:
    """`checkpoint_folder` is created when a notebook asks for it. Each of several nodes has its own, because
    SageMaker uploads those of all nodes to the same prefix (SageMaker Developer Guide, "Checkpoints")."""
    if name != "checkpoint_folder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    folder = _FOLDER / host if len(hosts) > 1 else _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder


checkpoint_folder: Path
