"""Which private interfaces are missing in a newer jupyter-server-proxy, and what the space does then."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import simpervisor
from jupyter_server_proxy import config, handlers
from tornado.httputil import HTTPHeaders, HTTPServerRequest

from sagemaker_marimo import private_interfaces, runtime_dir, state, stock_server, tested_versions
from sagemaker_marimo.checks import upgrades
from sagemaker_marimo.checks.problem import Findings, Problem
from sagemaker_marimo.private_interfaces import (
    CALLED,
    OVERRIDDEN,
    missing_in_marimo,
    missing_in_page,
    missing_in_proxy,
)

Newer = Callable[..., None]


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Newer:
    """Replaces the handler by one of a newer version, without or with another method of a name."""

    def replace(name: str, method: object = None) -> None:
        real = handlers.SuperviseAndProxyHandler
        members = {one: getattr(real, one) for one in (*OVERRIDDEN, *CALLED, "port")}
        del members[name]
        if method:
            members[name] = method
        monkeypatch.setattr(handlers, "SuperviseAndProxyHandler", type("Newer", (), members))

    return replace


def test_nothing_is_missing_in_the_images_version() -> None:
    assert missing_in_proxy() == []


@pytest.mark.parametrize("name", [*OVERRIDDEN, *CALLED, "port"])
def test_a_method_that_is_gone(name: str, newer: Newer) -> None:
    newer(name)
    assert missing_in_proxy() == [f"SuperviseAndProxyHandler.{name}"]


def test_another_signature(newer: Newer) -> None:
    async def proxy(self: Any, port: int, path: str, scheme: str = "http") -> None: ...

    newer("proxy", proxy)
    assert missing_in_proxy() == ["SuperviseAndProxyHandler.proxy"]


def test_a_coroutine_that_became_a_function(newer: Newer) -> None:
    def ensure_process(self: Any) -> None: ...

    newer("ensure_process", ensure_process)
    assert missing_in_proxy() == ["SuperviseAndProxyHandler.ensure_process"]


@pytest.mark.parametrize("is_optional", [True, False])
def test_a_new_parameter_of_a_method_that_is_only_called(is_optional: bool, newer: Newer) -> None:
    def get_cmd(self: Any, shell: bool = False) -> None: ...

    def get_cmd_of(self: Any, shell: bool) -> None: ...

    newer("get_cmd", get_cmd if is_optional else get_cmd_of)
    assert missing_in_proxy() == ([] if is_optional else ["SuperviseAndProxyHandler.get_cmd"])


def test_an_older_version_without_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(config.ServerProcess, "get_proxy_base_class")
    assert missing_in_proxy() == ["ServerProcess.get_proxy_base_class"]


def test_another_simpervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(simpervisor.SupervisedProcess, "kill")
    assert missing_in_proxy() == ["SupervisedProcess.kill"]


def test_modules_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jupyter_server_proxy.handlers", None)
    (missing,) = missing_in_proxy()
    assert missing.startswith("a working import (")


def test_what_a_page_lacks() -> None:
    page = '<head><marimo-server-token data-token="x">'
    assert missing_in_page(page) == []
    assert missing_in_page(page.replace("<head>", '<head lang="en">')) == ["<head>"]


def test_finds_what_marimo_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    for module, names in private_interfaces.OF_MARIMO.items():
        file = tmp_path / f"{module.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        owners = {name.partition(".")[0] for name in names}
        members = " = ".join(name.partition(".")[2] or "none" for name in names)
        file.write_text("".join(f"class {owner}:\n    {members} = 1\n" for owner in owners))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert missing_in_marimo(tmp_path) == []
    (tmp_path / "marimo/_runtime/runtime.py").write_text("")
    (tmp_path / "marimo/_server/recents.py").write_text("class RecentFilesManager: pass")
    assert missing_in_marimo(tmp_path) == [
        "marimo._runtime.runtime.launch_kernel",
        "marimo._server.recents.RecentFilesManager.get_recents",
    ]


class TestJupytersConfiguration:
    @pytest.fixture
    def entries(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], dict[str, Any]]:
        monkeypatch.setattr(state, "STATE", tmp_path)

        def configure() -> dict[str, Any]:
            from traitlets.config import Config

            from sagemaker_marimo import extension, jupyter_config

            monkeypatch.setattr(extension, "entries", {})
            monkeypatch.setattr(extension, "is_stock", False)
            monkeypatch.setattr(runtime_dir, "provide", lambda: None)
            read = Config()
            read.ServerProxy.servers = {}
            jupyter_config.configure(read)
            assert extension.is_stock == isinstance(extension.entries["marimo"], dict)
            return extension.entries

        return configure

    def test_has_this_spaces_handler(
        self, entries: Callable[[], dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert isinstance(entries()["marimo"], config.ServerProcess)
        assert capsys.readouterr().err == ""

    def test_falls_back_to_documented_options(
        self, newer: Newer, entries: Callable[[], dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        newer("ensure_process")
        entry = entries()["marimo"]
        process = config.ServerProcess(name="marimo", **entry)
        assert process.request_headers_override["Authorization"].startswith("Bearer ")
        assert "does not have SuperviseAndProxyHandler.ensure_process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "path", "site", "is_rejected"),
    [
        ("GET", "/lab/marimo/", "cross-site", False),
        ("POST", "/lab/marimo/api/kernel/run", "same-origin", False),
        ("POST", "/lab/marimo/api/kernel/run", "cross-site", True),
        ("GET", "/lab/marimo/sse", "same-origin", False),
        ("GET", "/lab/marimo/sse", "cross-site", True),
        ("GET", "/lab/marimo/%73se/", "cross-site", True),
        ("POST", "/lab/api/contents", "cross-site", False),
    ],
)
def test_the_stock_handler_gets_no_request_of_another_origin(
    method: str, path: str, site: str, is_rejected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = stock_server.guard("/lab/marimo").matcher
    request = HTTPServerRequest(method, path, headers=HTTPHeaders({"Sec-Fetch-Site": site}))
    monkeypatch.setattr(state, "installed_environment", lambda: Path("/environment"))
    assert (guarded.match(request) is not None) == is_rejected
    monkeypatch.setattr(state, "installed_environment", lambda: None)
    assert (guarded.match(request) is not None) == path.startswith("/lab/marimo")


class TestDoctor:
    @pytest.fixture
    def environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        monkeypatch.setattr(state, "installed_environment", lambda: tmp_path)
        monkeypatch.setattr(private_interfaces, "missing_in_marimo", lambda _: [])
        return tmp_path

    @pytest.mark.parametrize(
        ("version", "is_newer"),
        [("0.25.2", False), ("0.25.1", False), ("0.9.30", False), ("0.25.10", True), ("1.0.0", True)],
    )
    def test_names_a_newer_marimo(
        self, version: str, is_newer: bool, environment: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(tested_versions.TESTED, "marimo", "0.25.2")
        folder = environment / f"lib/python3.12/site-packages/marimo-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: marimo\nVersion: {version}\n")
        found = upgrades.tested_versions(Findings())
        assert f"marimo {version}" in found
        assert found.startswith("newer than tested") == is_newer

    def test_names_a_newer_image(self, environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "none is newer" in upgrades.tested_versions(Findings())
        monkeypatch.setitem(tested_versions.TESTED, "jupyterlab", "4.0.0")
        assert "(tested: 4.0.0). If something fails" in upgrades.tested_versions(Findings())

    def test_finds_what_the_proxy_lacks(self, environment: Path, newer: Newer) -> None:
        assert upgrades.interfaces(Findings()).startswith("jupyter-server-proxy and marimo have")
        newer("open")
        with pytest.raises(Problem, match=r"Handler\.open: marimo runs with its own"):
            upgrades.interfaces(Findings())

    def test_finds_what_marimos_page_lacks(self, environment: Path) -> None:
        assert upgrades.interfaces(Findings(page="<head><marimo-server-token>"))
        with pytest.raises(Problem, match="marimo's page does not have <head>"):
            upgrades.interfaces(Findings(page="<HEAD><marimo-server-token>"))

    def test_finds_what_marimo_lacks(self, environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(private_interfaces, "missing_in_marimo", lambda _: ["DEFAULT_CONFIG"])
        with pytest.raises(Problem, match="marimo does not have DEFAULT_CONFIG: it opens"):
            upgrades.interfaces(Findings())


PAYLOAD = Path(state.__file__).parents[2]


def unlisted(pattern: str, text: str) -> set[str]:
    """What matches a pattern and is not in the list of src/space/README.md."""
    names = set(re.findall(pattern, text))
    assert names, "the pattern matches nothing"
    readme = (PAYLOAD.parent / "README.md").read_text()
    return {name for name in names if not re.search(rf"[`. ]{re.escape(name)}[`. ]", readme)}


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        (r"\bapi/(?:status/|kernel/|home/|sessions)[a-z_/]*[a-z]", "python/sagemaker_marimo/**/*.*"),
        (r"from (marimo\._[\w.]+) import", "server/*.py"),
        (r'"(--[a-z-]+)"', "python/sagemaker_marimo/marimo_command.py"),
    ],
)
def test_the_list_of_interfaces_is_complete(pattern: str, files: str) -> None:
    sources = [file for file in PAYLOAD.glob(files) if file.suffix in (".py", ".js")]
    assert unlisted(pattern, "\n".join(file.read_text() for file in sources)) == set()
    assert unlisted(pattern, 'api/kernel/gone from marimo._gone import x "--gone"'), "control"
