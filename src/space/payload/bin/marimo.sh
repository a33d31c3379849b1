#!/bin/bash
# marimo in the terminals of a space. A server of its own would listen where no browser reaches it, so `marimo
# edit` with at most a file opens through the server behind JupyterLab; everything else is marimo's own
# command line.
state="${MARIMO_STATE:-$HOME/.local/share/sagemaker-marimo}"
if [[ "${1:-}" == edit && $# -le 2 && "${2:-}" != -* ]]; then
  exec "$state/payload/current/bin/start-marimo.sh" "${@:2}"
fi
if [[ ! -x "$state/environments/current/bin/marimo" ]]; then
  echo "marimo is not installed yet. Its progress: $state/log/install.log" >&2
  exit 1
fi
exec "$state/environments/current/bin/marimo" "$@"
