#!/bin/bash
# Sets `payload`, `state` and `python`, for install.sh and for the commands in a space's terminals. A terminal may have
# activated another environment, so the Python that start.sh found is used.

payload="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=src/space/payload/image.sh
source "$payload/image.sh"
state="${MARIMO_STATE:-$(home_folder)/.local/share/sagemaker-marimo}"
python="$(sed -n 's/^MARIMO_PYTHON=//p' "$state/space.env" 2>/dev/null)"
if [[ ! -x "$python" ]]; then python="$(image_python)"; fi
