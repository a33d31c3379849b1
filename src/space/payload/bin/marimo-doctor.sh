#!/bin/bash
# Checks each link between this space and a marimo that works. -B: no bytecode beside the payload's own files.
exec "${CONDA_PREFIX:-/opt/conda}/bin/python" -B \
  "${MARIMO_STATE:-$HOME/.local/share/sagemaker-marimo}/payload/current/python/sagemaker_marimo/doctor.py" "$@"
