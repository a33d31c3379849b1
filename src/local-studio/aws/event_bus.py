"""EventBridge's default bus: the events of jobs, and their delivery by rules.

moto delivers to queues and log groups without checking permissions, and does not deliver to topics. Failed
deliveries are written to standard error. AWS counts them in the metric FailedInvocations.
"""

import json
import re
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from moto.events.models import Rule, events_backends
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

import state_machines
from policies import role_may, role_of, trusts
from policy_evaluation import Access, is_allowed
from schedule_expression import occurrences
from studio.jobs import Job
from studio.state import Studio

_SERVICE = "events.amazonaws.com"
Event = dict[str, Any]


class NotDeliveredError(Exception):
    """The message is the reason."""


def install() -> None:
    send_to_targets = Rule.send_to_targets

    def send(rule: Any, event: Event, transform_input: bool = True) -> None:
        if not rule.event_pattern.get_pattern():
            return  # has a schedule only, and to moto would match each event
        own = [target for target in rule.targets if target["Arn"].split(":")[2] in ("sns", "sqs", "states")]
        if len(own) < len(rule.targets):
            # moto delivers to archives, log groups and other buses.
            others = [target for target in rule.targets if target not in own]
            kept, rule.targets = rule.targets, others
            try:
                send_to_targets(rule, event, transform_input)  # type: ignore[arg-type]
            finally:
                rule.targets = kept
        if rule.event_pattern.matches_event(event):
            for target in own:
                try:
                    _deliver(rule, target, _as_sent(event))
                except NotDeliveredError as reason:
                    sys.stderr.write(f"{rule.arn} could not deliver to {target['Arn']}: {reason}\n")

    rule_class: Any = Rule
    rule_class.send_to_targets = send


def publish(studio: Studio, job: Job) -> None:
    """The event contains the answer of DescribeProcessingJob or DescribeTrainingJob (SageMaker Developer
    Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge")."""
    detail = {name: _as_epoch(value) for name, value in job.describe().items() if name != "Status"}
    event: Event = {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": f"SageMaker {job.kind.removesuffix('Job')} Job State Change",
        "source": "aws.sagemaker",
        "account": studio.account,
        "time": datetime.now(UTC).timestamp(),
        "region": studio.region,
        "resources": [job.arn],
        "detail": {**detail, "Tags": {}},
        "ingestion-time": datetime.now(UTC).timestamp(),
    }
    for rule in list(events_backends[studio.account][studio.region].event_buses["default"].rules.values()):
        if rule.state == "ENABLED":
            rule.send_to_targets(event)  # type: ignore[arg-type]


def fire_scheduled(studio: Studio, after: datetime, until: datetime) -> None:
    """Invokes the targets of the rules whose schedule is due. Guess: a rate begins at a full hour."""
    for rule in list(events_backends[studio.account][studio.region].event_buses["default"].rules.values()):
        if rule.state != "ENABLED" or not rule.scheduled_expression:
            continue
        schedule: Any = SimpleNamespace(
            schedule_expression=rule.scheduled_expression,
            schedule_expression_timezone="UTC",
            creation_date=0,
            start_date=None,
            end_date=None,
        )
        for moment in occurrences(schedule, after, until):
            event = _scheduled_event(studio, rule.arn, moment)
            for target in rule.targets:
                try:
                    _deliver(rule, target, _as_sent(event))
                except NotDeliveredError as reason:
                    sys.stderr.write(f"{rule.arn} could not deliver to {target['Arn']}: {reason}\n")


def _scheduled_event(studio: Studio, rule_arn: str, moment: datetime) -> Event:
    """User Guide, "Creating an Amazon EventBridge rule that runs on a schedule"."""
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": studio.account,
        "time": moment.timestamp(),
        "region": studio.region,
        "resources": [rule_arn],
        "detail": {},
    }


def _as_epoch(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_epoch(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_as_epoch(one) for one in value]
    return int(value.timestamp() * 1000) if isinstance(value, datetime) else value


def _as_sent(event: Event) -> Event:
    time = event["time"]
    if isinstance(time, int | float):
        time = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**{name: value for name, value in event.items() if name != "ingestion-time"}, "time": time}


