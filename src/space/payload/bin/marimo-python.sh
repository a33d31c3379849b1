#!/bin/bash
# Python with marimo and the image's packages, for notebooks that run as scripts: marimo-python NOTEBOOK.py [ARGUMENTS]
# shellcheck source=src/space/payload/space.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../space.sh"
if [[ ! -x "$state/environments/current/bin/python" ]]; then
  echo "marimo is not installed yet. See the log: $state/log/install.log" >&2
  exit 1
fi
exec "$state/environments/current/bin/python" "$@"
