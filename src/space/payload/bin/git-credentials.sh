#!/bin/bash
# A credential helper of git for the environment's private repositories. -B: no bytecode files in the payload.
# shellcheck source=src/space/payload/space.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../space.sh"
exec "$python" -B "$payload/python/sagemaker_marimo/git_credentials.py" "$@"
