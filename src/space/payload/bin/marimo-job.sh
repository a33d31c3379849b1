#!/bin/bash
# Runs notebooks as jobs, with the image's Python, which has boto3. -B: no bytecode beside the payload's own files.
exec "${CONDA_PREFIX:-/opt/conda}/bin/python" -B \
  "${MARIMO_STATE:-$HOME/.local/share/sagemaker-marimo}/payload/current/python/sagemaker_marimo/jobs/command.py" "$@"
