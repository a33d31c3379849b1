"""The page that is shown until marimo and ~/requirements.txt are installed and marimo's server runs.

It reloads itself. Also the notice on marimo's own page if a private interface is missing.
"""

import math
import shutil
from html import escape
from typing import TYPE_CHECKING

from sagemaker_marimo import image, state

if TYPE_CHECKING:  # stock_server.py must work without what server.py imports
    from sagemaker_marimo.server import Server

# marimo's virtual environment needs about 200 MB, and its bytecode half as much again.
NEEDED_MEGABYTES = 300

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="{seconds}">
<title>marimo</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 4rem auto; color: #1c2024; }}
  pre {{ background: #f4f5f6; border-radius: 6px; padding: 1rem; overflow: auto; font-size: 13px; }}
  code {{ background: #f4f5f6; border-radius: 4px; padding: 0 0.3em; }}
</style>
<h1>{title}</h1>
{text}
<pre>{log}</pre>
</html>
"""

INSTALLING = """<p>This happens once in each space, and again after an update. It takes less than a minute.
Then this page changes to marimo.</p>"""

FAILED = """<p>JupyterLab is not affected. Common causes:</p>
<ul>{lacks}
  <li>There is no route to the package index: ask the administrator of this Studio domain whether spaces
  have one.</li>
  <li>The home folder is too full: it has {free} MB free, and marimo needs {needed} MB. Delete files, for
  example <code>~/.cache</code>, or enlarge the volume.</li>
</ul>
<p>Then run <code>bash {script}</code> in a terminal, or restart the space. The full log:
<code>{log_file}</code>.</p>"""

INSTALLING_PACKAGES = """<p>When this is done, this page changes to marimo.</p>
<p><a href="{link}">Open marimo now</a>: until they are installed, notebooks cannot import them.</p>"""

PACKAGES_FAILED = """<p>The lines below say why. marimo works without them.</p>
<p><a href="{link}">Open marimo without them</a></p>
<p>To install them, correct the file and restart the space, or run
<code>uv pip install -r ~/requirements.txt</code> in marimo's terminal.
The full log: <code>{log_file}</code>.</p>"""

STARTING = "<p>This takes a few seconds. Then this page changes to marimo.</p>"

NOT_STARTING = """<p>marimo's server does not run: {end}. This page starts it again in {pause} s.
JupyterLab and your files are not affected.</p>
<ul>
  <li>Run <code>marimo-doctor</code> in a terminal: it finds most causes, and says what to do.</li>
  <li>If the space is out of memory: stop other kernels, or run the space on a larger instance.</li>
  <li>If you have just added or removed packages: undo that, in a terminal with <code>uv pip</code>.</li>
</ul>
<p>The last lines of the server's output:</p>"""

NOTICE = """<p role="alert" onclick="this.remove()" style="position: fixed; z-index: 9999; top: 0; left: 20%;
right: 20%; margin: 0; padding: 0.5rem 1rem; background: #fff3cd; color: #1c2024; font: 14px system-ui">
<strong>marimo runs with its own connection here.</strong> Results and edits can be lost while the network is
interrupted, because {reason}. For more, run <code>marimo-doctor</code> in a terminal. (Click to hide.)</p>"""


def installation_page() -> str:
    log = state.install_log_tail()
    if not state.installation_failed():
        return page(2, "marimo is being installed", INSTALLING, log)
    lacks = [f"\n  <li>The image lacks {escape(one)}.</li>" for one in image.missing("installer", "aws")]
    text = FAILED.format(
        lacks="".join(lacks),
        script=escape(str(state.STATE / "payload/current/install.sh")),
        log_file=escape(str(state.INSTALL_LOG)),
        free=shutil.disk_usage(state.STATE).free // 2**20,
        needed=NEEDED_MEGABYTES,
    )
    return page(10, "marimo could not be installed", text, log)


def packages_page(outcome: str, link: str) -> str:
    """`link`: the address that opens marimo without the packages of ~/requirements.txt."""
    if outcome == "installing":
        title, text = "Installing the packages of ~/requirements.txt", INSTALLING_PACKAGES
    else:
        title, text = "The packages of ~/requirements.txt could not be installed", PACKAGES_FAILED
    text = text.format(link=escape(link), log_file=escape(str(state.INSTALL_LOG)))
    return page(2 if outcome == "installing" else 10, title, text, state.install_log_tail())


def server_page(server: "Server") -> str:
    pause = math.ceil(server.pause)
    if not pause:
        return page(1, "marimo is starting", STARTING, server.output)
    text = NOT_STARTING.format(end=escape(server.end), pause=pause)
    return page(pause, "marimo does not start", text, server.output)


def page(seconds: int, title: str, text: str, log: str) -> str:
    return PAGE.format(seconds=seconds, title=title, text=text, log=escape(log) or "…")


def notice(reason: str) -> bytes:
    """What a browser shows above marimo's page, if this comes after it."""
    return NOTICE.format(reason=escape(reason)).encode()
