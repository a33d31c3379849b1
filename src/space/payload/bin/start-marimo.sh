#!/bin/bash
# Starts marimo's server in this space if it is not running, and prints its address for the browser.
# shellcheck source=src/space/payload/space.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../space.sh"
exec "$python" -B "$payload/python/sagemaker_marimo/open_marimo.py" edit "$@"
