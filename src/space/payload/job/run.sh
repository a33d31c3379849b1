#!/bin/bash
# The entrypoint of a SageMaker processing or training job. Its arguments are a notebook and the notebook's arguments.
# It builds marimo's virtual environment as a space does, runs the notebook once, and writes its page, files and result
# to the output folder. The job's log is the output of this script and of the notebook.
set -uo pipefail

# This payload is the input or channel `runtime`, so the container's folders (/opt/ml on AWS) are found from here.
payload="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
ml="$(cd "$payload/../../.." && pwd -P)"
output="$ml/processing/output"
# shellcheck source=src/space/payload/image.sh
source "$payload/image.sh"
python="$(image_python)"
began=$SECONDS
notebook="${1:-}"
# From which SageMaker takes the reason of a failure (SageMaker API, ExitMessage and FailureReason).
message="$ml/output/message"
writable=("$output" "$ml/output")
if [[ -f "$ml/input/config/resourceconfig.json" ]]; then # a training job: job_container.py
  message="$ml/output/failure"
  # For the notebook.
  writable+=("$ml/model" "$ml/output/data" "$ml/checkpoints")
fi

log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) sagemaker-marimo: $*"; }
# At most 1,024 characters (SageMaker API).
# The statuses are those of sysexits.h, to differ from the notebook's own: EX_SOFTWARE, and EX_DATAERR for altered files.
fail() { # MESSAGE [STATUS]
  log "$1"
  printf '%.1024s' "$1" 2>/dev/null >"$message"
  tell "$1" "${2:-70}"
  exit "${2:-70}"
}
# Nothing of a payload that is not unpacked yet, or was altered, can tell anybody.
tell() { # MESSAGE STATUS
  local script="$payload/python/sagemaker_marimo/job_notify.py"
  if [[ -n "${MARIMO_NOTIFY_TOPIC:-}" && -f "$script" ]]; then
    "$python" -I "$script" "$ml" "$notebook" "$2" "$1"
  fi
}
# As process 1 of a container, bash ignores SIGTERM without a trap. job_run.py handles it while the notebook runs.
pid=""
trap 'if [[ -n "$pid" ]]; then kill "$pid" 2>/dev/null; fi; fail "stopped by SIGTERM before the notebook ran"' TERM
# bash runs a trap only after a foreground command has ended, but interrupts `wait` at once.
run_interruptibly() {
  "$@" </dev/null &
  pid=$!
  wait "$pid"
}

# The platform creates these folders as root. The image's user cannot write to them but may use sudo
# (aws/sagemaker-distribution, "known issues" in its README).
for folder in "${writable[@]}"; do
  if [[ -w "$folder" ]]; then continue; fi
  if ! sudo -n mkdir -p "$folder" || ! sudo -n chmod -R a+rwX "$folder"; then
    fail "$folder cannot be written to, even with sudo: the results would be lost"
  fi
done

# The request's entrypoint (names.json) has verified each listed file of the payload, and so this script. But Python could
# import a file that is not listed in place of another module.
unlisted="$(cd "$payload" && find . -type f ! -name SHA256SUMS | cut -c 3- | sort | comm -13 <(cut -c 67- SHA256SUMS | sort) -)"
if [[ -n "$unlisted" ]]; then
  fail "the payload has files that were not deployed: ${unlisted//$'\n'/, }. Deploy again, then send the job again" 65
fi
"$python" -I -c "" || fail "the image's Python, $python, does not run"
# A job does not share its volume.
MARIMO_STATE="$(mktemp -d)" || fail "no temporary folder can be created"
export MARIMO_STATE
# A copy, because inputs may be read-only.
runtime="$(mktemp -d)"
if ! cp -R "$payload/." "$runtime" || ! "$python" -I "$runtime/unpack.py"; then
  fail "the payload could not be unpacked: see the job's log"
fi
payload="$runtime"
# A run of a user's schedule (jobs/schedule.py). Before anything is installed, which takes minutes.
if [[ -n "${MARIMO_SCHEDULE_OVERLAP:-}" ]]; then
  overlap="$MARIMO_STATE/overlap.txt"
  run_interruptibly "$python" -I "$payload/python/sagemaker_marimo/jobs/overlap.py" "$MARIMO_SCHEDULE" \
    "$MARIMO_SCHEDULE_RUN" "$MARIMO_SCHEDULE_OVERLAP" >"$overlap"
  case $? in
    0) ;;
    75) fail "$(<"$overlap")" 0 ;;
    *) fail "$(<"$overlap")" ;;
  esac
