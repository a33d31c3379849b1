#!/bin/bash
# Runs in the background: installs the sample notebooks, the commands, and marimo in a virtual environment of its own.
# It can be run again by hand after a failure, and continues where it stopped.
set -uo pipefail

# shellcheck source=src/space/payload/space.sh
source "$(dirname "${BASH_SOURCE[0]}")/space.sh"
# The samples, the repositories and the packages' caches belong on the volume too.
HOME="$(home_folder)"
MARIMO_STATE="$state"
export HOME MARIMO_STATE
environments="$MARIMO_STATE/environments"
install_log="$MARIMO_STATE/log/install.log"
notebooks="$HOME/marimo-notebooks"

mkdir -p "$environments" "$MARIMO_STATE/log" "$notebooks" || exit 1
# Keep this installation's log and the previous one; rotate the log of the starts at one megabyte.
if [[ -f "$install_log" ]]; then mv -f "$install_log" "$install_log.1"; fi
space_log="$MARIMO_STATE/log/space.log"
if [[ -f "$space_log" && "$(wc -c <"$space_log")" -gt 1000000 ]]; then mv -f "$space_log" "$space_log.1"; fi
# The output of this script goes to the terminal, the waiting page (install.log) and CloudWatch (the app's log). It is
# written line by line: a full volume then loses only those lines, whereas tee would stop writing the file.
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
# An empty status file also means "failed": a full volume can store no more than that.
fail() {
  log "$1"
  status "failed" || : >"$MARIMO_STATE/status"
  exit 1
}

# Two apps can share a home folder (a space and its Code Editor), so the second waits for the first. The kernel
# releases the lock when this script and its child processes have ended, even if they are killed.
if ! exec 9>"$MARIMO_STATE/install.lock"; then
  log "skipped: $MARIMO_STATE cannot be written to, so nothing is installed or updated"
  exit 1
fi
status "installing"
# marimo was never installed in this home folder: it gets the environment's repositories.
if [[ -e "$environments/current" ]]; then home=used; else home=new; fi
if command -v flock >/dev/null; then
  flock -w 600 9 || fail "another installation has been running for 10 minutes"
fi

"$python" "$payload/python/sagemaker_marimo/samples.py" "$payload/sample-notebooks" "$notebooks" \
  "$MARIMO_STATE/samples.json" || log "not all sample notebooks could be installed"

# In the background: a bucket that does not answer would delay marimo.
"$python" -s "$payload/python/sagemaker_marimo/sdk_defaults.py" 9>&- &
# Until the app stops. It has a log of its own, so it must not keep this script's open.
"$python" -s "$payload/python/sagemaker_marimo/backup/loop.py" >/dev/null 2>&1 9>&- &

# Only links are created or replaced here. A regular file of that name belongs to the user or the image.
link() {
  if [[ -L "$2" || ! -e "$2" ]]; then ln -sfn "$1" "$2"; else log "$2 already exists and is left unchanged"; fi
}
link "$MARIMO_STATE/payload/current/bin/start-marimo.sh" "$HOME/start-marimo.sh"
link "$MARIMO_STATE/payload/current/bin/marimo.sh" "${python%/*}/marimo"
link "$MARIMO_STATE/payload/current/bin/marimo-doctor.sh" "${python%/*}/marimo-doctor"
link "$MARIMO_STATE/payload/current/bin/marimo-job.sh" "${python%/*}/marimo-job"
link "$MARIMO_STATE/payload/current/bin/marimo-backup.sh" "${python%/*}/marimo-backup"
link "$MARIMO_STATE/payload/current/bin/marimo-python.sh" "${python%/*}/marimo-python"

# One virtual environment for each pair of Python version and requirements. Either may change with a restart; the last
# good environment is kept.
version='import sys; print("%d.%d" % sys.version_info[:2])'
python_version="$("$python" -c "$version")" || fail "$python does not run"
old='import sys; sys.exit(sys.version_info < (3, 11))' # as in image.py
"$python" -c "$old" || fail "this image has Python $python_version, and marimo needs 3.11 or later"
# shellcheck source=src/space/payload/environment.sh
source "$payload/environment.sh" || fail "the payload has no requirements.txt"
key="$python_version-$requirements_hash"
environment="$environments/$key"

# A running app may use the last good environment, so it is deleted only at the next start. Remains of an
# interrupted build are deleted too, and payloads that neither this app nor the next start uses.
target_of() { basename "$(readlink "$1" 2>/dev/null)" 2>/dev/null || true; }
last_good="$(target_of "$environments/current")"
find "$environments" -mindepth 1 -maxdepth 1 -type d ! -name "$key" ! -name "${last_good:-none}" \
  -exec rm -rf {} +
current_payload="$(target_of "$MARIMO_STATE/payload/current")"
next_payload="$(target_of "$MARIMO_STATE/payload/next")"
find "$MARIMO_STATE/payload" -mindepth 1 -maxdepth 1 -type d ! -name "$(basename "$payload")" \
  ! -name "${current_payload:-none}" ! -name "${next_payload:-none}" -mmin +60 -exec rm -rf {} +

# A complete environment is rebuilt only if a package that marimo needs is missing or has another version.
# -s: without ~/.local, which marimo's virtual environment does not see.
packages() { "$python" -s "$payload/python/sagemaker_marimo/packages.py" "$@"; }
works() {
  [[ -f "$environment/.complete" ]] && "$environment/bin/python" -c "" >/dev/null 2>&1 && packages check "$environment"
}

if works; then
  log "marimo's environment $key is up to date"
else
  log "installing $(grep -o '^marimo==[^ ;]*' "$payload/requirements.txt") and its dependencies:" \
    "$(grep -c '^[A-Za-z0-9].*==' "$payload/requirements.txt") packages in the lock file"
  if [[ -f "$environment/.complete" ]]; then
    log "packages that marimo needs were removed or changed: the environment is rebuilt, with your added packages"
    packages remember "$environment"
  fi
  # Outside the home folder: this file has the reason when the home folder is full.
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
  packages carry-over "$environments/$last_good" "$environment"
  packages shadowed "$environment"
fi

link_image_packages
: >"$environment/.complete"

ln -sfn "$key" "$environments/.current"
mv -fT "$environments/.current" "$environments/current" 2>/dev/null ||
  mv -fh "$environments/.current" "$environments/current"
log "marimo is installed"

# Another app's installation does not wait for the rest. marimo's page waits for ~/requirements.txt if it has changed
# (packages.py), and for nothing else.
exec 9>&-
if [[ -f "$HOME/requirements.txt" ]]; then authenticate; fi
packages requirements "$environment"
status "installed"
# Clones while the bytecode is compiled. packages.py's -s: no package of ~/.local is imported.
"$python" -s "$payload/python/sagemaker_marimo/repositories.py" "$home" &
clones=$!
# Compiling the bytecode halves the time of the next start. marimo's own comes first: a person may open it meanwhile.
for part in "$environment"/lib/python*/site-packages/marimo "$environment/lib"; do
  nice "$environment/bin/python" -m compileall -q "$part" >/dev/null 2>&1
done
# Only for the clones: a plain wait may also wait for record, which ends after this script.
wait "$clones"
exit 0
