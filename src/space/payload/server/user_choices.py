"""Writes only what a person has chosen into marimo's configuration file.

marimo 0.25.2 writes all settings with each change of one. The defaults of that day would be the person's
choices from then on, and a later change of the environment's settings would not reach them.

src/space/README.md lists the private interface that this module uses.
"""

import importlib
import sys
import tomllib
from pathlib import Path
from typing import Any


def save_only_choices() -> None:
    from marimo._config.manager import UserConfigStore

    save = UserConfigStore.save_config

    def save_config(self: Any, config: Any) -> Any:
        before = self.read()
        saved = save(self, config)
        try:
            keep_choices(Path(self.get_config_path()), before, config)
        except Exception as error:
            print(f"sagemaker-marimo: all of marimo's settings were saved: {error!r}", file=sys.stderr)
        return saved

    store: Any = UserConfigStore
    store.save_config = save_config


def keep_choices(file: Path, *choices: Any) -> None:
    tomlkit: Any = importlib.import_module("tomlkit")  # marimo's own, which mypy does not find
    # Not in place: on a full disk, the choices would be lost. The file can be a link to one in a repository.
    file = file.resolve()
    new = file.with_name(f".{file.name}.new")
    new.write_text(tomlkit.dumps(chosen(tomllib.loads(file.read_text()), *choices), sort_keys=True))
    new.replace(file)


def chosen(written: dict[str, Any], *choices: Any) -> dict[str, Any]:
    """The settings that are in one of the choices, with the values that marimo wrote."""
    kept = {}
    for name, value in written.items():
        inner = [choice[name] for choice in choices if name in choice]
        if inner and isinstance(value, dict):
            kept[name] = chosen(value, *[one for one in inner if isinstance(one, dict)])
        elif inner:
            kept[name] = value
    return kept
