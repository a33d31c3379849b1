#!/bin/bash
# The lifecycle configuration of every JupyterLab app: brings the payload from the bucket and runs its
# start.sh.
#
# Studio starts the app only when this script ends with 0 within 5 minutes (SageMaker Developer Guide,
# "Lifecycle configurations"), so whatever goes wrong with marimo is logged and passed over: people keep their
# JupyterLab. Terraform puts MARIMO_BUCKET, MARIMO_ENVIRONMENT and MARIMO_REGION before these lines.
# Everything that may change often is in the payload, because a changed lifecycle configuration needs an
# UpdateDomain, which VpcOnly domains refuse.
set -u

export MARIMO_BUCKET="${MARIMO_BUCKET:-}" MARIMO_ENVIRONMENT="${MARIMO_ENVIRONMENT:-}"
export MARIMO_REGION="${MARIMO_REGION:-}"
export MARIMO_STATE="${HOME:-/home/sagemaker-user}/.local/share/sagemaker-marimo"
payloads="$MARIMO_STATE/payload"

log() {
  local line
  line="$(date -u +%Y-%m-%dT%H:%M:%SZ) sagemaker-marimo: $*"
  echo "$line"
  echo "$line" 2>/dev/null >>"$MARIMO_STATE/log/space.log"
}

# timeout and sha256sum are GNU's: local Studio also runs on macOS.
bounded() {
  if command -v timeout >/dev/null; then timeout "$@"; else "${@:2}"; fi
}
sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# The bucket may be out of reach (no route, no permission): few attempts, short waits. The five minutes are
# everybody's.
s3_copy() {
  AWS_MAX_ATTEMPTS=2 bounded 40 aws s3 cp --only-show-errors --cli-connect-timeout 5 --cli-read-timeout 10 \
    ${MARIMO_REGION:+--region "$MARIMO_REGION"} "$@" </dev/null
}

# Leaves the payload that the bucket points to in $payloads/<hash>, with `current` on it; fails when that
# cannot be had.
fetch_payload() {
  local pointer sums_hash hash folder unchecked
  if [[ -z "$MARIMO_BUCKET" ]]; then
    log "no bucket is configured"
    return 1
  fi
  pointer="$(s3_copy "s3://$MARIMO_BUCKET/marimo/payload/current" - 2>&1)" || {
    log "cannot read s3://$MARIMO_BUCKET/marimo/payload/current: ${pointer//$'\n'/ }"
    return 1
  }
  if [[ ! "$pointer" =~ ^([0-9a-f]{64})\ \ ([0-9a-f]{16})$ ]]; then
    log "s3://$MARIMO_BUCKET/marimo/payload/current is not '<sha256>  <hash>': ${pointer:0:100}"
    return 1
  fi
  sums_hash="${BASH_REMATCH[1]}" hash="${BASH_REMATCH[2]}" folder="$payloads/${BASH_REMATCH[2]}"

  if ! verify "$folder" "$sums_hash" 2>/dev/null; then
    unchecked="$(mktemp -d "$payloads/.incoming-XXXXXX")" || return 1
    if ! s3_copy --recursive "s3://$MARIMO_BUCKET/marimo/payload/$hash/" "$unchecked/"; then
      log "cannot fetch payload $hash"
      rm -rf "$unchecked"
      return 1
    fi
    if ! verify "$unchecked" "$sums_hash"; then
      log "payload $hash is incomplete or altered: not used"
      rm -rf "$unchecked"
      return 1
    fi
    rm -rf "$folder"
    mv "$unchecked" "$folder" || return 1
    log "payload $hash fetched"
  fi
  # rename(2) replaces the link in one step: there is no moment without a payload. -T is GNU's, -h BSD's.
  ln -sfn "$hash" "$payloads/.current" && { mv -fT "$payloads/.current" "$payloads/current" 2>/dev/null ||
    mv -fh "$payloads/.current" "$payloads/current"; }
}

# A payload is whole when its list of hashes is the one the pointer names and every file is as listed.
verify() {
  [[ -f "$1/SHA256SUMS" && "$(sha256 <"$1/SHA256SUMS")" == "$2 "* ]] &&
    (cd "$1" && sha256 --check --status SHA256SUMS)
}

main() {
  mkdir -p "$payloads" "$MARIMO_STATE/log" || {
    log "cannot write to $MARIMO_STATE: marimo is not set up"
    return
  }
  if ! fetch_payload; then
    if [[ ! -f "$payloads/current/start.sh" ]]; then
      log "no payload in this space yet: marimo is not set up; the next start of the app tries again"
      return
    fi
    log "using the last good payload, $(readlink "$payloads/current")"
  fi
  bounded 60 bash "$payloads/current/start.sh" </dev/null ||
    log "start.sh ended with status $?: marimo is not set up"
}

main
exit 0
