#!/bin/bash
# The background part: sample notebooks, commands, and marimo in an environment of its own. Run it again by
# hand after a failure: it takes up where it stopped.
set -uo pipefail

payload="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
: "${MARIMO_STATE:=$HOME/.local/share/sagemaker-marimo}"
prefix="${CONDA_PREFIX:-/opt/conda}"
python="$prefix/bin/python"
environments="$MARIMO_STATE/environments"
install_log="$MARIMO_STATE/log/install.log"
notebooks="$HOME/marimo-notebooks"

mkdir -p "$environments" "$MARIMO_STATE/log" "$notebooks" || exit 1
# This and the last installation; of the starts, as many as fit into a megabyte, twice.
if [[ -f "$install_log" ]]; then mv -f "$install_log" "$install_log.1"; fi
space_log="$MARIMO_STATE/log/space.log"
if [[ -f "$space_log" && "$(wc -c <"$space_log")" -gt 1000000 ]]; then mv -f "$space_log" "$space_log.1"; fi
# What this script prints is for the person at the terminal, the waiting page (install.log) and CloudWatch (the app's
# log). Line by line: a volume that is full for a while loses those lines alone, where tee would give the file up.
record() {
  local line
  while IFS= read -r line; do
    printf '%s\n' "$line"
    printf '%s\n' "$line" >>"$install_log"
    printf '%s\n' "$line" >>"${app_log:-/dev/null}"
  done 2>/dev/null
}
exec > >(record) 2>&1

log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) sagemaker-marimo: $*"; }
status() {
  printf '%s\n' "$1" 2>/dev/null >"$MARIMO_STATE/.status" && mv -f "$MARIMO_STATE/.status" "$MARIMO_STATE/status"
}
# An empty status says that it failed as well: a full volume takes no more than that.
fail() {
  log "$1"
  status "failed" || : >"$MARIMO_STATE/status"
  exit 1
}

# Two apps may share a home (a space and its Code Editor): the second waits for the first. The kernel gives the
# lock up when this script and what it runs have ended, however they end.
if ! exec 9>"$MARIMO_STATE/install.lock"; then
  log "skipped: $MARIMO_STATE cannot be written to, so nothing is installed or updated"
  exit 1
fi
status "installing"
if command -v flock >/dev/null; then
  flock -w 600 9 || fail "another installation has been running for 10 minutes"
fi

"$python" "$payload/python/sagemaker_marimo/samples.py" "$payload/sample-notebooks" "$notebooks" \
  "$MARIMO_STATE/samples.json" || log "the sample notebooks could not all be put in place"

# A link is ours to make or to renew; a file of the same name is the person's or the image's.
link() {
  if [[ -L "$2" || ! -e "$2" ]]; then ln -sfn "$1" "$2"; else log "$2 is there already: left as it is"; fi
}
link "$MARIMO_STATE/payload/current/bin/start-marimo.sh" "$HOME/start-marimo.sh"
link "$MARIMO_STATE/payload/current/bin/marimo.sh" "$prefix/bin/marimo"
link "$MARIMO_STATE/payload/current/bin/marimo-doctor.sh" "$prefix/bin/marimo-doctor"
link "$MARIMO_STATE/payload/current/bin/marimo-job.sh" "$prefix/bin/marimo-job"

# One environment for each pair of Python and requirements: either may change with a restart, and the last
# good one stays.
version='import sys; print("%d.%d" % sys.version_info[:2])'
python_version="$("$python" -c "$version")" || fail "$python does not run"
# shellcheck source=src/space/payload/environment.sh
source "$payload/environment.sh" || fail "no requirements.txt"
key="$python_version-$requirements_hash"
environment="$environments/$key"

# The last good one may be in use until the app stops, so it goes only with the start after. What an interrupted
# build left goes too, and payloads that neither this app nor the next start uses.
target_of() { basename "$(readlink "$1" 2>/dev/null)" 2>/dev/null || true; }
last_good="$(target_of "$environments/current")"
find "$environments" -mindepth 1 -maxdepth 1 -type d ! -name "$key" ! -name "${last_good:-none}" \
  -exec rm -rf {} +
current_payload="$(target_of "$MARIMO_STATE/payload/current")"
next_payload="$(target_of "$MARIMO_STATE/payload/next")"
find "$MARIMO_STATE/payload" -mindepth 1 -maxdepth 1 -type d ! -name "$(basename "$payload")" \
  ! -name "${current_payload:-none}" ! -name "${next_payload:-none}" -mmin +60 -exec rm -rf {} +

# A complete environment is never touched by a build, unless it stopped working: then it is no good one.
works() {
  [[ -f "$environment/.complete" ]] &&
    "$environment/bin/python" -c 'import importlib.metadata as m; m.version("marimo")' >/dev/null 2>&1
}

if works; then
  log "marimo's environment $key is in place"
else
  log "installing $(grep -o '^marimo==[^ ;]*' "$payload/requirements.txt") and what it needs, from a lock file of" \
    "$(grep -c '^[A-Za-z0-9].*==' "$payload/requirements.txt") packages"
  # Not in the home folder: where that is full, it is this file that knows why.
  build_log="$(mktemp)"
  build </dev/null 2>&1 | tee "$build_log"
  built="${PIPESTATUS[0]}"
  reason="$(grep . "$build_log" | tail -n 1)"
  rm -rf "$wheels" "$build_log"
  if ((built != 0)); then
    rm -rf "$environment"
    fail "marimo could not be installed: $reason"
  fi
  if [[ -n "$last_good" ]]; then authenticate; fi
  "$python" "$payload/python/sagemaker_marimo/packages.py" carry-over "$environments/$last_good" "$environment"
fi

link_image_packages
: >"$environment/.complete"

ln -sfn "$key" "$environments/.current"
mv -fT "$environments/.current" "$environments/current" 2>/dev/null ||
  mv -fh "$environments/.current" "$environments/current"
status "installed"
log "marimo is installed"

# Bytecode halves the time of the next start; neither this one nor another app's installation waits for it.
exec 9>&-
if [[ -f "$HOME/requirements.txt" ]]; then authenticate; fi
"$python" "$payload/python/sagemaker_marimo/packages.py" requirements "$environment"
nice "$environment/bin/python" -m compileall -q "$environment/lib" >/dev/null 2>&1
exit 0
