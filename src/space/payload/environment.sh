#!/bin/bash
# Builds marimo's virtual environment. install.sh sources this file in a space, and job/run.sh in a job. The caller sets
# `payload`, `python` (the image's) and MARIMO_STATE, and defines the functions `log` and `fail`. The functions here
# also read `environment`, the folder to build.

# shellcheck disable=SC2154  # the caller sets them
: "${payload:?}" "${python:?}" "${environment-}"
wheels="$MARIMO_STATE/wheels"
sha256='import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()[:16])'
requirements_hash="$("$python" -c "$sha256" "$payload/requirements.txt")" || return 1

# Reads a setting from the files that the synthesis and start.sh wrote, so that this also works when run by hand.
setting() { sed -n "s/^$1=//p" "$payload/settings.env" "$MARIMO_STATE/space.env" 2>/dev/null | tail -n 1; }
bucket="${MARIMO_BUCKET:-$(setting MARIMO_BUCKET)}"
region="${MARIMO_REGION:-$(setting MARIMO_REGION)}"
index="$(setting MARIMO_PACKAGE_INDEX_URL)"

uv="$(command -v uv || command -v "${python%/*}/uv")"
install_packages() { install_unhashed "$1" --require-hashes "${@:2}"; } # REQUIREMENTS [OPTION…]
install_unhashed() {
  local tool=("$environment/bin/python" -m pip install --disable-pip-version-check --no-input --requirement)
  if [[ -n "$uv" ]]; then tool=("$uv" pip install --python "$environment/bin/python" --requirements); fi
  "${tool[@]}" "$@"
}

# Downloads the wheels that `npm run wheelhouse` uploaded for this lock file, for spaces without a route to an index.
# uv and pip cannot read s3:// URLs.
fetch_wheels() {
  if [[ -z "$bucket" ]] || ! command -v aws >/dev/null; then return 1; fi
  local from="s3://$bucket/marimo/wheels/$requirements_hash/" limit=()
  if command -v timeout >/dev/null; then limit=(timeout 300); fi
  rm -rf "$wheels"
  mkdir -p "$wheels" || return 1
  if ! AWS_MAX_ATTEMPTS=2 "${limit[@]+"${limit[@]}"}" aws s3 sync --only-show-errors \
    --cli-connect-timeout 5 --cli-read-timeout 30 ${region:+--region "$region"} "$from" "$wheels/"; then
    log "cannot read $from"
    return 1
  fi
  compgen -G "$wheels/*.whl" >/dev/null
}

# A CodeArtifact repository needs a token, which the space's role may request. uv and pip read it from environment
# variables, as part of the index URL, so that it appears in no command line; neither writes it to a log. For other
# indexes with credentials, both read ~/.netrc.
authenticate() {
  local domain token
  domain="$(setting MARIMO_CODEARTIFACT_DOMAIN)"
  if [[ -z "$domain" || "$index" == *@* ]]; then return; fi
  if token="$(AWS_MAX_ATTEMPTS=2 aws codeartifact get-authorization-token --domain "$domain" \
    --domain-owner "$(setting MARIMO_CODEARTIFACT_OWNER)" --region "$(setting MARIMO_CODEARTIFACT_REGION)" \
    --cli-connect-timeout 5 --cli-read-timeout 30 --duration-seconds 3600 \
    --query authorizationToken --output text </dev/null)" && [[ -n "$token" ]]; then
    index="${index/:\/\//://aws:$token@}"
    export MARIMO_PACKAGE_INDEX_URL="$index"
  else
    log "no token for the packages of CodeArtifact's domain $domain: check that this space's role may get one and" \
      "that there is a route to CodeArtifact"
  fi
}

build() {
  rm -rf "$environment"
  if [[ -n "$uv" ]]; then
    "$uv" venv --no-config --python "$python" "$environment" || return 1
  else
    "$python" -m venv "$environment" || return 1
  fi
  if fetch_wheels; then
    log "installing the packages from the bucket"
    local offline=(--no-index --find-links "$wheels")
    if [[ -n "$uv" ]]; then offline+=(--offline); fi
    if install_packages "$payload/requirements.txt" "${offline[@]}"; then return 0; fi
    log "the packages from the bucket could not be installed: trying the package index"
  fi
  authenticate
  if [[ -n "$index" ]]; then local -x UV_DEFAULT_INDEX="$index" PIP_INDEX_URL="$index"; fi
  install_packages "$payload/requirements.txt"
}

# Makes sagemaker_marimo and the image's packages visible to kernels. addsitedir appends, so the virtual environment's own
# packages come first; it also processes .pth files, which a plain path would not. Checked each time: both paths may change.
link_image_packages() {
  local purelib image_packages site_packages link_file link_line
  purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
  image_packages="$("$python" -c "$purelib")" || fail "the image's Python does not run"
  site_packages="$("$environment/bin/python" -c "$purelib")" || fail "the Python of marimo's environment does not run"
  link_file="$site_packages/sagemaker_image.pth"
  link_line="$payload/python"$'\n'"import site; site.addsitedir('$image_packages')"
  # Written to a temporary file first: a full volume must not leave half a file.
  if [[ "$(cat "$link_file" 2>/dev/null)" != "$link_line" ]]; then
    if ! printf '%s\n' "$link_line" >"$link_file.new" || ! mv -f "$link_file.new" "$link_file"; then
      fail "$link_file cannot be written: is the volume full?"
    fi
  fi
}
