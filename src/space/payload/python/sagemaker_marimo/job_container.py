"""The container of a job. A processing and a training job differ in what SageMaker gives and uploads."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

# SageMaker Developer Guide, "How Amazon SageMaker AI Provides Training Information". Processing jobs have the
# file in another folder, /opt/ml/config.
RESOURCES = "input/config/resourceconfig.json"


@dataclass(frozen=True)
class Container:
    ml: Path
    is_training: bool
    hosts: tuple[str, ...] = ("algo-1",)
    host: str = "algo-1"
    interface: str | None = None

    @classmethod
    def of(cls, ml: Path) -> "Container":
        """`ml` is the container's /opt/ml."""
        try:
            resources = json.loads((ml / RESOURCES).read_text())
        except FileNotFoundError:
            return cls(ml, is_training=False)
        # In the order of their numbers, which all nodes compute alike.
        hosts = sorted(resources["hosts"], key=lambda name: (len(name), name))
        interface = resources.get("network_interface_name")
        return cls(ml, True, tuple(hosts), resources["current_host"], interface)

    @property
    def message(self) -> Path:
        """The file from which SageMaker takes the reason of a failure: FailureReason or ExitMessage."""
        return self.ml / "output" / ("failure" if self.is_training else "message")

    @property
    def target(self) -> str | None:
        """The S3 URI of this node's output."""
        output = os.environ.get("MARIMO_JOB_OUTPUT", "").rstrip("/")
        if not output or self.host == self.hosts[0]:
            return output or None
        return f"{output}/nodes/{self.host}"

    def variables(self) -> dict[str, str]:
        """The environment of the notebook, for job.py."""
        return {
            "MARIMO_JOB_HOSTS": ",".join(self.hosts),
            "MARIMO_JOB_HOST": self.host,
            **({"MARIMO_JOB_INTERFACE": self.interface} if self.interface else {}),
            # Set by the request (jobs/training.py).
            **(
                {"MARIMO_CHECKPOINT_FOLDER": str(self.ml / "checkpoints")}
                if "MARIMO_CHECKPOINTS" in os.environ
                else {}
            ),
        }
