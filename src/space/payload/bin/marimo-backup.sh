#!/bin/bash
# Backs up the home folder, lists backups, restores one. The image's Python has boto3. -B: no bytecode in the payload.
# shellcheck source=src/space/payload/space.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../space.sh"
exec "$python" -B "$payload/python/sagemaker_marimo/backup/command.py" "$@"
