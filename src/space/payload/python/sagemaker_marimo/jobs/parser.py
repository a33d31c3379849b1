"""Runs marimo notebooks as SageMaker Processing jobs: a single job, or a sweep.

Exit status of run and logs --follow: the notebook's own status; 65 if the job's files in the bucket are not
those that were sent, so that nothing of them ran; 75 if the job ended without one (platform failure, stop or
time limit); 69 if AWS rejected a request, such as with expired credentials, while the job continues; 2 if
the request was rejected and nothing was sent; 0 if you detached.
For a sweep: 0 if all rows succeeded, 1 if a notebook raised an exception, 75 if some rows did not run.
Exit status of stop: 1 if the job or sweep has already ended.
"""

import argparse
from pathlib import Path

from sagemaker_marimo import state
from sagemaker_marimo.jobs import notify, schedule_parser
from sagemaker_marimo.jobs.sweep_command import DEFAULT_MAX_COST


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--bucket", help="the environment's bucket (default: MARIMO_BUCKET, or the space's)")
    common.add_argument("--region", help="the environment's region (default: AWS_REGION, or the space's)")
    common.add_argument(
        "--user", metavar="NAME", help="your user profile (default: MARIMO_USER, or the space's owner)"
    )
    main_parser = argparse.ArgumentParser(
        "marimo-job", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run_parser = commands.add_parser(
        "run", parents=[common], help="run a notebook", usage="%(prog)s NOTEBOOK [OPTION…] [-- ARGUMENT…]"
    )
    run_parser.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    run_parser.add_argument(
        "--instance", metavar="TYPE", help="such as ml.m5.large (default: the environment's)"
    )
    run_parser.add_argument(
        "--image", metavar="URI", help="default: the environment's, for GPUs on instance types that have one"
    )
    run_parser.add_argument(
        "--secret",
        dest="secrets",
        action="append",
        default=[],
        metavar="NAME=ARN",
        help="put a secret of AWS Secrets Manager into the notebook's environment variable NAME",
    )
    run_parser.add_argument("--time-limit", type=int, metavar="MINUTES", help="default: the maximum allowed")
    run_parser.add_argument("--volume", type=int, metavar="GB", help="default: the environment's")
    run_parser.add_argument(
        "--with",
        dest="others",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="also send this file or folder beside the notebook; imported modules are sent automatically",
    )
    run_parser.add_argument(
        "--lock", type=Path, metavar="FILE", help="requirements with hashes (default: NOTEBOOK.lock)"
    )
    run_parser.add_argument(
        "--notify",
        nargs="?",
        const="both",
        choices=notify.CHOICES,
        help="send an e-mail at the end to the addresses of `marimo-job notify` (without a value: both). "
        "Not of a job that AWS ends before the container starts, such as for lack of capacity, nor of a Spot "
        "job that is stopped",
    )
    run_parser.add_argument("--detach", action="store_true", help="do not wait for the job to end")
    run_parser.add_argument(
        "--dry-run", action="store_true", help="print the request and its cost, send nothing"
    )
    _add_output(run_parser)
    _add_json(run_parser)
    _add_training_options(run_parser)
    _add_sweep_options(run_parser)
    list_parser = commands.add_parser(
        "list", parents=[common], help="list the environment's jobs, newest first"
    )
    list_parser.add_argument("--most", type=int, default=20, metavar="N", help="default: %(default)s")
    _add_json(list_parser)
    texts = {
        "logs": "print a job's log",
        "stop": "stop a job or a sweep",
        "open": "download a job's page and print its address",
        "status": "print a job's status",
    }
    for name, text in texts.items():
        sub = commands.add_parser(name, parents=[common], help=text)
        sub.add_argument("job", metavar="JOB")
        if name == "logs":
            follow_text = "follow the log until the job ends, then download its output"
            sub.add_argument("--follow", action="store_true", help=follow_text)
        if name in ("logs", "open"):
            _add_output(sub)
        if name == "status":
            _add_json(sub)
    resume_parser = commands.add_parser(
        "resume", parents=[common], help="continue a sweep and collect its table, or a paused schedule"
    )
    resume_parser.add_argument("sweep", metavar="SWEEP")
    resume_parser.add_argument("--detach", action="store_true", help="do not wait for the sweep to end")
    _add_cost_option(resume_parser)
    _add_output(resume_parser)
    sweep_parser = commands.add_parser("sweep", parents=[common], help="print a sweep's status")
    sweep_parser.add_argument("sweep", metavar="SWEEP")
    notify_parser = commands.add_parser(
        "notify",
        parents=[common],
        help="list, add or remove the addresses of --notify",
        description="Lists your e-mail addresses for --notify, or adds or removes one.",
    )
    notify_parser.add_argument("address", nargs="?", metavar="ADDRESS", help="add this address")
    notify_parser.add_argument("--remove", action="store_true", help="remove the address instead")
    schedule_parser.add(commands, common, run_parser)
    return main_parser


def _add_output(sub: argparse.ArgumentParser) -> None:
    text = "the folder in which a folder with the job's name is created (default: ~/marimo-jobs)"
    # Not the current folder: it is often a git repository.
    sub.add_argument("--output", type=Path, default=state.HOME / "marimo-jobs", metavar="FOLDER", help=text)


def _add_json(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--json", action="store_true", help="print JSON")


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of training jobs to those of `run`."""
    group = parser.add_argument_group(
        "training", "With any of these, the notebook runs as a training job; otherwise as a processing job."
    )
    group.add_argument("--spot", action="store_true", help="on Spot instances, which AWS may interrupt")
    group.add_argument(
        "--wait",
        type=int,
        metavar="MINUTES",
        help="time limit of a Spot job with waiting for capacity (default: twice --time-limit)",
    )
    group.add_argument(
        "--nodes",
        type=_count,
        default=1,
        metavar="N",
        help="run the notebook on N instances at once, which reach one another (default: %(default)s)",
    )
    group.add_argument(
        "--warm",
        type=_count,
        metavar="MINUTES",
        help="keep the instances for the next job with the same instances and volume; they cost as much "
        "as busy ones",
    )
    group.add_argument(
        "--checkpoints",
        action="store_true",
        help="upload sagemaker_marimo.job.checkpoint_folder while the job runs, and restore it after an "
        "interruption",
    )


def _add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of sweeps to those of `run`."""
    group = parser.add_argument_group(
        "sweep", "One job for each row of a grid. The bucket has its state and results."
    )
    group.add_argument(
        "--each",
        type=Path,
        metavar="GRID.csv",
        help="run the notebook once for each row, with --COLUMN=VALUE for each non-empty cell",
    )
    group.add_argument(
        "--parallel", type=_count, default=4, metavar="N", help="jobs at the same time (default: %(default)s)"
    )
    group.add_argument(
        "--attempts",
        type=_count,
        default=3,
        metavar="N",
        help="attempts for a row that AWS interrupts (default: %(default)s); a row whose notebook raises an "
        "exception is not retried",
    )
    _add_cost_option(group)
    group.add_argument(
        "--then",
        metavar="NOTEBOOK",
        help="a notebook to run after all rows; its option --rows is the folder of their outputs",
    )
    group.add_argument(
        "--table",
        default="result.csv",
        metavar="FILE",
        help="the CSV file that each row's notebook writes for the sweep's table (default: %(default)s)",
    )


def _add_cost_option(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--max-cost",
        type=_dollars,
        metavar="USD",
        help="reject a sweep that may cost more (rows x attempts x time limit x price); default: "
        f"{DEFAULT_MAX_COST:.0f} USD; none: no limit",
    )


def _dollars(text: str) -> float:
    if text == "none":
        return float("inf")
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} must be greater than 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return value
