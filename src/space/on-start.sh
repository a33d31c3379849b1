#!/bin/bash
# The lifecycle configuration of every JupyterLab and Code Editor app. It downloads the payload from the bucket and runs
# its start.sh.
#
# Studio starts the app only if this script exits with 0 within 5 minutes (SageMaker Developer Guide, "Lifecycle
# configurations"). A problem with marimo is therefore logged and ignored: JupyterLab must always start.
# Terraform puts MARIMO_BUCKET, MARIMO_ENVIRONMENT, MARIMO_REGION, MARIMO_APP_TYPE and payload/image.sh before it.
# Code that changes often belongs in the payload: a changed lifecycle configuration needs an UpdateDomain, which
# VpcOnly domains reject.
set -u

export MARIMO_BUCKET="${MARIMO_BUCKET:-}" MARIMO_ENVIRONMENT="${MARIMO_ENVIRONMENT:-}"
export MARIMO_REGION="${MARIMO_REGION:-}"
MARIMO_STATE="$(home_folder)/.local/share/sagemaker-marimo"
export MARIMO_STATE
payloads="$MARIMO_STATE/payload"
python="$(image_python)"
prefix="${python%/bin/*}"

# JupyterLab waits for this script. If a good payload is already here, the bucket gets this long to name a newer one,
# and only a newer one is waited for. Otherwise the app starts with the payload it has. The download continues in the
# background for the next start. The AWS CLI alone takes 0.5 s or more to start; on a slow machine an update arrives
# one start later, but a missing update never delays a start.
patience_tenths="${MARIMO_PATIENCE_TENTHS:-6}"

log() {
  local line
  line="$(date -u +%Y-%m-%dT%H:%M:%SZ) sagemaker-marimo: $*"
  echo "$line"
  echo "$line" 2>/dev/null >>"$MARIMO_STATE/log/space.log"
}

# timeout and sha256sum are GNU tools; local Studio also runs on macOS.
bounded() {
  if command -v timeout >/dev/null; then timeout "$@"; else "${@:2}"; fi
}
sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# The bucket may be unreachable (no route, no permission), and all steps share the five minutes: few attempts, short
# timeouts.
s3_copy() {
  AWS_MAX_ATTEMPTS=2 bounded 40 aws s3 cp --only-show-errors --cli-connect-timeout 5 --cli-read-timeout 10 \
    ${MARIMO_REGION:+--region "$MARIMO_REGION"} "$@" </dev/null
}

# Downloads the payload that the bucket points to into $payloads/<hash> and points `next` to it. Fails if it cannot.
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
    log "fetching payload $hash"
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
  point next "$hash"
}

# A payload is complete if SHA256SUMS has the expected hash (or hash prefix, as in the folder's name) and every file
# matches SHA256SUMS.
verify() {
  [[ -f "$1/SHA256SUMS" && "$(sha256 <"$1/SHA256SUMS")" == "$2"* ]] &&
    (cd "$1" && sha256 --check --status SHA256SUMS)
}

# Prints the payload that a link points to, if it is complete.
good_payload() {
  local hash
  hash="$(readlink "$payloads/$1")"
  [[ -f "$payloads/$hash/start.sh" ]] && verify "$payloads/$hash" "$hash" 2>/dev/null && echo "$hash"
}

# rename(2) replaces the link atomically, so there is always a payload. -T is GNU's option, -h BSD's.
point() {
  ln -sfn "$2" "$payloads/.$1.$$" && { mv -fT "$payloads/.$1.$$" "$payloads/$1" 2>/dev/null ||
    mv -fh "$payloads/.$1.$$" "$payloads/$1"; }
}

