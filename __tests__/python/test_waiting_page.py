from pathlib import Path

import pytest

from sagemaker_marimo import state
from sagemaker_marimo.waiting_page import installation_page, packages_page


def test_shows_the_installation_and_reloads_itself(home: Path) -> None:
    state.INSTALL_LOG.write_text("installing marimo==1.2.3\n")
    page = installation_page()
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "<h1>marimo is being installed</h1>" in page
    assert "<pre>installing marimo==1.2.3</pre>" in page


def test_shows_the_error_and_a_remedy(home: Path) -> None:
    (state.STATE / "status").write_text("failed\n")
    state.INSTALL_LOG.write_text("no route to the index\n")
    page = installation_page()
    assert '<meta http-equiv="refresh" content="10">' in page
    assert "<h1>marimo could not be installed</h1>" in page
    assert "<pre>no route to the index</pre>" in page
    assert f"bash {home}/.state/payload/current/install.sh" in page
    assert f"{home}/.state/log/install.log" in page


@pytest.mark.parametrize("status", ["installing", "failed"])
def test_escapes_the_log(status: str, home: Path) -> None:
    (state.STATE / "status").write_text(status)
    state.INSTALL_LOG.write_text('</pre><script>alert("{seconds}")</script> & %s {0}\n')
    page = installation_page()
    assert "<script" not in page
    assert "&lt;/pre&gt;&lt;script&gt;alert(&quot;{seconds}&quot;)&lt;/script&gt; &amp; %s {0}" in page


def test_escapes_paths(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state.STATE / "status").write_text("failed")
    folder = home / "<i>a&b"
    state.STATE.rename(folder)
    monkeypatch.setattr(state, "STATE", folder)
    page = installation_page()
    assert "<i>" not in page
    assert f"bash {home}/&lt;i&gt;a&amp;b/payload/current/install.sh" in page


def test_shows_a_page_without_a_log(home: Path) -> None:
    assert "<pre>…</pre>" in installation_page()


def test_shows_only_the_last_lines(home: Path) -> None:
    state.INSTALL_LOG.write_text("".join(f"line {line}\n" for line in range(100)))
    page = installation_page()
    assert "line 99</pre>" in page
    assert page.count("line ") == 12


def test_says_that_packages_are_being_installed_and_offers_to_go_on(home: Path) -> None:
    state.INSTALL_LOG.write_text("Resolved <3> packages\n")
    page = packages_page("installing", '?file="a&b.py')
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "<h1>Installing the packages of ~/requirements.txt</h1>" in page
    assert '<a href="?file=&quot;a&amp;b.py">Open marimo now</a>' in page
    assert "<pre>Resolved &lt;3&gt; packages</pre>" in page


def test_says_why_packages_could_not_be_installed_and_where_the_log_is(home: Path) -> None:
    state.INSTALL_LOG.write_text("no-such was not found\n")
    page = packages_page("failed", "?now")
    assert "<h1>The packages of ~/requirements.txt could not be installed</h1>" in page
    assert '<a href="?now">Open marimo without them</a>' in page
    assert "<pre>no-such was not found</pre>" in page
    assert f"<code>{home}/.state/log/install.log</code>" in page
