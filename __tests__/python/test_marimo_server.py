"""marimo's command line in a space: what is changed. notebook-files.test.ts tests it with the real marimo."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sagemaker_marimo import state


@dataclass
class Key:
    """Like marimo's SessionCacheKey."""

    marimo_version: str
    codes: tuple[str, ...] = ("1",)
    cell_ids: tuple[str, ...] = ("Hbol",)


class Manager:
    """Like marimo's SessionCacheManager."""

    def __init__(self) -> None:
        self.session_view = SimpleNamespace(cell_notifications={}, last_executed_code={})

    def is_cache_hit(self, session: dict[str, Any], key: Key) -> bool:
        return bool(
            session["metadata"]["marimo_version"] == key.marimo_version and session["codes"] == key.codes
        )

    def read_session_view(self, key: Key) -> SimpleNamespace:
        if key.codes == ("unreadable",):
            raise ValueError(key)
        self.session_view.cell_notifications["Hbol"] = "results"
        return self.session_view


@pytest.fixture
def defaults(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A fake marimo that has its own default, and whose command line does nothing."""
    config: dict[str, Any] = {"runtime": {"auto_instantiate": False}}
    packages = (
        "marimo",
        "marimo._config",
        "marimo._cli",
        "marimo._runtime",
        "marimo._utils",
        "marimo._session",
        "marimo._session.state",
        "marimo._server",
    )
    modules = (
        "marimo._config.config",
        "marimo._cli.cli",
        "marimo._runtime.runtime",
        "marimo._runtime.commands",
        "marimo._utils.file_watcher",
        "marimo._session.state.serialize",
        "marimo._server.start",
    )
    for name in (*packages, *modules):
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        package, _, last = name.rpartition(".")
        if package:
            setattr(sys.modules[package], last, module)
    monkeypatch.setattr(
        sys.modules["marimo._runtime.commands"], "AppMetadata", SimpleNamespace, raising=False
    )
    monkeypatch.setattr(sys.modules["marimo._config.config"], "DEFAULT_CONFIG", config, raising=False)
    monkeypatch.setattr(sys.modules["marimo._cli.cli"], "main", lambda **_: None, raising=False)
    manager = type("Manager", (), dict(vars(Manager)))
    monkeypatch.setattr(
        sys.modules["marimo._session.state.serialize"], "SessionCacheManager", manager, raising=False
    )
    monkeypatch.delenv("MARIMO_RUN_ON_OPEN", raising=False)
    runtime: dict[str, Any] = config["runtime"]
    return runtime


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that marimo serves. The server's own working folder is beside it."""
    served, own = tmp_path / "served", tmp_path / "own"
    served.mkdir()
    own.mkdir()
    monkeypatch.chdir(own)
    monkeypatch.setattr(sys, "argv", ["marimo_server.py", "--quiet", "edit", str(served)])
    return served


def run(name: str = "__main__") -> dict[str, Any]:
    file = Path(state.__file__).parents[2] / "server/marimo_server.py"
    variables: dict[str, Any] = {"__name__": name}
    exec(compile(file.read_text(), str(file), "exec"), variables)  # noqa: S102
    return variables


def manager() -> Any:
    return sys.modules["marimo._session.state.serialize"].SessionCacheManager()


@pytest.mark.parametrize(("setting", "runs"), [(None, False), ("false", False), ("true", True)])
def test_cells_run_on_opening_only_with_the_setting(
    setting: str | None, runs: bool, defaults: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting:
        monkeypatch.setenv("MARIMO_RUN_ON_OPEN", setting)
    run()
    assert defaults["auto_instantiate"] is runs


@pytest.mark.usefixtures("defaults")
def test_results_of_another_marimo_version_are_used() -> None:
    session = {"metadata": {"marimo_version": "0.25.1"}, "codes": ("1",)}
    assert not manager().is_cache_hit(session, Key("0.25.2")), "marimo's own answer"
    run()
    assert manager().is_cache_hit(session, Key("0.25.2"))
    assert not manager().is_cache_hit({**session, "codes": ("2",)}, Key("0.25.2")), "of other code"


@pytest.mark.usefixtures("defaults")
def test_results_that_cannot_be_read_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run()
    assert manager().read_session_view(Key("0.25.2")).cell_notifications == {"Hbol": "results"}
    assert manager().read_session_view(Key("0.25.2", ("unreadable",))).cell_notifications == {}
    assert "the session cache cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("defaults")
def test_the_cache_keeps_the_code_of_its_results_before_the_page_sends_it() -> None:
    key = Key("0.25.2", ("1", "2"), ("Hbol", "MJUe"))
    assert manager().read_session_view(key).last_executed_code == {}, "marimo's own answer"
    run()
    assert manager().read_session_view(key).last_executed_code == {"Hbol": "1"}, "MJUe has no results"


def test_marimo_starts_without_that_default(
    defaults: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MARIMO_RUN_ON_OPEN", "true")
    monkeypatch.delattr(sys.modules["marimo._config.config"], "DEFAULT_CONFIG")
    run()
    assert "cells will not run when a notebook is opened" in capsys.readouterr().err


@pytest.fixture
def kernel(defaults: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """marimo's function that runs a kernel. It notes the working folder and what it was called with."""
    seen: dict[str, Any] = {}

    def launch_kernel(*args: Any) -> None:
        seen.update(folder=Path.cwd(), args=args)

    monkeypatch.setattr(sys.modules["marimo._runtime.runtime"], "launch_kernel", launch_kernel, raising=False)
    return seen


def launch(*args: Any) -> None:
    """What happens in a kernel's process, which imports the server's file under another name."""
    run("__mp_main__")["launch_kernel"](*args)


def test_a_kernel_runs_in_its_notebooks_folder(kernel: dict[str, Any], folder: Path) -> None:
    (folder / "reports").mkdir()
    metadata = SimpleNamespace(filename=str(folder / "reports/daily.py"))
    launch("queue", metadata, True)
    assert kernel == {"folder": folder / "reports", "args": ("queue", metadata, True)}


def test_a_new_notebook_runs_in_the_served_folder(kernel: dict[str, Any], folder: Path) -> None:
    launch(SimpleNamespace(filename=None))
    assert kernel["folder"] == folder


@pytest.mark.parametrize("arguments", [(SimpleNamespace(filename="/nowhere/a.py"),), ("unknown",)])
def test_a_kernel_starts_even_so(
    arguments: tuple[Any, ...], kernel: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(*arguments)
    assert kernel == {"folder": folder.parent / "own", "args": arguments}
    assert f"cells run in {folder.parent / 'own'}: " in capsys.readouterr().err


@pytest.mark.parametrize(("command", "is_own"), [("edit", True), ("run", False)])
def test_the_editor_stays_in_its_folder_and_apps_run_in_the_gallerys(
    command: str, is_own: bool, kernel: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["marimo_server.py", "--quiet", command, str(folder)])
    runtime: Any = sys.modules["marimo._runtime.runtime"]
    marimos: Callable[..., None] = runtime.launch_kernel
    variables = run()
    assert Path.cwd() == (folder.parent / "own" if is_own else folder)
    # A thread of the apps' server must not change the folder of all.
    assert runtime.launch_kernel is (variables["launch_kernel"] if is_own else marimos)


@pytest.mark.parametrize(("command", "polls"), [("edit", sys.maxsize), ("run", 5)])
def test_the_editor_watches_a_file_as_long_as_it_is_missing(
    command: str, polls: int, kernel: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = SimpleNamespace(MAX_MISSING_POLLS=5)
    monkeypatch.setattr(
        sys.modules["marimo._utils.file_watcher"], "PollingFileWatcher", watcher, raising=False
    )
    monkeypatch.setattr(sys, "argv", ["marimo_server.py", "--quiet", command, str(folder)])
    run()
    assert vars(watcher) == {"MAX_MISSING_POLLS": polls}


def test_marimo_starts_without_its_private_names(
    defaults: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher = SimpleNamespace()
    monkeypatch.setattr(
        sys.modules["marimo._utils.file_watcher"], "PollingFileWatcher", watcher, raising=False
    )
    run()
    output = capsys.readouterr().err
    assert "cells will not run in their notebook's folder: AttributeError" in output
    assert "a notebook that is deleted and comes back will not be shown: AttributeError" in output
    assert vars(watcher) == {}


@pytest.fixture
def app(defaults: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """marimo's web application, with the middleware that was added to it."""
    app: dict[str, Any] = {"middleware": None, "options": None}

    def create_starlette_app(**options: Any) -> Any:
        app["options"] = options
        return SimpleNamespace(add_middleware=lambda added: app.update(middleware=added))

    start: Any = sys.modules["marimo._server.start"]
    monkeypatch.setattr(start, "create_starlette_app", create_starlette_app, raising=False)
    return app


def seen_by_marimo(middleware: Any, *scopes: dict[str, Any], status: int = 200) -> list[Any]:
    """The paths that marimo gets."""
    found = []

    async def marimo(scope: dict[str, Any], _: Any, send: Any) -> None:
        found.append(scope.get("path"))
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body"})

    async def send_all() -> None:
        async def browser(_: Any) -> None:
            pass

        for scope in scopes:
            await middleware(marimo)(scope, None, browser)

    asyncio.run(send_all())
    return found


@pytest.fixture
def middleware(app: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """marimo's middleware in Code Editor."""
    monkeypatch.syspath_prepend(str(Path(state.__file__).parents[2] / "server"))
    monkeypatch.setenv("MARIMO_PROXY_BASE_PATH", "/codeeditor/default")
    run()
    sys.modules["marimo._server.start"].create_starlette_app(base_url="/codeeditor/default/absports/1")
    assert app["options"] == {"base_url": "/codeeditor/default/absports/1"}
    return app["middleware"]


def test_code_editors_proxy_leaves_out_the_first_part_of_paths(middleware: Any) -> None:
    assert seen_by_marimo(
        middleware,
        {"type": "http", "path": "/absports/1/api/status"},
        {"type": "websocket", "path": "/absports/1/terminal/ws"},
        {"type": "http", "path": "/codeeditor/default/absports/1/"},
        {"type": "lifespan"},
    ) == [
        "/codeeditor/default/absports/1/api/status",
        "/codeeditor/default/absports/1/terminal/ws",
        "/codeeditor/default/absports/1/",
        None,
    ]


def test_paths_stay_as_they_are_behind_jupyterlab(app: dict[str, Any]) -> None:
    run()
    sys.modules["marimo._server.start"].create_starlette_app()
    assert app["middleware"] is None


@pytest.mark.parametrize(
    ("method", "path", "status", "is_recorded"),
    [
        ("POST", "kernel/set_ui_element_value", 200, True),
        ("POST", "kernel/run", 401, False),
        ("POST", "home/running_notebooks", 200, False),
        ("GET", "kernel/run", 200, False),
    ],
)
def test_actions_in_code_editor_keep_the_space(
    method: str,
    path: str,
    status: int,
    is_recorded: bool,
    middleware: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "last-active"
    monkeypatch.setenv("SAGEMAKER_LAST_ACTIVE_TIMESTAMP", str(file))
    scope = {"type": "http", "method": method, "path": f"/absports/1/api/{path}"}
    seen_by_marimo(middleware, scope, status=status)
    assert file.exists() == is_recorded


def test_actions_are_recorded_at_intervals_and_a_full_disk_does_not_matter(
    middleware: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = middleware(None)
    monkeypatch.setenv("SAGEMAKER_LAST_ACTIVE_TIMESTAMP", str(tmp_path / "nowhere/file"))
    requests.record_action()
    requests.record_action()
    assert capsys.readouterr().err.count("activity cannot be recorded now") == 1