# Adds a marimo tile that opens a page explaining why there is no payload. Only JupyterLab can reach the page: it
# listens on a Unix socket in a private folder (jupyter-server-proxy's documentation, `unix_socket`). start.sh replaces
# the lines between the same markers with its own.
explain() {
  local config="$prefix/etc/jupyter/jupyter_server_config.py" new
  mkdir -p "${config%/*}" && new="$(mktemp "$config.XXXXXX")" || return 1
  if {
    if [[ -f "$config" ]]; then sed '/^# >>> sagemaker-marimo >>>$/,/^# <<< sagemaker-marimo <<<$/d' "$config"; fi
    cat <<PYTHON
# >>> sagemaker-marimo >>>
_state = "$MARIMO_STATE"
PYTHON
    cat <<'PYTHON'
import sys as _sys

_page = r"""
import html, http.server, pathlib, socketserver, sys

STYLE = "font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 4rem auto"
MISSING = '''This space could not download marimo from its bucket. The log below shows the reason. JupyterLab is not
affected.<ul><li>The bucket cannot be reached or read: ask the administrator of this Studio domain whether the space
has a route to S3 and its role allows <code>s3:GetObject</code>.<li>The home folder is full or cannot be written to:
delete files, or enlarge the volume.</ul>The space retries for an hour, and each time it starts.'''
ARRIVED = "To load marimo, stop this space and run it again."

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        title, text = "marimo is not here yet", MISSING
        try:
            if "ARRIVED" not in pathlib.Path(sys.argv[2]).read_text():  # start.sh has replaced these lines
                title, text = "marimo has arrived", ARRIVED
            log = pathlib.Path(sys.argv[3], "log/space.log").read_text(errors="replace")
            log = "\n".join(log.splitlines()[-12:])
        except OSError as error:
            log = str(error)
        self.send_response(503)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Marimo-Waiting", title)
        self.end_headers()
        page = f'<!doctype html><meta http-equiv="refresh" content="5"><title>marimo</title><body style="{STYLE}">'
        page += f'<h1>{title}</h1>{text}<pre style="white-space: pre-wrap">{html.escape(log)}</pre>'
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass

socketserver.UnixStreamServer(sys.argv[1], Page).serve_forever()
"""
_page = _page.replace("{", "{{").replace("}", "}}")  # the command is a template
c.ServerProxy.servers.update({"marimo": {
    "command": [_sys.executable, "-c", _page, "{unix_socket}", __file__, _state],
    "unix_socket": True,
    "launcher_entry": {"title": "marimo", "category": "Notebook"},
}})
# <<< sagemaker-marimo <<<
PYTHON
  } >"$new" && chmod 644 "$new" && mv -f "$new" "$config"; then return; fi
  rm -f "$new"
  return 1
}

no_payload() {
  log "$1"
  if [[ "${MARIMO_APP_TYPE:-}" == CodeEditor ]]; then return; fi # has no launcher
  explain || log "$prefix cannot be written to: marimo has no tile in the launcher"
}

run_payload() {
  point current "$1"
  bounded 60 bash "$payloads/$1/start.sh" </dev/null || {
    log "start.sh ended with status $?: marimo is not set up"
    return 1
  }
}

# Runs while JupyterLab runs without marimo. A payload that arrives is set up for the app's next start.
keep_trying() {
  local wait payload
  trap '' HUP
  for wait in ${MARIMO_RETRY_SECONDS-15 30 60 120 240 480 960 1920}; do
    sleep "$wait"
    if fetch_payload && payload="$(good_payload next)" && run_payload "$payload"; then
      log "marimo is now available: stop this space and run it again to load it"
      return
    fi
  done
}

main() {
  mkdir -p "$payloads" "$MARIMO_STATE/log" || {
    no_payload "cannot write to $MARIMO_STATE: marimo is not set up"
    return
  }
  # `current` is the payload that the running app uses until it stops; `next` is the latest one downloaded.
  local messages="$MARIMO_STATE/log/fetch.log" payload next fetch ticks=0
  payload="$(good_payload next || good_payload current)"
  # Reserve space in the file: on a full home volume the messages of the download would be lost.
  printf '%4096s' "" 2>/dev/null >"$messages" || messages="$(mktemp)"

  # The download may outlive this script: it gets its own process group and inherits no open files.
  set -m
  (
    trap '' HUP
    fetch_payload
  ) >"$messages" 2>&1 </dev/null &
  fetch=$!
  set +m
  while kill -0 "$fetch" 2>/dev/null &&
    [[ -z "$payload" || $ticks -lt $patience_tenths || "$(<"$messages")" == *"fetching payload"* ]]; do
    sleep 0.1
    ticks=$((ticks + 1))
  done

  if kill -0 "$fetch" 2>/dev/null; then
    log "the bucket has not answered yet: starting with payload $payload; an update is used from the next start"
  else
    cat "$messages"
    if wait "$fetch" && next="$(good_payload next)"; then
      payload="$next"
    elif [[ -n "$payload" ]]; then
      log "using the last good payload, $payload"
    fi
  fi
  if [[ -z "$payload" ]]; then
    no_payload "no good payload in this space: marimo is not set up; retrying for an hour, and at the next start"
    set -m
    keep_trying >/dev/null 2>&1 </dev/null &
    set +m
    return
  fi
  run_payload "$payload"
}

main
exit 0
