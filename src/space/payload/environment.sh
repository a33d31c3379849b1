#!/bin/bash
# How marimo's environment is made: sourced by install.sh, in a space, and by job/run.sh, in a job. Expects `payload`,
# `python` (the image's), MARIMO_STATE, and the functions `log` and `fail`; its own functions also want `environment`,
# the folder to make.

# shellcheck disable=SC2154  # those are the caller's
: "${payload:?}" "${python:?}" "${environment-}"
prefix="${CONDA_PREFIX:-/opt/conda}"
wheels="$MARIMO_STATE/wheels"
sha256='import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()[:16])'
requirements_hash="$("$python" -c "$sha256" "$payload/requirements.txt")" || return 1

# A setting from the files that start.sh and the synthesis wrote: also when this runs by hand.
setting() { sed -n "s/^$1=//p" "$payload/settings.env" "$MARIMO_STATE/space.env" 2>/dev/null | tail -n 1; }
bucket="${MARIMO_BUCKET:-$(setting MARIMO_BUCKET)}"
region="${MARIMO_REGION:-$(setting MARIMO_REGION)}"
index="$(setting MARIMO_PACKAGE_INDEX_URL)"

uv="$(command -v uv || command -v "$prefix/bin/uv")"
install_packages() { # REQUIREMENTS [OPTION…]
  if [[ -n "$uv" ]]; then
    "$uv" pip install --python "$environment/bin/python" --require-hashes --requirements "$@"
  else
    "$environment/bin/python" -m pip install --disable-pip-version-check --no-input --require-hashes \
      --requirement "$@"
  fi
}

# What `npm run wheelhouse` put into the bucket for this very lock file, for spaces without a way to an index.
# Neither uv nor pip reads s3:// addresses.
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

# A CodeArtifact repository wants a token, which the space's role may ask for. uv and pip get it in the index's address
# by environment: it is on no command line, and neither writes it into a log. With other indexes that want credentials,
# both read ~/.netrc.
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
    log "no token for the packages of CodeArtifact's domain $domain: may this space's role get one, and is there a" \
      "route to CodeArtifact?"
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
    log "installing the packages in the bucket"
    local offline=(--no-index --find-links "$wheels")
    if [[ -n "$uv" ]]; then offline+=(--offline); fi
    if install_packages "$payload/requirements.txt" "${offline[@]}"; then return 0; fi
    log "the packages in the bucket could not be installed: trying the package index"
  fi
  authenticate
  if [[ -n "$index" ]]; then local -x UV_DEFAULT_INDEX="$index" PIP_INDEX_URL="$index"; fi
  install_packages "$payload/requirements.txt"
}

# Kernels see the image's packages too. addsitedir appends, so that the environment's own packages come first,
# and reads the .pth files there, which a plain path would not. Written each time: the image may have moved.
link_image_packages() {
  local purelib image_packages site_packages link_file link_line
  purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
  image_packages="$("$python" -c "$purelib")" || fail "the image's Python does not run"
  site_packages="$("$environment/bin/python" -c "$purelib")" || fail "the environment's Python does not run"
  link_file="$site_packages/sagemaker_image.pth"
  link_line="import site; site.addsitedir('$image_packages')"
  # Never half of it, on a full volume.
  if [[ "$(cat "$link_file" 2>/dev/null)" != "$link_line" ]]; then
    if ! printf '%s\n' "$link_line" >"$link_file.new" || ! mv -f "$link_file.new" "$link_file"; then
      fail "$link_file cannot be written: is the volume full?"
    fi
  fi
}
