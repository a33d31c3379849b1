"""Invokes a schedule: calls an operation of SageMaker with its role, whose policies must allow it.

A failed request is sent to the dead-letter queue of the schedule.
"""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from moto.core.exceptions import ServiceException
from moto.kms.models import kms_backends
from moto.scheduler.models import Schedule, ScheduleGroup
from moto.sqs.models import sqs_backends

from iam import Session, refusal_of
from policies import role_may, role_of, trusts
from policy_evaluation import Access
from studio import pipelines, processing_jobs, request_validation, training_jobs
from studio.state import Members, Studio

SERVICE = "scheduler.amazonaws.com"
# User Guide, "Using universal targets".
_TARGET = "arn:aws:scheduler:::aws-sdk:sagemaker:"
_OPERATIONS: dict[str, Callable[[Studio, Members], Members]] = {
    "CreateProcessingJob": processing_jobs.create,
    "CreateTrainingJob": training_jobs.create,
    "StartPipelineExecution": pipelines.start_execution,
}


def trust_context(account: str, group_arn: str) -> dict[str, str]:
    """User Guide, "Confused deputy prevention in EventBridge Scheduler": aws:SourceArn is the group's ARN."""
    return {"aws:sourceaccount": account, "aws:sourcearn": group_arn}


def invoke(studio: Studio, group: ScheduleGroup, schedule: Schedule, moment: datetime) -> Members:
    """Returns the response, such as the job's ARN, or the error of the last attempt."""
    target = schedule.target
    execution = str(uuid4())
    context = {
        "schedule-arn": schedule.arn,
        "scheduled-time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": execution,
    }
    result: Members = {"ScheduleArn": schedule.arn, "ScheduledTime": context["scheduled-time"]}
    attempts = 1 + int(target["RetryPolicy"].get("MaximumRetryAttempts", 185))
    for attempt in range(1, attempts + 1):
        # User Guide, "Adding context attributes in EventBridge Scheduler".
        body = target.get("Input", "{}")
        for name, value in {**context, "attempt-number": str(attempt)}.items():
            body = body.replace(f"<aws.scheduler.{name}>", value)
        try:
            result |= {"ExecutionId": execution, **_call(studio, group, target, body)}
            break
        except ServiceException as refusal:
            # AWS waits with exponential backoff. Guess: AWS retries every error; here without delay.
            result |= {"ExecutionId": execution, "Error": f"{refusal.code}: {refusal.message}"}
            failed = refusal, body
    else:
        _log(schedule, result["Error"])
        _send_to_dead_letter_queue(studio, schedule, context, attempts - 1, *failed)
    if schedule.schedule_expression.startswith("at(") and schedule.action_after_completion == "DELETE":
        group.delete_schedule(schedule.name)
    return result


def _call(studio: Studio, group: ScheduleGroup, target: Members, body: str) -> Members:
    """Calls the operation with the schedule's role."""
    operation = target["Arn"].removeprefix(_TARGET)
    operation = f"{operation[:1].upper()}{operation[1:]}"
    if operation not in _OPERATIONS or not target["Arn"].startswith(_TARGET):
        # Guess: AWS has other targets; here only these are supported.
        raise ValidationRefusal(
            f"The target of a schedule must be {_TARGET} with one of {', '.join(_OPERATIONS)} here, not "
            f"{target['Arn']}."
        )
    role = role_of(studio.account, studio.partition, target["RoleArn"])
    if role is None or not trusts(role, SERVICE, trust_context(studio.account, group.arn)):
        # Source: User Guide, "Troubleshooting". Guess: the wording.
        raise AccessDenied(f"{SERVICE} cannot assume the role {target['RoleArn']}")
    request = request_validation.parse(operation, body)
    if denied := refusal_of(Session(role.arn, name="scheduler"), studio, "sagemaker", operation, request):
        # Source: IAM User Guide, "Troubleshoot access denied error messages" (including the wording).
        raise AccessDenied(denied)
    return _OPERATIONS[operation](studio, request)


class AccessDenied(ServiceException):
    code = "AccessDeniedException"


class ValidationRefusal(ServiceException):
    code = "ValidationException"


def _send_to_dead_letter_queue(
    studio: Studio,
    schedule: Schedule,
    context: dict[str, str],
    retries: int,
    refusal: ServiceException,
    body: str,
) -> None:
    """Sends the request with the schedule's role and with these attributes (User Guide, "Configuring a
    schedule's dead-letter queue in EventBridge Scheduler")."""
    arn = schedule.target.get("DeadLetterConfig", {}).get("Arn")
    if not arn:
        return None
    queue: Any = sqs_backends[studio.account][studio.region].queues.get(arn.split(":")[-1])
    role = role_of(studio.account, studio.partition, schedule.target["RoleArn"])
    if queue is None or role is None:
        return _log(schedule, f"the request was not sent to {arn}: the queue or the role does not exist")
    needed = [Access("sqs:SendMessage", arn)]
    if queue.kms_master_key_id:
        keys = kms_backends[studio.account][studio.region]
        key = keys.keys.get(keys.any_id_to_key_id(queue.kms_master_key_id))
        key_arn = key.arn if key else queue.kms_master_key_id
        # Amazon SQS Developer Guide, "Key management": the actions on the key that a producer needs.
        needed += [Access(action, key_arn) for action in ("kms:GenerateDataKey", "kms:Decrypt")]
    for access in needed:
        if not role_may(role, access):
            return _log(schedule, f"the request was not sent to {arn}: the role cannot {access.action}")
    attributes = {
        "ERROR_CODE": refusal.code,
        "ERROR_MESSAGE": refusal.message,
        "EXECUTION_ID": context["execution-id"],
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "IS_PAYLOAD_TRUNCATED": "false",
        "RETRY_ATTEMPTS": str(retries),
        "SCHEDULED_TIME": context["scheduled-time"],
        "SCHEDULE_ARN": schedule.arn,
        "TARGET_ARN": schedule.target["Arn"],
    }
    sqs_backends[studio.account][studio.region].send_message(
        queue.name,
        body,
        {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )
    return None


def _log(schedule: Schedule, text: str) -> None:
    sys.stderr.write(f"{schedule.arn}: {text}\n")
