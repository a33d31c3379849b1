"""`marimo-job notify`, and `--notify` of a job, sweep or schedule: e-mails by the user's own topic of SNS."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_marimo import job_notify
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Environment, Refused

CHOICES = ("success", "failure", "both")
# Amazon SNS API, ListSubscriptionsByTopic, in place of an ARN.
PENDING = "PendingConfirmation"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def topic(environment: Environment, sender: Sender) -> str | None:
    """The user's topic has the name of their role. None: nobody is notified."""
    if environment.topics is None or not sender.role.startswith(environment.user_roles):
        return None
    return environment.topics + sender.role.removeprefix(environment.user_roles)


def variables(when: str | None, environment: Environment, sender: Sender) -> dict[str, str]:
    """Of a job that notifies, for job_notify.py."""
    arn = topic(environment, sender)
    return {} if when is None or arn is None else {job_notify.ON: when, job_notify.TOPIC: arn}


def problems(when: str | None, environment: Environment, sender: Sender | None) -> Iterator[str]:
    if when is not None and sender is not None and topic(environment, sender) is None:
        yield f"--notify: nobody is notified of jobs of {environment.name} (jobs.notifications)"


def warnings(when: str | None, environment: Environment, sender: Sender) -> Iterator[str]:
    arn = topic(environment, sender)
    if when is None or arn is None:
        return
    try:
        found = subscriptions(client(environment), arn)
    except (ClientError, BotoCoreError) as error:
        yield f"--notify: your addresses cannot be read: {error}"
        return
    if not any(is_confirmed(one) for one in found):
        yield (
            "--notify: no address of yours is confirmed, so nobody receives the message. To add one: "
            "marimo-job notify ADDRESS, then open the link in the e-mail from AWS"
        )


def client(environment: Environment) -> Any:
    return boto3.Session(region_name=environment.region).client("sns")


def subscriptions(sns: Any, arn: str) -> list[dict[str, str]]:
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    found: list[dict[str, str]] = [one for page in pages for one in page["Subscriptions"]]
    # "Deleted": what was unsubscribed by the link in an e-mail.
    return [one for one in found if one["SubscriptionArn"] == PENDING or is_confirmed(one)]


def is_confirmed(one: dict[str, str]) -> bool:
    return one["SubscriptionArn"].startswith("arn:")


def run_command(environment: Environment, sender: Sender, options: argparse.Namespace) -> int:
    arn = topic(environment, sender)
    if arn is None:
        raise Refused([f"nobody is notified of jobs of {environment.name} (jobs.notifications)"])
    sns = client(environment)
    if options.address is None:
        if options.remove:
            raise Refused(["--remove needs an ADDRESS: marimo-job notify lists them"])
        return show(sns, arn)
    return (remove if options.remove else add)(sns, environment, arn, options.address)


def show(sns: Any, arn: str) -> int:
    found = subscriptions(sns, arn)
    for one in found:
        print(f"{one['Endpoint']}  {'confirmed' if is_confirmed(one) else 'not confirmed yet'}")
    if not found:
        say("You have no addresses. To add one: marimo-job notify ADDRESS")
    return 0


def add(sns: Any, environment: Environment, arn: str, address: str) -> int:
    name, _, domain = address.rpartition("@")
    # IAM compares the case of letters too.
    address = f"{name}@{domain.lower()}"
    if not name or domain.lower() not in environment.email_domains:
        allowed = ", ".join(f"@{one}" for one in environment.email_domains)
        raise Refused(
            [f"{address} must end with {allowed} (jobs.notifications.emailDomains of {environment.name})"]
        )
    if any(is_confirmed(one) for one in subscriptions(sns, arn) if one["Endpoint"] == address):
        say(f"{address} is confirmed already")
        return 0
    sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=address)
    say(f"AWS sends an e-mail to {address}: open its link once to confirm. Nothing else is sent before")
    return 0


def remove(sns: Any, _: Environment, arn: str, address: str) -> int:
    found = [one for one in subscriptions(sns, arn) if one["Endpoint"].lower() == address.lower()]
    if not found:
        raise Refused([f"{address} is not one of your addresses: marimo-job notify lists them"])
    for one in found:
        if is_confirmed(one):
            sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
            say(f"{one['Endpoint']} is removed")
        else:
            # Amazon SNS FAQ and API, Subscribe: the token of a confirmation is valid for two days.
            say(f"{one['Endpoint']} was never confirmed: AWS deletes it by itself after two days")
    return 0
