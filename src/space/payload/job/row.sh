#!/bin/bash
# The entrypoint of a sweep's row, a step of a SageMaker pipeline: the job of run.sh, but with an end of its own before
# the job's time limit, and with status 0 where the notebook has an outcome, good or bad. A step that fails ends its
# pipeline, with all rows that wait; result.json says what became of the notebook.
set -uo pipefail

folder="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
output="$(cd "$folder/../../../.." && pwd -P)/processing/output"

timeout "${MARIMO_ROW_SECONDS:?says how long the notebook may take}" bash "$folder/run.sh" "$@" &
row=$!
# As process 1 of a container bash ignores SIGTERM otherwise. timeout hands it on.
trap 'kill -TERM "$row"' TERM
# The signal ends `wait`, and not the row.
until
  wait "$row"
  status=$?
  ! kill -0 "$row" 2>/dev/null
do :; done
if [[ -f "$output/result.json" ]]; then exit 0; fi
exit "$status"
