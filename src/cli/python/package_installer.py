"""Finds or installs uv, and configures it like pip, unless uv has its own configuration."""

import ast
import ensurepip
import fcntl
import os
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

LOCK_FILE = Path(__file__).parent / "uv/requirements.lock"
# UV_DEFAULT_INDEX and UV_INDEX require 0.4.23 or later.
MINIMUM_VERSION = (0, 5)
# An option of pip, the variable of uv, and other variables that already configure the same.
SETTINGS = (
    ("index-url", "UV_DEFAULT_INDEX", ("UV_INDEX_URL",)),
    ("extra-index-url", "UV_INDEX", ("UV_EXTRA_INDEX_URL",)),
    ("trusted-host", "UV_INSECURE_HOST", ()),
    ("cert", "SSL_CERT_FILE", ("SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS")),
    ("client-cert", "SSL_CLIENT_CERT", ()),
    ("proxy", "HTTPS_PROXY", ("https_proxy", "ALL_PROXY", "all_proxy")),
    ("proxy", "HTTP_PROXY", ("http_proxy", "ALL_PROXY", "all_proxy")),
    ("timeout", "UV_HTTP_TIMEOUT", ()),
    ("default-timeout", "UV_HTTP_TIMEOUT", ()),
)


def once(folder: Path, make: Callable[[], None]) -> None:
    """Creates a folder if it is not complete. Other processes that need the same folder wait.

    The kernel releases the lock when this process ends, also after a crash.
    """
    marker = folder / ".complete"
    if marker.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists():
            return
        if folder.exists():
            print(f"Removing the incomplete {folder.name}", flush=True)
            shutil.rmtree(folder)
        make()
        marker.touch()


def pip_wheel() -> Path:
    """Returns the wheel of pip for virtual environments. Linux distributions store it in WHEEL_PKG_DIR."""
    folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(ensurepip.__file__).parent / "_bundled"
    wheels = sorted(Path(folder).glob("pip-*.whl"))
    if not wheels:
        sys.exit(f"ensurepip's folder {folder} has no wheel of pip")
    return wheels[-1]


def find_uv(tools: Path) -> str:
    """Returns the uv on the PATH if its version is supported, or installs the locked version in `tools`."""
    if (found := shutil.which("uv")) and version_of(found) >= MINIMUM_VERSION:
        return found
    folder = tools / f"uv-{sha256(LOCK_FILE.read_bytes()).hexdigest()[:12]}"
    once(folder, lambda: install_uv(folder))
    return str(folder / "bin/uv")


def version_of(uv: str) -> tuple[int, ...]:
    # For example `uv 0.13.9 (x86_64-unknown-linux-gnu)`. A shim of pyenv can fail.
    result = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    fields = result.stdout.split()
    if result.returncode != 0 or len(fields) < 2:
        return ()
    return tuple(int(part) for part in fields[1].split(".")[:2] if part.isdigit())


def install_uv(folder: Path) -> None:
    print("Installing uv", flush=True)
    command = [sys.executable, f"{pip_wheel()}/pip", "install", "--require-hashes", "--no-deps", "--target"]
    options = [
        "--only-binary=:all:",
        "--progress-bar=off",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
    ]
    # pip's configuration may require a virtual environment or a user install, which --target does not allow.
    environment = {
        **os.environ,
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    subprocess.run(  # noqa: S603 - own command
        [*command, str(folder), "--requirement", str(LOCK_FILE), *options],
        check=True,
        stdin=subprocess.DEVNULL,
        env=environment,
    )


def pip_settings() -> dict[str, str]:
    """Returns pip's configuration from its files and variables."""
    # The installed pip is faster because it is compiled, and it has the distribution's configuration paths.
    for pip in (["-m", "pip"], [f"{pip_wheel()}/pip"]):
        command = [sys.executable, *pip, "config", "list"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if result.returncode == 0:
            return parse_pip_settings(result.stdout)
    raise subprocess.CalledProcessError(result.returncode, command, stderr=result.stderr)


def parse_pip_settings(listing: str) -> dict[str, str]:
    """Returns the options of `pip install` from the output of `pip config list`, for example `:env:.cert`."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in found:
            found[section][option] = str(ast.literal_eval(value))
    return {**found["global"], **found["install"], **found[":env:"]}


def uv_settings(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Returns variables that make uv find packages like pip. Existing variables of uv are not changed."""
    settings: dict[str, str] = {}
    for option, variable, others in SETTINGS:
        if option in pip and not any(name in environment for name in (variable, *others)):
            settings.setdefault(variable, " ".join(pip[option].split()))
    if "find-links" in pip and "UV_FIND_LINKS" not in environment:
        settings["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
    if pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        settings["UV_NO_INDEX"] = "1"
    if "UV_INDEX" in settings:
        # pip gives all indexes the same priority. The hashes ensure which files are installed.
        settings.setdefault("UV_INDEX_STRATEGY", environment.get("UV_INDEX_STRATEGY", "unsafe-best-match"))
    certificates = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS")
    if has_system_certificates() and not any(
        name in environment or name in settings for name in certificates
    ):
        # A company's proxy certificate is only in the system's store. By default, uv uses its own list.
        settings["UV_SYSTEM_CERTS"] = "1"
    return settings


def has_system_certificates() -> bool:
    # A container may have no system certificates. Then uv's own list is used.
    return sys.platform == "darwin" or ssl.get_default_verify_paths().cafile is not None
