"""Says in a terminal that packages were put into the image, which each start of the app resets.

bash runs PROMPT_COMMAND before each prompt. This one takes about 3 ms for 600 packages. It notices each
installer: pip, `python -m pip`, uv, conda, and `%pip` in a notebook. Commands and scripts stay as they are. A
~/.bashrc that replaces PROMPT_COMMAND turns the notice off.
"""

import os
import shlex
import sysconfig

TEXT = (
    "sagemaker-marimo: the image's packages were changed, and the next start of the space resets them.\n"
    "To keep one, use marimo's package panel, `uv pip install` in marimo's terminal, or ~/requirements.txt."
)
COMMAND = """_marimo_packages=({site}/*.dist-info)
[[ -z ${{_marimo_before-}} || "${{_marimo_packages[*]}}" == "$_marimo_before" ]] || echo {text} >&2
_marimo_before="${{_marimo_packages[*]}}\""""


def terminal_environment() -> dict[str, str]:
    """Environment variables for terminals."""
    site = shlex.quote(sysconfig.get_path("purelib"))
    notice = COMMAND.format(site=site, text=shlex.quote(TEXT))
    return {"PROMPT_COMMAND": "\n".join(filter(None, [os.environ.get("PROMPT_COMMAND"), notice]))}
