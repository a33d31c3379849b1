"""From what was asked for to a job: all checks first, then the sources, then the one request."""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import lock, notebook, prices, request, sources
from sagemaker_marimo.jobs.settings import Clients, Environment, Refused, read_object


@dataclass(frozen=True)
class Prepared:
    """A job that nothing speaks against, and of which nothing was sent yet."""

    wish: request.Wish
    sources: sources.Sources
    request: dict[str, Any]
    left_behind: list[str]

    @property
    def name(self) -> str:
        return str(self.request["ProcessingJobName"])

    def cost(self) -> dict[str, str]:
        most = prices.describe(self.wish.instance, self.wish.minutes * 60)
        return {"anHour": prices.describe(self.wish.instance, 3600), "atMostByTheTimeLimit": most}

    def send(self, clients: Clients, environment: Environment) -> int:
        """The number of files that were sent before it."""
        sent = self.sources.upload(clients.s3, environment.bucket)
        clients.sagemaker.create_processing_job(**self.request)
        return sent


def marimo_version(s3: Any, environment: Environment) -> str:
    key = f"marimo/payload/{environment.payload}/requirements.txt"
    try:
        match = re.search(r"^marimo==([^ ;\\]+)", read_object(s3, environment.bucket, key), re.MULTILINE)
    except ClientError as error:
        raise Refused([f"s3://{environment.bucket}/{key} cannot be read: {error}"]) from None
    if match is None:
        raise Refused([f"s3://{environment.bucket}/{key} pins no marimo"])
    return match[1]


def prepare(
    clients: Clients, environment: Environment, options: argparse.Namespace, arguments: Sequence[str]
) -> Prepared:
    """Of the options of `run`. Refused tells all that is wrong at once."""
    path: Path = options.notebook
    marimo = marimo_version(clients.s3, environment)
    wish = request.Wish(
        notebook=path.name,
        arguments=arguments,
        instance=options.instance or environment.instance,
        minutes=environment.most_minutes if options.time_limit is None else options.time_limit,
        volume_gb=environment.volume_gb if options.volume is None else options.volume,
    )
    problems = list(notebook.problems(path, environment.python, marimo))
    problems += request.problems(wish, environment, clients.instance_types)
    text = None
    if path.is_file():
        try:
            text = lock.find(path, options.lock, environment.python, marimo)
        except Refused as refused:
            problems += refused.problems
    found, wrong = sources.collect(path, options.others, text)
    problems += wrong
    if problems:
        raise Refused(problems)
    name = request.job_name(environment.prefix, path.name, request.stamp())
    return Prepared(
        wish=wish,
        sources=found,
        request=request.build(wish, environment, found.prefix, name),
        left_behind=sources.left_behind(path, found),
    )


def dry_run(prepared: Prepared) -> str:
    files = [name for name, _ in prepared.sources.contents()]
    return json.dumps({"request": prepared.request, "files": files, "cost": prepared.cost()}, indent=1)
