#!/bin/bash
# The entrypoint of a row of a sweep, which is a step of a SageMaker pipeline. It runs run.sh, but stops it before the
# job's time limit, and exits with 0 whenever the notebook has an outcome, good or bad: a failed step would end its
# pipeline and all waiting rows. result.json has the notebook's own status. A row that SIGTERM ended has no outcome: SageMaker
# starts an interrupted Spot job again (guess: if its status is not 0).
set -uo pipefail

folder="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
output="$(cd "$folder/../../../.." && pwd -P)/processing/output"
# For job_notify.py: whether the platform has sent the signal, and not `timeout`.
MARIMO_ROW_INTERRUPTED="$(mktemp -u)"
export MARIMO_ROW_INTERRUPTED

timeout "${MARIMO_ROW_SECONDS:?must be the seconds that the notebook may take}" bash "$folder/run.sh" "$@" &
row=$!
# As process 1 of a container, bash ignores SIGTERM without a trap. timeout forwards the signal.
interrupted=
trap 'interrupted=1; : >"$MARIMO_ROW_INTERRUPTED"; kill -TERM "$row"' TERM
# The signal interrupts `wait`, but not the row.
until
  wait "$row"
  status=$?
  ! kill -0 "$row" 2>/dev/null
do :; done
if [[ -f "$output/result.json" && -z "$interrupted" ]]; then exit 0; fi
exit "$status"
