#!/bin/bash
# marimo in the terminals of a space. A server of its own would listen where no browser reaches it, so what
# starts one opens through the server behind JupyterLab; everything else is marimo's own command line.
state="${MARIMO_STATE:-$HOME/.local/share/sagemaker-marimo}"

# The command, after marimo's general options; nothing where marimo is only to print something.
command=""
for ((i = 1; i <= $#; i++)); do
  case "${!i}" in
    -l | --log-level) ((i++)) ;;
    -h | --help | --version) break ;;
    -*) ;;
    *)
      command="${!i}"
      break
      ;;
  esac
done
for argument in "${@:i}"; do
  case "$argument" in
    --) break ;;
    -h | --help) command="" ;;
  esac
done

case "$command" in
  edit | run | new | tutorial)
    exec "${CONDA_PREFIX:-/opt/conda}/bin/python" -B \
      "$state/payload/current/python/sagemaker_marimo/open_marimo.py" "${@:i}"
    ;;
esac
if [[ ! -x "$state/environments/current/bin/marimo" ]]; then
  echo "marimo is not installed yet. Its progress: $state/log/install.log" >&2
  exit 1
fi
exec "$state/environments/current/bin/marimo" "$@"
