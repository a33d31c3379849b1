from pathlib import Path

import pytest

from sagemaker_marimo import state
from sagemaker_marimo.waiting_page import waiting_page


def test_tells_that_it_is_being_installed_and_turns_into_marimo_by_itself(home: Path) -> None:
    state.INSTALL_LOG.write_text("installing marimo==0.25.2\n")
    page = waiting_page()
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "<h1>marimo is being installed</h1>" in page
    assert "<pre>installing marimo==0.25.2</pre>" in page


def test_tells_why_and_what_to_do(home: Path) -> None:
    (state.STATE / "status").write_text("failed\n")
    state.INSTALL_LOG.write_text("no route to the index\n")
    page = waiting_page()
    assert '<meta http-equiv="refresh" content="10">' in page
    assert "<h1>marimo could not be installed</h1>" in page
    assert "<pre>no route to the index</pre>" in page
    assert f"bash {home}/.state/payload/current/install.sh" in page
    assert f"{home}/.state/log/install.log" in page


@pytest.mark.parametrize("status", ["installing", "failed"])
def test_lets_nothing_of_the_log_be_markup(status: str, home: Path) -> None:
    (state.STATE / "status").write_text(status)
    state.INSTALL_LOG.write_text('</pre><script>alert("{seconds}")</script> & %s {0}\n')
    page = waiting_page()
    assert "<script" not in page
    assert "&lt;/pre&gt;&lt;script&gt;alert(&quot;{seconds}&quot;)&lt;/script&gt; &amp; %s {0}" in page


def test_lets_nothing_of_a_path_be_markup(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state.STATE / "status").write_text("failed")
    folder = home / "<i>a&b"
    state.STATE.rename(folder)
    monkeypatch.setattr(state, "STATE", folder)
    page = waiting_page()
    assert "<i>" not in page
    assert f"bash {home}/&lt;i&gt;a&amp;b/payload/current/install.sh" in page


def test_has_a_page_before_there_is_a_log(home: Path) -> None:
    assert "<pre>…</pre>" in waiting_page()


def test_shows_the_last_lines_alone(home: Path) -> None:
    state.INSTALL_LOG.write_text("".join(f"line {line}\n" for line in range(100)))
    page = waiting_page()
    assert "line 99</pre>" in page
    assert page.count("line ") == 12
