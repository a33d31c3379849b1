"""Prepares and sends a job: first all checks, then the sources, then one request."""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo import names, state
from sagemaker_marimo.jobs import lock, notebook, notify, prices, request, sender, sources, training
from sagemaker_marimo.jobs.settings import Clients, Environment, Refused, read_object


@dataclass(frozen=True)
class Prepared:
    """A job that passed all checks. Nothing has been sent yet."""

    options: request.JobOptions
    sources: sources.Sources
    sender: sender.Sender
    request: dict[str, Any]
    """Of a processing job. Copies of it, such as the rows of a sweep, are made before `training.final`."""
    final: dict[str, Any]
    """The request that is sent: of a processing or a training job."""
    warnings: list[str]

    @property
    def name(self) -> str:
        return str(self.request["ProcessingJobName"])

    def cost(self) -> dict[str, str]:
        """What the job costs on demand, and also what it costs on Spot if it runs there."""
        options = self.options
        seconds = {"anHour": 3600, "atMostByTheTimeLimit": options.minutes * 60}
        costs = {name: prices.describe(options.instance, one, options.nodes) for name, one in seconds.items()}
        if options.spot:
            for name, one in seconds.items():
                costs[f"{name}OnSpot"] = prices.describe_spot(options.instance, one, options.nodes)
        if options.warm_minutes is not None:
            warm = options.warm_minutes * 60
            costs["atMostForTheWarmPool"] = prices.describe(options.instance, warm, options.nodes)
        return costs

    def send(self, clients: Clients, environment: Environment) -> int:
        """Sends the job. Returns the number of files that were uploaded for it."""
        sent = self.sources.upload(clients.s3, environment.bucket, self.sender.folder)
        training.create(clients.sagemaker, self.final)
        return sent


def marimo_version(s3: Any, environment: Environment) -> str:
    key = f"{names.PAYLOAD}/{environment.payload}/requirements.txt"
    try:
        match = re.search(r"^marimo==([^ ;\\]+)", read_object(s3, environment.bucket, key), re.MULTILINE)
    except ClientError as error:
        raise Refused([f"s3://{environment.bucket}/{key} cannot be read: {error}"]) from None
    if match is None:
        raise Refused([f"s3://{environment.bucket}/{key} does not pin marimo"])
    return match[1]


def prepare(
    clients: Clients, environment: Environment, options: argparse.Namespace, arguments: Sequence[str]
) -> Prepared:
    """Prepares a job from the options of `run`. Raises Refused with all problems at once."""
    path: Path = options.notebook
    marimo = marimo_version(clients.s3, environment)
    job_options = request.JobOptions(
        notebook=path.name,
        arguments=arguments,
        instance=options.instance or environment.instance,
        minutes=environment.max_minutes if options.time_limit is None else options.time_limit,
        volume_gb=environment.volume_gb if options.volume is None else options.volume,
        image=options.image,
        secrets=options.secrets,
        spot=options.spot,
        wait_minutes=options.wait,
        nodes=options.nodes,
        warm_minutes=options.warm,
        checkpoints=options.checkpoints,
        notify=options.notify,
    )
    problems = list(notebook.problems(path, environment.python, marimo))
    who = None
    try:
        who = sender.find(environment, options.user)
    except Refused as refused:
        problems += refused.problems
    problems += request.problems(job_options, environment, who)
    text = None
    if path.is_file():
        try:
            text = lock.find(path, options.lock, environment.python, marimo)
        except Refused as refused:
            problems += refused.problems
    collected = sources.collect(path, options.others, text)
    problems += collected.problems
    if problems or who is None:
        raise Refused(problems)
    name = request.job_name(who.prefix, path.name, request.stamp())
    single = request.build(job_options, environment, collected.sources.sha256, name, who)
    return Prepared(
        options=job_options,
        sources=collected.sources,
        sender=who,
        request=single,
        final=training.final(single, job_options),
        warnings=[
            *training.warnings(job_options, job_options.instance),
            *notify.warnings(options.notify, environment, who),
            *collected.warnings,
            *(
                f"the notebook names the file {name}, which is not sent. To send it: --with {name}"
                for name in sources.unsent_files(path, collected.sources)
            ),
            *lock.unmet(state.installed_environment()),
        ],
    )


def dry_run(prepared: Prepared) -> str:
    files = [name for name, _ in prepared.sources.contents()]
    return json.dumps({"request": prepared.final, "files": files, "cost": prepared.cost()}, indent=1)
