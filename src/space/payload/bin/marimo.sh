#!/bin/bash
# The `marimo` command in a space's terminals. No browser can reach a server that marimo starts by itself here, so
# open_marimo.py runs the commands that start one. All other commands go to marimo's own command line.
# shellcheck source=src/space/payload/space.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../space.sh"

# The subcommand after marimo's general options. It stays empty for --help and --version.
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
    exec "$python" -B "$payload/python/sagemaker_marimo/open_marimo.py" "${@:i}"
    ;;
esac
if [[ ! -x "$state/environments/current/bin/marimo" ]]; then
  echo "marimo is not installed yet. See the log: $state/log/install.log" >&2
  exit 1
fi
exec "$state/environments/current/bin/marimo" "$@"
