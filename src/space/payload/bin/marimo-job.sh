#!/bin/bash
# Runs notebooks as jobs. The image's Python has boto3. -B: no bytecode files in the payload.
# shellcheck source=src/space/payload/space.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../space.sh"
exec "$python" -B "$payload/python/sagemaker_marimo/jobs/command.py" "$@"
