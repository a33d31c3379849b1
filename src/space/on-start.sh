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

# JupyterLab waits for this script. Where a good payload is in place, the bucket has this long to say whether there
# is a newer one, which is then waited for. After that the app starts with what it has, the fetch goes on in the
# background, and its payload is used from the next start: where the AWS CLI, which takes 0.5 s and more to begin,
# is too slow for this, an update arrives one start later than it could, and nobody waits for one that is not there.
patience_tenths="${MARIMO_PATIENCE_TENTHS:-6}"

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

# Leaves the payload that the bucket points to in $payloads/<hash>, with `next` on it; fails when that cannot be
# had.
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

# A payload is whole when its list of hashes is the one that is asked for, by its hash or the first digits of it, as
# in the folder's name, and every file is as listed.
verify() {
  [[ -f "$1/SHA256SUMS" && "$(sha256 <"$1/SHA256SUMS")" == "$2"* ]] &&
    (cd "$1" && sha256 --check --status SHA256SUMS)
}

# The payload that a link is on, where it is whole.
good_payload() {
  local hash
  hash="$(readlink "$payloads/$1")"
  [[ -f "$payloads/$hash/start.sh" ]] && verify "$payloads/$hash" "$hash" 2>/dev/null && echo "$hash"
}

# rename(2) replaces the link in one step: there is no moment without a payload. -T is GNU's, -h BSD's.
point() {
  ln -sfn "$2" "$payloads/.$1.$$" && { mv -fT "$payloads/.$1.$$" "$payloads/$1" 2>/dev/null ||
    mv -fh "$payloads/.$1.$$" "$payloads/$1"; }
}

# marimo's tile where there is no payload: a page that says why. It is reached through JupyterLab alone, by a Unix
# socket in a folder of its own (jupyter-server-proxy's documentation, `unix_socket`). start.sh, which knows these
# marks, puts its own lines in their place.
explain() {
  local config="${CONDA_PREFIX:-/opt/conda}/etc/jupyter/jupyter_server_config.py" new
  mkdir -p "${config%/*}" && new="$(mktemp "$config.XXXXXX")" || return 1
  if {
    if [[ -f "$config" ]]; then sed '/^# >>> sagemaker-marimo >>>$/,/^# <<< sagemaker-marimo <<<$/d' "$config"; fi
    cat <<'PYTHON'
# >>> sagemaker-marimo >>>
import sys as _sys

_page = r"""
import html, http.server, pathlib, socketserver, sys

STYLE = "font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 4rem auto"
MISSING = '''This space could not fetch marimo from its bucket; the log below says why. JupyterLab is not affected.
<ul><li>The bucket cannot be reached or read: ask whoever runs this Studio domain whether the space has a route to S3,
and its role <code>s3:GetObject</code>.<li>The home folder is full or cannot be written to: delete files, or enlarge
the volume.</ul>It is tried again for an hour, and whenever the space starts.'''
ARRIVED = "JupyterLab finds it when it starts: stop this space, and run it again."

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        title, text = "marimo is not here yet", MISSING
        try:
            if "ARRIVED" not in pathlib.Path(sys.argv[2]).read_text():  # start.sh has replaced these lines
                title, text = "marimo has arrived", ARRIVED
            log = pathlib.Path.home() / ".local/share/sagemaker-marimo/log/space.log"
            log = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        except OSError as error:
            log = str(error)
        self.send_response(503)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Marimo-Installation", title)
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
    "command": [_sys.executable, "-c", _page, "{unix_socket}", __file__],
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
  explain || log "${CONDA_PREFIX:-/opt/conda} cannot be written to: marimo has no tile in the launcher"
}

run_payload() {
  point current "$1"
  bounded 60 bash "$payloads/$1/start.sh" </dev/null || {
    log "start.sh ended with status $?: marimo is not set up"
    return 1
  }
}

# While JupyterLab runs without marimo: what comes is installed, and used from the app's next start.
keep_trying() {
  local wait payload
  trap '' HUP
  for wait in ${MARIMO_RETRY_SECONDS-15 30 60 120 240 480 960 1920}; do
    sleep "$wait"
    if fetch_payload && payload="$(good_payload next)" && run_payload "$payload"; then
      log "marimo is here, and JupyterLab finds it when it starts: stop this space, and run it again"
      return
    fi
  done
}

main() {
  mkdir -p "$payloads" "$MARIMO_STATE/log" || {
    no_payload "cannot write to $MARIMO_STATE: marimo is not set up"
    return
  }
  # `current` is what an app runs with, to its end; `next` is what came last, maybe after its app had started.
  local messages="$MARIMO_STATE/log/fetch.log" payload next fetch ticks=0
  payload="$(good_payload next || good_payload current)"
  # A home volume that takes nothing more would keep what the fetch says from the log as well.
  printf '%4096s' "" 2>/dev/null >"$messages" || messages="$(mktemp)"

  # A process group of its own, and none of this script's files: it may outlive this script.
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
    no_payload "no good payload in this space: marimo is not set up; tried again for an hour, and at the next start"
    set -m
    keep_trying >/dev/null 2>&1 </dev/null &
    set +m
    return
  fi
  run_payload "$payload"
}

main
exit 0
