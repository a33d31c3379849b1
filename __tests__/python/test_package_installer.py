"""Installation of the rehearsal's virtual environments: uv uses the configuration of pip."""

import os
import subprocess
from pathlib import Path

import package_installer
import pytest

LISTING = """\
:env:.disable-pip-version-check='1'
:env:.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
download.index-url='https://download.example/simple'
global.cert='/etc/company.pem'
global.index-url='https://global.example/simple'
global.timeout='20'
install.index-url='https://install.example/simple'
"""


def test_install_section_and_variables_come_before_the_global_section() -> None:
    assert package_installer.parse_pip_settings(LISTING) == {
        "cert": "/etc/company.pem",
        "disable-pip-version-check": "1",
        "extra-index-url": "https://one.example/simple\nhttps://two.example/simple",
        "index-url": "https://install.example/simple",
        "timeout": "20",
    }


def test_uv_gets_the_settings_of_pip() -> None:
    pip = package_installer.parse_pip_settings(LISTING) | {
        "find-links": "/a /b",
        "proxy": "http://proxy:3128",
    }
    assert package_installer.uv_settings(pip, {}) == {
        "UV_DEFAULT_INDEX": "https://install.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/a,/b",
        "UV_HTTP_TIMEOUT": "20",
        "SSL_CERT_FILE": "/etc/company.pem",
        "HTTP_PROXY": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
    }


def test_settings_of_uv_take_precedence() -> None:
    pip = package_installer.parse_pip_settings(LISTING) | {"proxy": "http://proxy:3128"}
    own = {
        "UV_INDEX_URL": "https://uv.example/simple",
        "UV_INDEX": "https://more.example/simple",
        "UV_HTTP_TIMEOUT": "5",
        "SSL_CERT_DIR": "/etc/ssl/certs",
        "https_proxy": "http://other:3128",
        "ALL_PROXY": "http://other:3128",
    }
    assert package_installer.uv_settings(pip, own) == {}


@pytest.mark.parametrize(("own", "set_by_us"), [({}, {"UV_SYSTEM_CERTS": "1"}), ({"UV_NATIVE_TLS": "0"}, {})])
def test_system_certificates_are_used_unless_others_are_set(
    own: dict[str, str], set_by_us: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_installer, "has_system_certificates", lambda: True)
    assert package_installer.uv_settings({}, own) == set_by_us
    monkeypatch.setattr(package_installer, "has_system_certificates", lambda: False)
    assert package_installer.uv_settings({}, own) == {}


def test_pips_own_files_and_variables_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://file.example/simple\ntrusted-host = file.example\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/simple")
    settings = package_installer.pip_settings()
    assert settings["index-url"] == "https://variable.example/simple"
    assert settings["trusted-host"] == "file.example"


def uv_program(folder: Path, script: str) -> None:
    program = folder / "uv"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "taken"),
    [
        ("echo 'uv 0.13.9 (x86_64-unknown-linux-gnu)'", True),
        ("echo 'uv 1.0.0'", True),
        ("echo 'uv 0.4.30'", False),
        ("echo 'pyenv: uv: command not found' >&2; exit 127", False),
    ],
)
def test_the_uv_on_the_path_is_used_if_it_is_new_enough(
    script: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv_program(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    installed: list[Path] = []

    def install(folder: Path) -> None:
        folder.mkdir(parents=True)
        installed.append(folder)

    monkeypatch.setattr(package_installer, "install_uv", install)
    tools = tmp_path / "tools"
    found = [package_installer.find_uv(tools) for _ in range(2)]
    expected = [] if taken else [path for path in tools.glob("uv-*") if path.is_dir()]
    assert installed == expected, "once"
    assert found == [str(tmp_path / "uv") if taken else str(expected[0] / "bin/uv")] * 2


def test_an_unfinished_folder_is_built_again(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "half").touch()
    package_installer.once(folder, folder.mkdir)
    assert [path.name for path in folder.iterdir()] == [".complete"]
    package_installer.once(folder, lambda: pytest.fail("it is complete"))


def test_a_failure_leaves_no_marker(tmp_path: Path) -> None:
    folder = tmp_path / "made"

    def fail() -> None:
        folder.mkdir()
        raise subprocess.CalledProcessError(1, ["uv"])

    with pytest.raises(subprocess.CalledProcessError):
        package_installer.once(folder, fail)
    assert not (folder / ".complete").exists()
