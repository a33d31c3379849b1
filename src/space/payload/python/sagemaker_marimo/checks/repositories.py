"""Check of the environment's repositories, which a new home gets."""

from sagemaker_marimo import repositories as repositories_
from sagemaker_marimo.checks.problem import INSTALL_AGAIN, Findings, Problem


def repositories(_: Findings) -> str:
    waiting = repositories_.read_waiting()
    if waiting:
        reasons = [f"{url}: {reason or 'not cloned yet'}" for url, reason in waiting.items()]
        raise Problem(
            f"{len(waiting)} not cloned\n       " + "\n       ".join(reasons),
            f"Each start of the space tries again. To try now:\n{INSTALL_AGAIN}",
        )
    return "none is waiting to be cloned"
