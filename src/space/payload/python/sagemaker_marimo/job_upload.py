"""Uploads a job's output, where SageMaker does not: it uploads that of a processing job unless it fails
(for a failed one this is not documented), and of a training job only tar files at its end."""

import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Upload:
    """Copies a folder to S3, unless `target` is None."""

    def __init__(self, folder: Path, target: str | None, log: Callable[[str], None]) -> None:
        self._folder, self._target, self._log = folder, target, log
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def changes(self, seconds: float) -> None:
        """Uploads what has changed since the last time. `cancel` ends it."""
        if not self._cancelled:
            self._run("sync", seconds)

    def cancel(self) -> None:
        self._cancelled = True
        process = self._process
        if process is not None:
            with suppress(ProcessLookupError):
                process.terminate()

    def all(self, seconds: float | None) -> bool:
        """Whether everything was uploaded. None: without a time limit."""
        if self._target is None:
            return True
        succeeded = self._run("cp", seconds, "--recursive")
        self._log("the output was uploaded" if succeeded else "the output could not be uploaded")
        return succeeded

    def _run(self, verb: str, seconds: float | None, *options: str) -> bool:
        if self._target is None:
            return True
        command = ["aws", "s3", verb, *options, "--only-show-errors", str(self._folder), f"{self._target}/"]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # no shell
            return self._process.wait(seconds) == 0
        except (OSError, subprocess.TimeoutExpired) as error:
            self._log(f"{self._target} could not be written: {error}")
            self.cancel()
            return False
