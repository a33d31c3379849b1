"""Finds commands that run in marimo's terminals, because one that prints nothing is also work.

marimo (0.25.2) starts a terminal's shell by pty.fork: as a child of its server, which leads a session.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
LONGEST_SECONDS = 12 * 3600
"""A command that runs longer does not count: it may be an editor or `less` that was left open."""


class Process(NamedTuple):
    id: int
    parent: int
    group: int
    session: int
    foreground: int
    """The process group that has the terminal: the shell's own while it waits for a command."""
    seconds: float
    """How long it has been running."""


def runs_command(server: int) -> bool:
    """Whether a terminal of marimo's server, a process id, has a command in the foreground."""
    processes = list(_processes())
    shells = [one for one in processes if one.parent == server and one.session == one.id]
    commands = {one.foreground for one in shells} - {one.group for one in shells}
    return any(one.group in commands and one.seconds < LONGEST_SECONDS for one in processes)


def _processes() -> Iterator[Process]:
    """None if there is no /proc, as on macOS."""
    with suppress(OSError):
        uptime = float((PROC / "uptime").read_text().split()[0])
        for stat in PROC.glob("[0-9]*/stat"):
            with suppress(OSError):  # it has ended
                # From the third field on (proc_pid_stat(5)): the second, its name, may have any character.
                fields = stat.read_text(errors="replace").rpartition(")")[2].split()
                parent, group, session, _, foreground = map(int, fields[1:6])
                seconds = uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")
                yield Process(int(stat.parent.name), parent, group, session, foreground, seconds)
