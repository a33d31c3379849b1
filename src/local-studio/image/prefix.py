"""The app's own prefix, the equivalent of /opt/conda, and the environment variables that belong to it."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# Variables of this machine that configure package indexes and caches. They do not exist on AWS.
THIS_MACHINE = re.compile(r"(?i)(https?|all|no)_proxy$|SSL_CERT_(FILE|DIR)$|(UV|PIP)_")
SYSTEM_PATH = tuple(Path(folder) for folder in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"))

# /etc/jupyter/jupyter_server_config.py of SageMaker Distribution 4.5.2, without the settings of extensions
# that are not installed here. compress_response matters because tornado compresses marimo's event stream.
IMAGE_JUPYTER_CONFIG = """
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}
c.ServerApp.tornado_settings = {"compress_response": True}
c.FileContentsManager.delete_to_trash = False
c.FileContentsManager.always_delete_dir = True
c.ContentsManager.allow_hidden = True
# The image's jupyter-activity-monitor-extension reads a file in /tmp. On AWS each app has its own /tmp.
import os
from jupyter_activity_monitor_extension import idle_status_detector
read = idle_status_detector.LocalFileActiveTimestampChecker.read_last_active_timestamp
read.__defaults__ = (os.environ["SAGEMAKER_LAST_ACTIVE_TIMESTAMP"],)
"""

GATEWAY_GUARD = Path(__file__).with_name("gateway_guard.py")


def make_prefix(prefix: Path, gateway_token: str = "") -> None:
    """Creates the app's /opt/conda: a writable prefix with the packages of the shared virtual environment.

    It is created again at each start, because Studio resets /opt/conda.
    """
    image = Path(sys.prefix)
    shutil.rmtree(prefix, ignore_errors=True)
    # In a separate process, because the result of venv depends on how its interpreter was started.
    venv = [sys.executable, "-m", "venv", "--without-pip", str(prefix)]
    subprocess.run(venv, check=True, stdout=sys.stderr)  # noqa: S603  # no shell
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(prefix), "platbase": str(prefix)}))
    # addsitedir also processes the .pth files in that folder.
    image_packages = sysconfig.get_path("purelib")
    (site_packages / "image.pth").write_text(f"import site; site.addsitedir({image_packages!r})\n")
    # The payload finds the prefix by the Python that this script names.
    lab = prefix / "bin/jupyter-lab"
    lab.write_text(f"#!{prefix}/bin/python\nfrom jupyterlab.labapp import main\n\nmain()\n")
    lab.chmod(0o755)
    (prefix / "share").symlink_to(image / "share")
    # The image has two folders, /opt/conda/etc/jupyter and /etc/jupyter.
    config = prefix / "etc/jupyter"
    shutil.copytree(image / "etc/jupyter", config)
    server_config = config / "jupyter_server_config.py"
    server_config.touch()
    server_config.chmod(0o600)  # the file contains the token
    guard = f"{GATEWAY_GUARD.read_text()}\nlet_in_gateway_only({gateway_token!r})\n" if gateway_token else ""
    server_config.write_text(IMAGE_JUPYTER_CONFIG + guard)


def base_environment(home: Path, prefix: Path) -> dict[str, str]:
    """The environment variables of every container of the image, and those that this machine needs."""
    # The order of the image's Dockerfile: the prefix first, the user's own programs last.
    path = [prefix / "bin", Path(sys.prefix) / "bin", *SYSTEM_PATH, home / ".local/bin"]
    return {
        **{name: value for name, value in os.environ.items() if THIS_MACHINE.match(name)},
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108  # the default of most programs
        "SHELL": "/bin/bash",
        "USER": "sagemaker-user",
        "HOME": str(home),
        "CONDA_PREFIX": str(prefix),
        "PATH": os.pathsep.join(map(str, path)),
    }
