#!/bin/bash
# Adds marimo to Jupyter's configuration, which must happen before JupyterLab starts. on-start.sh waits for this script,
# so it is quick; install.sh does the rest in the background. In Code Editor, install.sh does everything.
set -euo pipefail

payload="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=src/space/payload/image.sh
source "$payload/image.sh"
: "${MARIMO_STATE:=$(home_folder)/.local/share/sagemaker-marimo}"
python="$(image_python)"
config="${python%/bin/*}/etc/jupyter/jupyter_server_config.py"

# The home volume may be full or read-only. What is already in place works without these steps.
skipped() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) sagemaker-marimo: skipped: $*"; }
mkdir -p "$MARIMO_STATE/log" || skipped "$MARIMO_STATE/log cannot be created"
# on-start.sh has verified files.tar.
if ! "$python" -I "$payload/unpack.py"; then
  for other in "$MARIMO_STATE"/payload/*/; do
    if [[ ! "$other" -ef "$payload" && -f "$other/files.tar" ]] && "$python" -I "$other/unpack.py"; then
      skipped "payload $(basename "$payload") cannot be unpacked: is the home volume full? Using $(basename "$other")"
      ln -sfn "$(basename "$other")" "$MARIMO_STATE/payload/current" || true
      exec bash "$other/start.sh"
    fi
  done
  exit 1
fi
# Neither S3 nor files.tar keeps file modes.
chmod +x "$payload"/bin/* || skipped "the commands in $payload/bin cannot be made executable"

# Names, regions and paths need no quoting. Any other value is invalid and is left out.
setting() {
  if [[ "$2" =~ ^[A-Za-z0-9._:/-]*$ ]]; then printf '%s=%s\n' "$1" "$2"; fi
}
# The user's name is in the role of a private space. Any other space has everybody's part of the bucket.
role="role/marimo-${MARIMO_ENVIRONMENT:-}-user-"
metadata="${SAGEMAKER_RESOURCE_METADATA:-/opt/ml/metadata/resource-metadata.json}"
user="$(sed -n "s|.*\"ExecutionRoleArn\" *: *\"[^\"]*:$role\([^\"]*\)\".*|\1|p" "$metadata" 2>/dev/null)" || true
# The users with an Athena workgroup, or *.
athena=" $(sed -n 's/^MARIMO_ATHENA_USERS=//p' "$payload/settings.env" 2>/dev/null) " || true
if ! {
  setting MARIMO_BUCKET "${MARIMO_BUCKET:-}"
  setting MARIMO_PREFIX "s3://${MARIMO_BUCKET:-}/${user:+people/}${user:-shared}"
  setting MARIMO_ENVIRONMENT "${MARIMO_ENVIRONMENT:-}"
  setting MARIMO_REGION "${MARIMO_REGION:-}"
  # Of the SDKs, in marimo's notebooks.
  if [[ -n "${MARIMO_REGION:-}" ]]; then setting AWS_DEFAULT_REGION "$MARIMO_REGION"; fi
  # IAM allows the user's SageMaker resources by it: `base_job_name=f"{os.environ['MARIMO_NAME_PREFIX']}-train"`.
  if [[ -n "$user" ]]; then setting MARIMO_NAME_PREFIX "marimo-${MARIMO_ENVIRONMENT:-}-$user"; fi
  if [[ "$athena" == " * " || (-n "$user" && "$athena" == *" $user "*) ]]; then
    workgroup="marimo-${MARIMO_ENVIRONMENT:-}-${user:+user-}${user:-shared}"
    setting MARIMO_ATHENA_WORKGROUP "$workgroup"
    setting AWS_ATHENA_WORK_GROUP "$workgroup" # PyAthena's own
  fi
  setting MARIMO_APP_TYPE "${MARIMO_APP_TYPE:-JupyterLab}"
  setting MARIMO_PYTHON "$python"
} 2>/dev/null >"$MARIMO_STATE/.space.env" || ! mv -f "$MARIMO_STATE/.space.env" "$MARIMO_STATE/space.env"; then
  skipped "$MARIMO_STATE/space.env cannot be written: is the home volume full?"
fi

# The background part outlives this script, so it must not keep this script's files open.
app_log="${SAGEMAKER_APP_LOG:-/var/log/apps/app_container.log}"
if ! : 2>/dev/null >>"$app_log"; then app_log=/dev/null; fi
export app_log
detach=()
if command -v setsid >/dev/null; then detach=(setsid); fi
nohup "${detach[@]+"${detach[@]}"}" bash "$payload/install.sh" >/dev/null 2>&1 </dev/null &

if [[ "${MARIMO_APP_TYPE:-}" == CodeEditor ]]; then exit; fi # runs no JupyterLab

# Jupyter's configuration is written to the image's prefix, which Studio resets at each start of the app, and not to
# ~/.jupyter, which belongs to the user. The image may have such a file already: only the lines between the markers are
# replaced.
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
    from sagemaker_marimo import unsuitable_image as _image

    _problem = _image.problem()
    if _problem:
        _image.explain(get_config(), _problem)
    else:
        from sagemaker_marimo.jupyter_config import configure as _configure

        _configure(get_config())
except Exception:  # JupyterLab must start, even without marimo
    import traceback as _traceback

    print("sagemaker-marimo: skipped: JupyterLab starts without marimo, for this reason:", file=_sys.stderr)
    _traceback.print_exc()
$end
PYTHON
chmod 644 "$new"
mv -f "$new" "$config"