def _deliver(rule: Any, target: Event, event: Event) -> None:
    _, _, service, region, account, name = target["Arn"].split(":", 5)
    message = _input(target, event)
    if service == "sns":
        topic = sns_backends[account][region].topics.get(target["Arn"])
        if topic is None:
            raise NotDeliveredError("the topic does not exist")
        # User Guide, "Using resource-based policies for Amazon EventBridge": the topic's policy must allow it
        # without conditions, because no condition key has a value.
        if not is_allowed([topic._policy_json], Access("sns:Publish", topic.arn, principal=_SERVICE)):
            raise NotDeliveredError(f"the topic's policy does not allow sns:Publish for {_SERVICE}")
        _check_key(account, region, topic.kms_master_key_id)
        topic.publish(message)
        return
    if service == "states":
        _check_role(rule, target, Access("states:StartExecution", target["Arn"]))
        state_machines.start(account, region, target["Arn"], message)
        return
    queue: Any = sqs_backends[account][region].queues.get(name)
    if queue is None:
        raise NotDeliveredError("the queue does not exist")
    context = {"aws:sourcearn": rule.arn, "aws:sourceaccount": rule.account_id}
    access = Access("sqs:SendMessage", queue.queue_arn, context, _SERVICE)
    if not is_allowed([queue._policy_json], access):
        raise NotDeliveredError(f"the queue's policy does not allow sqs:SendMessage for {_SERVICE}")
    _check_key(account, region, queue.kms_master_key_id)
    sqs_backends[account][region].send_message(name, message)


def _check_role(rule: Any, target: Event, access: Access) -> None:
    """The target's role must trust the service for this rule, and allow the action (Amazon EventBridge User
    Guide, "Using identity-based policies")."""
    context = {"aws:sourcearn": rule.arn, "aws:sourceaccount": rule.account_id}
    role = role_of(rule.account_id, rule.arn.split(":")[1], target.get("RoleArn", ""))
    if role is None or not trusts(role, _SERVICE, context):
        raise NotDeliveredError(f"{_SERVICE} cannot assume the role {target.get('RoleArn')}")
    if not role_may(role, access):
        raise NotDeliveredError(f"the role {role.arn} does not allow {access.action} on {access.resource}")


def _check_key(account: str, region: str, key_id: str | None) -> None:
    """The key's policy must allow both actions for the service (Amazon SNS Developer Guide, "Key
    management"). A statement with aws:SourceAccount or aws:SourceArn does not match
    (awslabs/landing-zone-accelerator-on-aws#407). The policy of an AWS managed key cannot be changed."""
    if not key_id:
        return
    backend = kms_backends[account][region]
    key = backend.keys.get(backend.any_id_to_key_id(key_id))
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        if (
            key is None
            or key.key_manager != "CUSTOMER"
            or not is_allowed([json.loads(key.policy)], Access(action, key.arn, principal=_SERVICE))
        ):
            raise NotDeliveredError(f"the policy of the key {key_id} does not allow {action} for {_SERVICE}")


def _input(target: Event, event: Event) -> str:
    """User Guide, "Amazon EventBridge input transformation": a string value is quoted if its variable is not
    inside a string of the template. A template that is a string is sent with its quotes."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_at(target["InputPath"], event))
    transformer = target.get("InputTransformer")
    if transformer is None:
        return json.dumps(event)
    found = {name: _at(path, event) for name, path in transformer.get("InputPathsMap", {}).items()}

    def filled(match: re.Match[str]) -> str:
        value = found.get(match[1])
        if match[1] not in found:
            return match[0]
        text = transformer["InputTemplate"][: match.start()]
        is_inside_text = len(re.findall(r'(?<!\\)"', text)) % 2 == 1
        if is_inside_text:
            return value if isinstance(value, str) else "" if value is None else json.dumps(value)
        return json.dumps("" if value is None else value)

    return re.sub(r"<([A-Za-z0-9_.-]+)>", filled, transformer["InputTemplate"])


def _at(path: str, event: Any) -> Any:
    if not re.fullmatch(r"\$(\.[\w-]+)*", path):
        raise NotDeliveredError(f"the local AWS does not support the path {path}: it must be like $.a.b")
    for name in path.split(".")[1:]:
        event = event.get(name) if isinstance(event, dict) else None
    return event
