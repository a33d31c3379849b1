"""marimo's own command line with one default changed: a notebook's cells run when it is opened.

marimo leaves them stale until someone runs them ([runtime] auto_instantiate = false). Its environment
variable for that setting outranks the person's marimo.toml, and that file is not ours to write.
"""

import sys


def main() -> None:
    try:
        from marimo._config.config import DEFAULT_CONFIG  # private: marimo 0.25.2

        DEFAULT_CONFIG["runtime"]["auto_instantiate"] = True
    except Exception as error:
        print(f"sagemaker-marimo: cells will not run when a notebook is opened: {error!r}", file=sys.stderr)

    from marimo._cli.cli import main as marimo

    marimo(prog_name="marimo")


# marimo's kernels are spawned by multiprocessing, which imports this file again.
if __name__ == "__main__":
    main()
