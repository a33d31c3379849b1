"""HTML that marimo has no element for. Everything from AWS is escaped: a notebook writes logs and reasons."""

import html
from collections.abc import Sequence
from os import PathLike

from sagemaker_marimo import state

MOST_LINES = 500
"""Of a log, on the page: the last ones."""


def log(lines: Sequence[str]) -> str:
    """The end of a log, scrolled to its last line."""
    if not lines:
        return "<p>The log has no lines yet.</p>"
    text = html.escape("\n".join(lines[-MOST_LINES:]))
    left_out = len(lines) - MOST_LINES
    note = f"<p>The last {MOST_LINES} of {len(lines)} lines:</p>" if left_out > 0 else ""
    # A reversed column keeps its scroll position at the end.
    box = "max-height:24rem;overflow:auto;display:flex;flex-direction:column-reverse"
    return (
        f'{note}<div style="{box}"><pre data-testid="job-log" '
        f'style="white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;margin:0">{text}</pre></div>'
    )


def text(value: str) -> str:
    """Text with its line breaks, which wraps."""
    return f'<div style="white-space:pre-wrap;overflow-wrap:anywhere">{html.escape(value)}</div>'


def links(found: Sequence[tuple[str, str]]) -> str:
    """Links that open in new tabs."""
    items = (
        f'<li><a href="{html.escape(address)}" target="_blank" rel="noopener">{html.escape(name)}</a></li>'
        for name, address in found
    )
    return f"<ul>{''.join(items)}</ul>"


def short(path: str | PathLike[str]) -> str:
    """A path, without the home folder if it is in there."""
    return str(path).removeprefix(f"{state.HOME}/")
