"""Checks that an upgrade of the image or of marimo can fail."""

from html import escape

from sagemaker_marimo import private_interfaces, state
from sagemaker_marimo.checks.problem import RESTART, Findings, Problem
from sagemaker_marimo.tested_versions import installed, newer_than_tested


def tested_versions(_: Findings) -> str:
    """A newer version is not a failure, because most work."""
    environment = state.installed_environment() or state.STATE
    versions = ", ".join(f"{name} {version}" for name, version in installed(environment))
    if newer := newer_than_tested(environment):
        return f"newer than tested: {', '.join(newer)}. If something fails, report these versions"
    return f"{versions}: none is newer than the tested ones"


def interfaces(findings: Findings) -> str:
    remedy = (
        "Ask the administrator of this Studio domain for the versions that were tested: see the check "
        f"`tested versions`.\n{RESTART}"
    )
    missing = private_interfaces.missing_in_proxy()
    if missing:
        what = f"{private_interfaces.proxy_version()} does not have {', '.join(missing)}"
        raise Problem(f"{what}: marimo runs with its own connection", remedy)
    environment = state.installed_environment()
    if environment and (missing := private_interfaces.missing_in_marimo(environment)):
        what = f"marimo does not have {', '.join(missing)}"
        raise Problem(f"{what}: it opens notebooks as marimo itself does", remedy)
    if findings.page and (missing := private_interfaces.missing_in_page(findings.page)):
        raise Problem(f"marimo's page does not have {', '.join(missing)}: it has its own connection", remedy)
    if escape(private_interfaces.OWN_CONNECTION) in findings.page:
        raise Problem(f"{private_interfaces.OWN_CONNECTION}: it has its own connection", remedy)
    return "jupyter-server-proxy and marimo have those that this space uses"
