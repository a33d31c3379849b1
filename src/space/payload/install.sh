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
if [[ -f "$install_log" ]]; then mv -f "$install_log" "$install_log.1"; fi
# What this script prints is for the person at the terminal, the waiting page (install.log) and CloudWatch
# (the app's log).
exec > >(tee -a "$install_log" "${app_log:-/dev/null}") 2>&1

log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) sagemaker-marimo: $*"; }
status() {
  printf '%s\n' "$1" >"$MARIMO_STATE/.status" && mv -f "$MARIMO_STATE/.status" "$MARIMO_STATE/status"
}
fail() {
  log "$1"
  status "failed"
  exit 1
}

status "installing"
# Two apps may share a home (a space and its Code Editor): the second waits for the first.
exec 9>"$MARIMO_STATE/install.lock"
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

# One environment for each pair of Python and requirements: either may change with a restart, and the last
# good one stays.
version='import sys; print("%d.%d" % sys.version_info[:2])'
python_version="$("$python" -c "$version")" || fail "$python does not run"
sha256='import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()[:16])'
requirements_hash="$("$python" -c "$sha256" "$payload/requirements.txt")" || fail "no requirements.txt"
key="$python_version-$requirements_hash"
environment="$environments/$key"

# The last good one may be in use until the app stops, so it goes only with the start after.
last_good="$(basename "$(readlink "$environments/current" 2>/dev/null)" 2>/dev/null)"
find "$environments" -mindepth 1 -maxdepth 1 -type d ! -name "$key" ! -name "${last_good:-none}" \
  -exec rm -rf {} +
find "$MARIMO_STATE/payload" -mindepth 1 -maxdepth 1 -type d ! -name "$(basename "$payload")" -mmin +60 \
  -exec rm -rf {} +

build() {
  rm -rf "$environment"
  local uv=uv
  if ! command -v uv >/dev/null; then uv="$prefix/bin/uv"; fi
  if [[ -x "$(command -v "$uv")" ]]; then
    "$uv" venv --no-config --python "$python" "$environment" &&
      "$uv" pip install --python "$environment/bin/python" --requirements "$payload/requirements.txt"
  else
    "$python" -m venv "$environment" &&
      "$environment/bin/python" -m pip install --disable-pip-version-check \
        --requirement "$payload/requirements.txt"
  fi
}

if [[ -f "$environment/.complete" ]]; then
  log "marimo's environment $key is in place"
else
  log "installing $(tr '\n' ' ' <"$payload/requirements.txt")"
  build </dev/null || fail "marimo could not be installed; the lines above say why"
fi

# Kernels see the image's packages too. addsitedir appends, so that the environment's own packages come first,
# and reads the .pth files there, which a plain path would not. Written each time: the image may have moved.
purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
image_packages="$("$python" -c "$purelib")" || fail "the image's Python does not run"
site_packages="$("$environment/bin/python" -c "$purelib")" || fail "the environment's Python does not run"
printf "import site; site.addsitedir('%s')\n" "$image_packages" >"$site_packages/sagemaker_image.pth"

: >"$environment/.complete"

ln -sfn "$key" "$environments/.current"
mv -fT "$environments/.current" "$environments/current" 2>/dev/null ||
  mv -fh "$environments/.current" "$environments/current"
status "installed"
log "marimo is installed"

# Bytecode halves the time of the next start; this one need not wait for it.
nice "$environment/bin/python" -m compileall -q "$environment/lib" >/dev/null 2>&1
exit 0
