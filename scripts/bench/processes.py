"""Prints the descendants of a process as JSON, each with command line, resident memory and processor time."""

import json
import sys
from contextlib import suppress

import psutil

found = []
for process in psutil.Process(int(sys.argv[1])).children(recursive=True):
    with suppress(psutil.NoSuchProcess), process.oneshot():
        cpu = process.cpu_times()
        found.append(
            {
                "command": " ".join(process.cmdline()),
                "bytes": process.memory_info().rss,
                "seconds": cpu.user + cpu.system,
            }
        )
print(json.dumps(found))
