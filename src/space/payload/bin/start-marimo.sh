#!/bin/bash
# Starts marimo's server in this space if need be, and prints the address that opens it in the browser.
exec "${CONDA_PREFIX:-/opt/conda}/bin/python" -B \
  "${MARIMO_STATE:-$HOME/.local/share/sagemaker-marimo}/payload/current/python/sagemaker_marimo/open_marimo.py" edit "$@"
