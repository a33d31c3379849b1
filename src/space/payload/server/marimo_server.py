"""marimo's command line with nine changes, which use private names of marimo 0.25.2:

- With the environment's setting `runOnOpen`, a notebook's cells run when it is opened. marimo's environment
  variable for this would override the user's marimo.toml, and that file is the user's.
- The environment's setting `ai` is a default too, and each request names its guardrail (bedrock_models.py).
- marimo saves only what a person has chosen (user_choices.py).
- A session cache of another marimo version is used. marimo ignores it, and then overwrites it: people would
  lose the results of last time with each update, and with a page that is closed before its kernel is ready.
- Cells run in their notebook's folder, as in Jupyter and in a job. marimo's run in its server's.
- An open page also shows a file's content if the file was deleted for some time, such as by `git checkout`.
  marimo looks for it for five seconds.
- A page's unsaved edits stay when another program changes the file (unsaved_cells.py).
- The editor serves the whole home folder (home_notebooks.py).
- Requests through Code Editor's proxy are understood (code_editor_requests.py).

usage: marimo_server.py --quiet edit|run FOLDER_OR_APP, with marimo's options
"""

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> None:
    command, folder = sys.argv[2:4]
    if os.environ.get("MARIMO_RUN_ON_OPEN") == "true":
        attempt(run_on_open, otherwise="cells will not run when a notebook is opened")
    if setting := os.environ.get("MARIMO_AI"):
        ai = json.loads(setting)
        attempt(lambda: set_ai_defaults(ai), otherwise="marimo does not know the environment's models")
        attempt(lambda: extend_ai_requests(ai), otherwise="requests to models name no guardrail")
    if command == "edit":
        attempt(save_only_choices, otherwise="later defaults do not reach people who change a setting")
        attempt(keep_results_of_other_versions, otherwise="results of another marimo version will be lost")
        attempt(run_in_notebooks_folder, otherwise="cells will not run in their notebook's folder")
        attempt(serve_home, otherwise="marimo opens only what is in its folder")
        attempt(watch_missing_files, otherwise="a notebook that is deleted and comes back will not be shown")
        attempt(
            keep_unsaved_cells, otherwise="unsaved edits are lost when another program changes a notebook"
        )
        if "MARIMO_PROXY_BASE_PATH" in os.environ:
            attempt(handle_code_editors_requests, otherwise="marimo cannot be used in Code Editor")
    else:
        # Apps are threads of the server, and a process has one working folder.
        os.chdir(folder if Path(folder).is_dir() else Path(folder).parent)

    from marimo._cli.cli import main as marimo

    marimo(prog_name="marimo")


def attempt(change: Callable[[], None], *, otherwise: str) -> None:
    """marimo must start even if an upgrade has removed a name."""
    try:
        change()
    except Exception as error:
        print(f"sagemaker-marimo: {otherwise}: {error!r}", file=sys.stderr)


def run_on_open() -> None:
    from marimo._config.config import DEFAULT_CONFIG

    DEFAULT_CONFIG["runtime"]["auto_instantiate"] = True


def set_ai_defaults(ai: dict[str, Any]) -> None:
    import bedrock_models

    bedrock_models.set_defaults(ai)


def extend_ai_requests(ai: dict[str, Any]) -> None:
    import bedrock_models

    bedrock_models.extend_requests(ai)


def save_only_choices() -> None:
    import user_choices

    user_choices.save_only_choices()


def keep_results_of_other_versions() -> None:
    from marimo._session.state.serialize import SessionCacheManager

    is_hit, read = SessionCacheManager.is_cache_hit, SessionCacheManager.read_session_view

    def is_cache_hit(self: Any, session: Any, key: Any) -> bool:
        version = session["metadata"]["marimo_version"]
        return bool(is_hit(self, session, dataclasses.replace(key, marimo_version=version)))

    def read_session_view(self: Any, key: Any) -> Any:
        try:
            view = read(self, key)
            # marimo writes the cache before the page sends the code. Without it, no cell would match.
            for cell, code in zip(key.cell_ids, key.codes, strict=True):
                if cell in view.cell_notifications:
                    view.last_executed_code[cell] = code
        except Exception as error:
            print(f"sagemaker-marimo: the session cache cannot be read: {error!r}", file=sys.stderr)
            return self.session_view
        return view

    SessionCacheManager.is_cache_hit = is_cache_hit
    SessionCacheManager.read_session_view = read_session_view


def serve_home() -> None:
    import home_notebooks

    home_notebooks.serve_home()


def run_in_notebooks_folder() -> None:
    from marimo._runtime import runtime

    replace(runtime, "launch_kernel", launch_kernel)


def watch_missing_files() -> None:
    from marimo._utils.file_watcher import PollingFileWatcher

    replace(PollingFileWatcher, "MAX_MISSING_POLLS", sys.maxsize)


def keep_unsaved_cells() -> None:
    import unsaved_cells

    unsaved_cells.keep_unsaved_cells()


def handle_code_editors_requests() -> None:
    from code_editor_requests import CodeEditorRequests
    from marimo._server import start

    create = start.create_starlette_app

    def create_app(**options: Any) -> Any:
        app = create(**options)
        app.add_middleware(CodeEditorRequests)
        return app

    replace(start, "create_starlette_app", create_app)


def replace(owner: object, name: str, value: object) -> None:
    getattr(owner, name)  # raises AttributeError if an upgrade has renamed it
    setattr(owner, name, value)


def launch_kernel(*args: Any) -> None:
    """Runs in a kernel's own process, where marimo's function is unchanged."""
    from marimo._runtime import runtime

    try:
        from marimo._runtime.commands import AppMetadata

        file = next(arg.filename for arg in args if isinstance(arg, AppMetadata))
        # A new notebook has no file yet. marimo will write it into the folder that it serves.
        os.chdir(Path(file).parent if file else sys.argv[3])
    except Exception as error:
        print(f"sagemaker-marimo: a notebook's cells run in {Path.cwd()}: {error!r}", file=sys.stderr)
    runtime.launch_kernel(*args)


# marimo starts its kernels with multiprocessing, which imports this file again.
if __name__ == "__main__":
    main()
