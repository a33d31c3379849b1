#!/bin/bash
# What has to be there before JupyterLab starts: marimo's entry in Jupyter's configuration. on-start.sh runs
# it and waits, so it is quick; the rest goes on in the background, in install.sh.
set -euo pipefail

payload="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
: "${MARIMO_STATE:=$HOME/.local/share/sagemaker-marimo}"
prefix="${CONDA_PREFIX:-/opt/conda}"
config="$prefix/etc/jupyter/jupyter_server_config.py"

# The home volume may be full, or not writable: what is in place already works without any of this.
skipped() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) sagemaker-marimo: skipped: $*"; }
mkdir -p "$MARIMO_STATE/log" || skipped "$MARIMO_STATE/log cannot be made"
# S3 keeps no file modes.
chmod +x "$payload"/bin/* || skipped "the commands in $payload/bin cannot be made executable"

# Names and regions need no quoting; anything else is not one.
setting() {
  if [[ "$2" =~ ^[A-Za-z0-9._/-]*$ ]]; then printf '%s=%s\n' "$1" "$2"; fi
}
if ! {
  setting MARIMO_BUCKET "${MARIMO_BUCKET:-}"
  setting MARIMO_ENVIRONMENT "${MARIMO_ENVIRONMENT:-}"
  setting MARIMO_REGION "${MARIMO_REGION:-}"
} 2>/dev/null >"$MARIMO_STATE/.space.env" || ! mv -f "$MARIMO_STATE/.space.env" "$MARIMO_STATE/space.env"; then
  skipped "$MARIMO_STATE/space.env cannot be written: is the home volume full?"
fi

# The background part outlives this script and holds none of its files open.
app_log="${SAGEMAKER_APP_LOG:-/var/log/apps/app_container.log}"
if ! : 2>/dev/null >>"$app_log"; then app_log=/dev/null; fi
export app_log
detach=()
if command -v setsid >/dev/null; then detach=(setsid); fi
nohup "${detach[@]+"${detach[@]}"}" bash "$payload/install.sh" >/dev/null 2>&1 </dev/null &

# Jupyter's configuration goes into the image's prefix, which Studio resets at each start of the app, and not
# into ~/.jupyter, which is the person's. Only these lines are ours in a file that an image may have brought
# along.
begin='# >>> sagemaker-marimo >>>'
end='# <<< sagemaker-marimo <<<'
mkdir -p "$(dirname "$config")"
new="$(mktemp "$config.XXXXXX")"
if [[ -f "$config" ]]; then sed "/^$begin\$/,/^$end\$/d" "$config" >"$new"; fi
cat >>"$new" <<PYTHON
$begin
try:
    import sys as _sys

    _sys.path.append("$payload/python")
    from sagemaker_marimo.jupyter_config import configure as _configure

    _configure(get_config())
except Exception:  # JupyterLab starts without marimo rather than not at all
    import traceback as _traceback

    print("sagemaker-marimo: skipped: JupyterLab starts without marimo, for this reason:", file=_sys.stderr)
    _traceback.print_exc()
$end
PYTHON
chmod 644 "$new"
mv -f "$new" "$config"
