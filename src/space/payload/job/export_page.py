"""Runs `marimo export html`, which also writes the page as it is so far, for jobs that are stopped or die.

usage: export_page.py SECONDS NOTEBOOK -o PAGE [OPTION…] [-- ARGUMENT…]
SECONDS are those between two pages; the rest is for marimo. The exit status is marimo's.

marimo has no public way to this. src/space/README.md lists the functions that are replaced here.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_unfinished_pages(page: Path, seconds: float) -> None:
    """Replaces functions of marimo before its command line imports them."""
    from marimo._export import file
    from marimo._session.session import SessionImpl

    export_html, run_notebook, create = file.export_html, file.run_notebook, SessionImpl.create
    running: list[SessionImpl] = []

    async def creating(*arguments: Any, **options: Any) -> SessionImpl:
        session = await create(*arguments, **options)
        running.append(session)
        return session

    # While the notebook runs, an export has its outputs so far, and does not run it again.
    async def running_notebook(request: Any) -> Any:
        if running:
            return running[0].session_view, False
        try:
            return await run_notebook(request)
        finally:
            running.clear()

    async def exporting(request: Any) -> Any:
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        writer = asyncio.create_task(write_now_and_then(request, stopped))
        try:
            return await export_html(request)
        finally:
            writer.cancel()

    async def write_now_and_then(request: Any, stopped: asyncio.Event) -> None:
        unfinished = page.with_name(f".{page.name}")
        try:
            while not stopped.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), seconds)
                if running:
                    contents = (await export_html(request)).contents
                    unfinished.write_text(contents, encoding="utf-8")
                    unfinished.replace(page)
        except Exception as error:
            say_that_it_is_written_at_the_end(error)
            await stopped.wait()
        os._exit(128 + signal.SIGTERM)

    file.export_html, file.run_notebook = exporting, running_notebook
    SessionImpl.create = creating  # type: ignore[method-assign]


def say_that_it_is_written_at_the_end(error: Exception) -> None:
    print(f"sagemaker-marimo: the page is written at the end only: {error!r}", flush=True)


def main() -> None:
    seconds, *arguments = sys.argv[1:]
    sys.argv = ["marimo", "export", "html", *arguments]
    # As with `python -m marimo`: the notebook imports from its own folder.
    sys.path[0] = str(Path.cwd())
    try:
        write_unfinished_pages(Path(arguments[arguments.index("-o") + 1]), float(seconds))
    except (ImportError, AttributeError) as error:
        say_that_it_is_written_at_the_end(error)
    from marimo._cli.cli import main as marimo

    marimo(prog_name="marimo")


# The kernel's process imports this file too.
if __name__ == "__main__":
    main()
