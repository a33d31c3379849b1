"""The page in marimo's place until marimo is installed. It reloads itself and so turns into marimo."""

import shutil
from html import escape

from sagemaker_marimo import state

# marimo's environment is some 200 MB, and its bytecode half as much again.
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

INSTALLING = """<p>This happens once in a space, and again after an update. It takes less than a minute; the
page then becomes marimo by itself.</p>"""

FAILED = """<p>JupyterLab is not affected. What usually helps:</p>
<ul>
  <li>No way to the package index: ask whoever runs this Studio domain whether spaces have a route to it.</li>
  <li>The home folder has {free} MB free, and marimo needs {needed}: where that is too little, delete
  files, for instance <code>~/.cache</code>, or enlarge the volume.</li>
</ul>
<p>Then run <code>bash {script}</code> in a terminal, or restart the space. The whole log:
<code>{log_file}</code>.</p>"""


def waiting_page() -> str:
    log = escape(state.install_log_tail()) or "…"
    if not state.installation_failed():
        return PAGE.format(seconds=2, title="marimo is being installed", text=INSTALLING, log=log)
    text = FAILED.format(
        script=escape(str(state.STATE / "payload/current/install.sh")),
        log_file=escape(str(state.INSTALL_LOG)),
        free=shutil.disk_usage(state.STATE).free // 2**20,
        needed=NEEDED_MEGABYTES,
    )
    return PAGE.format(seconds=10, title="marimo could not be installed", text=text, log=log)