fi
# A copy: marimo writes files beside a notebook, and inputs may be read-only.
source_folder="$(mktemp -d "$MARIMO_STATE/notebook-XXXXXX")" || fail "no temporary folder can be created"
[[ -n "${MARIMO_SOURCE_SHA256:-}" ]] || fail "the request does not say which files were sent: stop this space and run it \
again, or update marimo-job, and send the job again" 65
altered="$("$python" -I "$payload/job/copy_sources.py" "$ml/processing/input/source" "$source_folder" \
  "$MARIMO_SOURCE_SHA256")"
case $? in
  0) ;;
  65) fail "the files of the job are not those that were sent: $altered. Nothing of them ran. Send the job again" 65 ;;
  *) fail "the files of the job could not be copied: see the job's log" ;;
esac
[[ -f "$source_folder/${1:-}" ]] || fail "there is no notebook ${1:-}: the entrypoint's first argument must name one"
environment="$MARIMO_STATE/environment"
# shellcheck source=src/space/payload/environment.sh
source "$payload/environment.sh" || fail "the payload has no requirements.txt"

# If there is a wheelhouse, there may be no index. The wheelhouse may also have the notebook's own packages.
install_own() {
  local offline=(--no-index --find-links "$wheels") commits="$MARIMO_STATE/commits.txt" hashed="$MARIMO_STATE/hashed.txt"
  local is_commit='^[^ ]+ @ git\+[^ ]+@[0-9a-f]{40}(#.*)?$'
  if [[ -n "$uv" ]]; then offline+=(--offline); fi
  # uv and pip check the hash of each requirement or of none, and a package from git has a commit instead of one.
  grep -E "$is_commit" "$1" >"$commits"
  grep -vE "$is_commit" "$1" >"$hashed"
  # Packages of a space (jobs/lock.py): their dependencies are in the lock, in marimo's environment or in the image.
  local no_deps=()
  if [[ "$(head -n 1 "$1")" == "# no-deps" ]]; then no_deps=(--no-deps); fi
  if compgen -G "$wheels/*.whl" >/dev/null && [[ ! -s "$commits" ]]; then
    install_packages "$hashed" "${no_deps[@]}" "${offline[@]}" && return
    log "the packages from the bucket are not enough: trying the package index"
  fi
  authenticate
  if [[ -n "$index" ]]; then local -x UV_DEFAULT_INDEX="$index" PIP_INDEX_URL="$index"; fi
  install_packages "$hashed" "${no_deps[@]}" || return
  if [[ -s "$commits" ]]; then install_unhashed "$commits" "${no_deps[@]}"; fi
}

log "installing $(grep -o '^marimo==[^ ;]*' "$payload/requirements.txt") and its dependencies"
run_interruptibly build || fail "marimo could not be installed: see the job's log"
lock="$source_folder/requirements.lock"
if [[ -f "$lock" ]]; then
  log "installing the notebook's own $(grep -c '^[A-Za-z0-9]' "$lock") packages"
  # The scripts of this payload are made for its own marimo version.
  if grep -qi '^marimo[ =<>~!]' "$lock" && ! grep -qxF "$(grep -o '^marimo==[^ ;\\]*' "$payload/requirements.txt")" \
    <(grep -o '^marimo==[^ ;\\]*' "$lock"); then
    fail "the marimo in requirements.lock must be $(grep -o '^marimo==[^ ;]*' "$payload/requirements.txt")"
  fi
  run_interruptibly install_own "$lock" || fail "the notebook's own packages could not be installed: see the job's log"
fi
"$python" -s "$payload/python/sagemaker_marimo/packages.py" shadowed "$environment"
link_image_packages
unset MARIMO_PACKAGE_INDEX_URL # may contain CodeArtifact's token, which the notebook must not get

# exec: the platform's stop signal then goes to job_run.py, which waits for the notebook.
exec "$python" -B "$payload/python/sagemaker_marimo/job_run.py" --ml "$ml" --work "$source_folder" --environment "$environment" \
  --packages-seconds "$((SECONDS - began))" -- "$@"
