"""Commands that run in a terminal of marimo's server, which is this process here."""

import fcntl
import os
import pty
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest

from sagemaker_marimo import terminal_commands
from sagemaker_marimo.terminal_commands import runs_command


class Terminal:
    def __init__(self) -> None:
        self._own, shells = pty.openpty()
        self._shell = subprocess.Popen(
            ["/bin/bash", "--norc", "--noprofile", "-i"],
            stdin=shells,
            stdout=shells,
            stderr=shells,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # as pty.fork does
            env={"PS1": "ready>", "PATH": os.defpath, "HISTFILE": ""},
        )
        os.close(shells)
        self._await("ready>")

    def type(self, text: str, printed: str = "") -> None:
        os.write(self._own, text.encode())
        self._await(printed)

    def _await(self, printed: str) -> None:
        text = ""
        while printed not in text:
            text += os.read(self._own, 1000).decode()

    def close(self) -> None:
        os.close(self._own)  # the shell and its commands get SIGHUP
        self._shell.wait()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def soon(expected: bool) -> bool:
    for _ in range(100):
        if runs_command(os.getpid()) == expected:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("command", ["sleep 600", "true | sleep 600", "bash -c 'sleep 600; true'"])
def test_a_silent_command_runs(command: str, terminal: Terminal) -> None:
    assert not runs_command(os.getpid()), "an idle shell"
    terminal.type(f"{command}\n")
    assert soon(True)
    terminal.type("\x03", "ready>")
    assert soon(False)


def test_a_command_in_the_background_does_not_count(terminal: Terminal) -> None:
    terminal.type("sleep 600 & echo 'start'ed\n", "started")
    time.sleep(0.3)
    assert not runs_command(os.getpid())


def test_an_editor_that_was_left_open_does_not_count(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.type("sleep 600\n")
    assert soon(True)
    monkeypatch.setattr(terminal_commands, "LONGEST_SECONDS", 0)
    assert not runs_command(os.getpid())


def test_a_terminal_of_another_program_does_not_count(terminal: Terminal) -> None:
    terminal.type("sleep 600\n")
    assert soon(True)
    assert not runs_command(os.getppid())


def test_without_proc_nothing_runs(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal.type("sleep 600\n")
    assert soon(True)
    monkeypatch.setattr(terminal_commands, "PROC", terminal_commands.PROC / "missing")
    assert not runs_command(os.getpid())
