#!/bin/bash
# The entrypoint of a SageMaker Processing job, whose arguments are a notebook and its arguments: makes marimo's
# environment as a space does, runs the notebook once, and leaves its page, files and outcome in the output folder.
# The log of a job is what this and the notebook print.
set -uo pipefail

# The container's folders, /opt/ml on AWS, are found from here: this payload is the input `runtime`.
payload="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
ml="$(cd "$payload/../../.." && pwd -P)"
source_folder="$ml/processing/input/source"
output="$ml/processing/output"
python="${CONDA_PREFIX:-/opt/conda}/bin/python"
began=$SECONDS

log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) sagemaker-marimo: $*"; }
# What ExitMessage of DescribeProcessingJob will say, 1,024 characters at most (SageMaker API).
fail() {
  log "$1"
  printf '%.1024s' "$1" 2>/dev/null >"$ml/output/message"
  exit 70 # EX_SOFTWARE of sysexits.h: not the notebook's own status
}
# As process 1 of a container bash ignores SIGTERM otherwise; while the notebook runs, it is job_run.py that hears it.
pid=""
trap 'if [[ -n "$pid" ]]; then kill "$pid" 2>/dev/null; fi; fail "told to stop before the notebook ran"' TERM
# bash runs a trap only once a command has ended, but at once while it waits for one in the background.
heedfully() {
  "$@" </dev/null &
  pid=$!
  wait "$pid"
}

# The platform makes these folders, and they are root's: the image's user may not write them, but may use sudo
# (aws/sagemaker-distribution, "known issues" of its README).
for folder in "$output" "$ml/output"; do
  if [[ -w "$folder" ]]; then continue; fi
  if ! sudo -n mkdir -p "$folder" || ! sudo -n chmod -R a+rwX "$folder"; then
    fail "$folder cannot be written to, and sudo does not help: the outcome would be lost"
  fi
done
[[ -f "$source_folder/${1:-}" ]] || fail "there is no notebook ${1:-}: the entrypoint's first argument names it"

"$python" -c "" || fail "the image's Python, $python, does not run"
# A job has its volume for itself.
MARIMO_STATE="$(mktemp -d)" || fail "no temporary folder can be made"
export MARIMO_STATE
environment="$MARIMO_STATE/environment"
# shellcheck source=src/space/payload/environment.sh
source "$payload/environment.sh" || fail "no requirements.txt"

# Where there is a wheelhouse there may be no index: it has marimo's packages, and maybe these.
install_own() {
  local offline=(--no-index --find-links "$wheels")
  if [[ -n "$uv" ]]; then offline+=(--offline); fi
  if compgen -G "$wheels/*.whl" >/dev/null; then
    install_packages "$1" "${offline[@]}" && return
    log "not from the packages in the bucket: trying the package index"
  fi
  authenticate
  if [[ -n "$index" ]]; then local -x UV_DEFAULT_INDEX="$index" PIP_INDEX_URL="$index"; fi
  install_packages "$1"
}

log "installing $(grep -o '^marimo==[^ ;]*' "$payload/requirements.txt") and what it needs"
heedfully build || fail "marimo could not be installed: the log says why"
lock="$source_folder/requirements.lock"
if [[ -f "$lock" ]]; then
  log "installing the notebook's own packages, $(grep -c '^[A-Za-z0-9]' "$lock")"
  # Another marimo than the payload's is not what these scripts were made for.
  if grep -qi '^marimo[ =<>~!]' "$lock" && ! grep -qxF "$(grep -o '^marimo==[^ ;\\]*' "$payload/requirements.txt")" \
    <(grep -o '^marimo==[^ ;\\]*' "$lock"); then
    fail "requirements.lock asks for another marimo than $(grep -o '^marimo==[^ ;]*' "$payload/requirements.txt")"
  fi
  heedfully install_own "$lock" || fail "the notebook's own packages could not be installed: the log says why"
fi
link_image_packages
unset MARIMO_PACKAGE_INDEX_URL # with CodeArtifact's token in it: nothing for the notebook

# exec: what the platform sends to stop the job goes to what waits for the notebook.
exec "$python" -B "$payload/python/sagemaker_marimo/job_run.py" --ml "$ml" --environment "$environment" \
  --packages-seconds "$((SECONDS - began))" -- "$@"
