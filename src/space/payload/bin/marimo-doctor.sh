#!/bin/bash
# Checks everything that marimo needs in this space. -B: no bytecode files in the payload.
# shellcheck source=src/space/payload/space.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../space.sh"
exec "$python" -B "$payload/python/sagemaker_marimo/doctor.py" "$@"
