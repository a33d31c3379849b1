#!/bin/bash
# What differs between images. The lifecycle configuration begins with this file, and the payload's scripts source it.

# Prints the Python that runs JupyterLab: the one that the script `jupyter-lab` names, the one beside it, conda's, or
# that of SageMaker Distribution. Where the path is too long for a `#!` line, pip names Python in the second line.
image_python() {
  local lab="" named=""
  if lab="$(command -v jupyter-lab)"; then
    named="$(head -n 2 "$lab" | grep -aoE "/[^ \"']*/bin/python[0-9.]*" | head -n 1)"
  fi
  for named in "$named" "${lab%/*}/python"; do
    if [[ "$named" == /*/bin/python* && -x "$named" ]]; then
      echo "$named"
      return
    fi
  done
  echo "${CONDA_PREFIX:-/opt/conda}/bin/python"
}

# Prints the home folder: the volume, even if the image has another HOME, such as root's. Nothing else persists. Studio
# mounts it here unless the image's configuration says otherwise (SageMaker API, FileSystemConfig, MountPath).
home_folder() {
  local volume="${MARIMO_VOLUME:-/home/sagemaker-user}"
  if [[ "${HOME:-$volume}/" != "$volume"/* ]] && mountpoint -q "$volume" 2>/dev/null; then
    echo "$volume"
  else
    echo "${HOME:-$volume}"
  fi
}
