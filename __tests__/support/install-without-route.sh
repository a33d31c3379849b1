#!/bin/bash
# Used by __tests__/space/install.test.ts in a network namespace without a route: starts a bucket, and installs marimo
# only from it. Arguments: the Python and the script of the local AWS, install.sh, the folder of packages, and its key.
# Prints one line per outcome. Other output goes to standard error.
set -euo pipefail
aws_python="$1" server="$2" install="$3" wheels="$4" key="$5"

# SIOCSIFFLAGS: up, loopback, running. `ip` may not be installed.
python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x49))' 2>/dev/null || true
if python3 -c 'import socket; socket.create_connection(("192.0.2.1", 443), 2)' 2>/dev/null; then exit 1; fi

endpoint="$HOME/endpoint"
# The server exits when its standard input is closed.
exec 8> >(exec "$aws_python" "$server" --port 0 >"$endpoint" 2>/dev/null)
for ((tries = 0; tries < 300; tries++)); do
  if grep -q endpoint "$endpoint" 2>/dev/null; then break; fi
  sleep 0.2
done
AWS_ENDPOINT_URL="$(sed -n 's/.*"endpoint": *"\([^"]*\)".*/\1/p' "$endpoint")"
export AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_EC2_METADATA_DISABLED=true
bucket="s3://$MARIMO_BUCKET"
aws s3 mb "$bucket" >&2

outcome() {
  local status=0 output
  output="$(bash "$install" 2>&1 8>&-)" || status=$?
  echo "$output" >&2
  if grep -qi 'hash mismatch' <<<"$output"; then echo "$1: hash mismatch"; fi
  echo "$1: $status $(cat "$HOME/.local/share/sagemaker-marimo/status")"
}
outcome nothing

aws s3 sync --only-show-errors "$wheels" "$bucket/marimo/wheels/$key/" >&2
altered="$(basename "$wheels"/markdown-*.whl)"
cp "$wheels/$altered" "$HOME/$altered"
python3 -c 'import sys, zipfile
zipfile.ZipFile(sys.argv[1], "a").writestr("markdown/altered.py", "")' "$HOME/$altered"
aws s3 cp --only-show-errors "$HOME/$altered" "$bucket/marimo/wheels/$key/$altered" >&2
outcome altered

aws s3 cp --only-show-errors "$wheels/$altered" "$bucket/marimo/wheels/$key/$altered" >&2
outcome whole
exec 8>&-
