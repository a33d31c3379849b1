"""EventBridge's default bus: what SageMaker tells of processing jobs, and how rules deliver it.

moto delivers to queues and log groups without asking whether it may, and to topics not at all. What is not
delivered is said on standard error: AWS counts it in a metric (FailedInvocations).
"""

import json
import re
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from moto.events.models import Rule, events_backends
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from policies import Access, is_allowed
from studio.processing_jobs import ProcessingJob
from studio.state import Studio

_SERVICE = "events.amazonaws.com"
Event = dict[str, Any]


class NotDeliveredError(Exception):
    """The message says why."""


def install() -> None:
    send_to_targets = Rule.send_to_targets

    def send(rule: Any, event: Event, transform_input: bool = True) -> None:
        mine = [target for target in rule.targets if target["Arn"].split(":")[2] in ("sns", "sqs")]
        if len(mine) < len(rule.targets):
            # Archives, log groups and other buses are moto's.
            others = [target for target in rule.targets if target not in mine]
            kept, rule.targets = rule.targets, others
            try:
                send_to_targets(rule, event, transform_input)  # type: ignore[arg-type]
            finally:
                rule.targets = kept
        if rule.event_pattern.matches_event(event):
            for target in mine:
                try:
                    _deliver(rule, target, _as_sent(event))
                except NotDeliveredError as reason:
                    sys.stderr.write(f"{rule.arn} did not deliver to {target['Arn']}: {reason}\n")

    rule_class: Any = Rule
    rule_class.send_to_targets = send


def publish(studio: Studio, job: ProcessingJob) -> None:
    """SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge": the status,
    and with it what DescribeProcessingJob tells."""
    detail = {
        name: int(value.timestamp() * 1000) if isinstance(value, datetime) else value
        for name, value in job.describe().items()
        if name != "Status"
    }
    event: Event = {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "SageMaker Processing Job State Change",
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
            raise NotDeliveredError("there is no such topic")
        # User Guide, "Using resource-based policies for Amazon EventBridge": the topic's policy must allow
        # it, and cannot have conditions for it: none of their keys has a value.
        if not is_allowed([topic._policy_json], Access("sns:Publish", topic.arn, principal=_SERVICE)):
            raise NotDeliveredError(f"its policy does not allow sns:Publish to {_SERVICE}")
        _check_key(account, region, topic.kms_master_key_id)
        topic.publish(message)
        return
    queue: Any = sqs_backends[account][region].queues.get(name)
    if queue is None:
        raise NotDeliveredError("there is no such queue")
    context = {"aws:sourcearn": rule.arn, "aws:sourceaccount": rule.account_id}
    access = Access("sqs:SendMessage", queue.queue_arn, context, _SERVICE)
    if not is_allowed([queue._policy_json], access):
        raise NotDeliveredError(f"its policy does not allow sqs:SendMessage to {_SERVICE}")
    _check_key(account, region, queue.kms_master_key_id)
    sqs_backends[account][region].send_message(name, message)


def _check_key(account: str, region: str, key_id: str | None) -> None:
    """Amazon SNS Developer Guide, "Key management": the key's policy must allow the service both actions;
    with aws:SourceAccount or aws:SourceArn it does not (also awslabs/landing-zone-accelerator-on-aws#407).
    A key of AWS's own has a policy that nobody can change."""
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
            raise NotDeliveredError(f"the policy of its key {key_id} does not allow {action} to {_SERVICE}")


def _input(target: Event, event: Event) -> str:
    """User Guide, "Amazon EventBridge input transformation": a text in a template's JSON gets quotes where it
    stands alone, and a template that is one text is sent with its own."""
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
        raise NotDeliveredError(f"the path {path} is not one that the local AWS reads: expected $.name.name")
    for name in path.split(".")[1:]:
        event = event.get(name) if isinstance(event, dict) else None
    return event
