"""A terminal says that packages in the image do not stay. An installer is a script here."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from sagemaker_marimo import pip_notice

NOTICE = "the image's packages were changed"


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the image's packages, and with the installer `install PACKAGE [FOLDER]`."""
    site = tmp_path / "site packages"
    for folder in (site, tmp_path / "other"):
        (folder / "pandas-2.3.3.dist-info").mkdir(parents=True)
    install = tmp_path / "install"
    install.write_text('#!/bin/bash\nmkdir "${2-$(dirname "$0")/site packages}/$1.dist-info"\n')
    install.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", {"purelib": str(site)}.__getitem__)
    return tmp_path


def bash(image: Path, *options: str, commands: str) -> "subprocess.CompletedProcess[str]":
    env = {**pip_notice.terminal_environment(), "PATH": f"{image}:{os.defpath}", "HOME": "/nonexistent"}
    command = ["/bin/bash", "--norc", "--noprofile", *options]
    return subprocess.run(command, input=commands, env=env, capture_output=True, text=True, check=False)  # noqa: S603  # no shell


@pytest.mark.parametrize(
    "command", ["install a-1", "bash -c 'install a-1'", "install a-1 | cat; install b-1"]
)
def test_a_terminal_says_once_that_packages_do_not_stay(command: str, image: Path) -> None:
    assert bash(image, "-i", commands=f"{command}\ntrue\ntrue\n").stderr.count(NOTICE) == 1


def test_it_says_so_again_after_the_next_change(image: Path) -> None:
    result = bash(image, "-i", commands="install a-1\ninstall a-2\n")
    assert result.stderr.count(NOTICE) == 2


@pytest.mark.parametrize("command", ["true", "install pandas-2.3.3", "install a-1 {image}/other"])
def test_other_commands_get_none(command: str, image: Path) -> None:
    """Control: nothing was installed, or into another virtual environment."""
    assert NOTICE not in bash(image, "-i", commands=f"{command.format(image=image)}\ntrue\n").stderr


def test_exit_statuses_and_options_stay(image: Path) -> None:
    result = bash(image, "-i", commands="set -eu\ninstall a-1\n(exit 3) || echo status $?\n! true\necho $?\n")
    assert result.stdout == "status 3\n1\n"
    assert NOTICE in result.stderr


def test_the_images_own_prompt_command_runs_too(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPT_COMMAND", "echo own")
    result = bash(image, "-i", commands="install a-1\n")
    assert (result.stdout, NOTICE in result.stderr) == ("own\nown\n", True)


def test_scripts_get_none(image: Path) -> None:
    result = bash(image, commands="set -eu\ninstall a-1\ntrue\n")
    assert (result.returncode, result.stderr) == (0, "")
