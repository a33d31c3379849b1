"""EventBridge Scheduler's clock. moto keeps schedules; here they are checked, and fire.

A schedule calls SageMaker's CreateProcessingJob as its role, whose policies must allow it; what fails goes to
its dead-letter queue.
"""

import re
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo, available_timezones

from aws_croniter.aws_croniter import AwsCroniter
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.kms.models import kms_backends
from moto.scheduler.exceptions import ValidationException
from moto.scheduler.models import (
    EventBridgeSchedulerBackend,
    Schedule,
    ScheduleGroup,
    scheduler_backends,
)
from moto.sqs.models import sqs_backends
from moto.utilities.utils import get_partition

from policies import Access, role_may, role_of, trusts
from studio import processing_jobs, request_validation
from studio.responses import ControlPlane
from studio.state import Members, Studio

_SERVICE = "scheduler.amazonaws.com"
_TARGET = "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob"
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


def install() -> None:
    """What moto takes and AWS does not."""
    backend: Any = EventBridgeSchedulerBackend
    for name in ("create_schedule", "update_schedule"):
        method = getattr(backend, name)

        def checked(self: Any, method: Any = method, **members: Any) -> Any:
            _check(self, members)
            return method(self, **members)

        setattr(backend, name, checked)


def _check(backend: Any, members: Members) -> None:
    expression = members["schedule_expression"]
    zone = members["schedule_expression_timezone"] or "UTC"
    if zone not in available_timezones():
        # Guess: the words.
        raise ValidationException(f"Provided Timezone {zone} is not valid.")
    try:
        _parse(expression)
    except ValueError:
        # Source: localstack/localstack#9284, also the words.
        raise ValidationException(f"Invalid Schedule Expression {expression}.") from None
    target = members["target"]
    role = role_of(backend.account_id, backend.partition, target["RoleArn"])
    group = f"schedule-group/{members['group_name'] or 'default'}"
    arn = f"arn:{backend.partition}:scheduler:{backend.region_name}:{backend.account_id}:{group}"
    if role is None or not trusts(role, _SERVICE, _source(backend.account_id, arn)):
        # Source: aws/aws-sdk-js-v3#6494, also the words.
        raise ValidationException(
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
        )


def _source(account: str, group_arn: str) -> dict[str, str]:
    """User Guide, "Confused deputy prevention in EventBridge Scheduler": the source is the group's ARN."""
    return {"aws:sourceaccount": account, "aws:sourcearn": group_arn}


# --- when ---------------------------------------------------------------------------------------------------


def _parse(expression: str) -> AwsCroniter | timedelta | datetime:
    """User Guide, "Schedule types in EventBridge Scheduler". ValueError for what is none of them."""
    if cron := re.fullmatch(r"cron\((.+)\)", expression):
        try:
            return AwsCroniter(" ".join(cron[1].split()))
        except Exception as error:  # the library's errors have no class in common
            raise ValueError(str(error)) from None
    if rate := re.fullmatch(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)", expression):
        if (rate[1] == "1") == bool(rate[3]):
            raise ValueError(f"{rate[1]} and {rate[2]}{rate[3]} do not agree")
        return int(rate[1]) * _UNITS[rate[2]]
    if once := re.fullmatch(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", expression):
        return datetime.fromisoformat(once[1])
    raise ValueError(f"{expression} is neither cron(…) nor rate(…) nor at(…)")


def occurrences(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """When it fires, after one moment and up to another."""
    first, last = (_moment(schedule.start_date), _moment(schedule.end_date))
    until = min(until, last) if last else until
    for moment in _all_occurrences(schedule, after, until, first):
        if first is None or moment >= first:
            yield moment


def _all_occurrences(
    schedule: Schedule, after: datetime, until: datetime, first: datetime | None
) -> Iterator[datetime]:
    parsed = _parse(schedule.schedule_expression)
    zone = ZoneInfo(schedule.schedule_expression_timezone)
    if isinstance(parsed, datetime):
        moment = parsed.replace(tzinfo=zone).astimezone(UTC)
        if after < moment <= until:
            yield moment
    elif isinstance(parsed, timedelta):
        # Without a start date at once, and then by the rate.
        moment = first or datetime.fromtimestamp(schedule.creation_date, UTC)
        if moment <= after:
            moment += ((after - moment) // parsed + 1) * parsed
        while moment <= until:
            yield moment
            moment += parsed
    else:
        # The library counts in UTC: it gets the zone's own time under that name.
        local = after.astimezone(zone).replace(tzinfo=UTC, fold=0) - timedelta(minutes=1)
        while (local := parsed.get_next(local)[0]) is not None:
            there = local.replace(tzinfo=zone)
            moment = there.astimezone(UTC)
            # "Daylight savings time" there: a time that the clocks skip does not fire, one that they repeat
            # fires once.
            if moment.astimezone(zone).replace(tzinfo=UTC) == local and after < moment <= until:
                yield moment
            if moment > until + timedelta(hours=1):
                return


def _moment(value: Any) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(float(value), UTC)


class Clock:
    """Fires what is due, every half second."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        after = datetime.now(UTC)
        while True:
            time.sleep(0.5)
            with self._control_plane.lock:
                until = datetime.now(UTC)
                # A copy of what is there: asking for a region by its name would create it.
                for region in list(dict(scheduler_backends[DEFAULT_ACCOUNT_ID])):
                    studio = self._control_plane.studio(DEFAULT_ACCOUNT_ID, region, get_partition(region))
                    _fire_all(studio, after, until)
            after = until


def _fire_all(studio: Studio, after: datetime, until: datetime) -> list[Members]:
    return [
        _fire(studio, group, schedule, moment)
        for group in list(_backend(studio).schedule_groups.values())
        for schedule in list(group.schedules.values())
        if schedule.state == "ENABLED"
        for moment in occurrences(schedule, after, until)
    ]


def _backend(studio: Studio) -> EventBridgeSchedulerBackend:
    backend: EventBridgeSchedulerBackend = scheduler_backends[studio.account][studio.region]
    return backend


# --- what tests order ---------------------------------------------------------------------------------------


def fire_now(studio: Studio, order: Members) -> Members:
    """One schedule, whatever the time is."""
    group = _backend(studio).get_schedule_group(order.get("GroupName"))
    schedule = group.get_schedule(order["Name"])
    if schedule.state != "ENABLED":
        raise ValueError(f"schedule {schedule.name} is {schedule.state}: it never fires")
    return _fire(studio, group, schedule, datetime.now(UTC))


def pass_time(studio: Studio, order: Members) -> Members:
    """Fires what is due after one moment and up to another, as though that time passed."""
    after, until = (datetime.fromisoformat(order[name]).astimezone(UTC) for name in ("After", "Until"))
    if not timedelta() < until - after <= timedelta(days=366):
        raise ValueError(f"After {after} and Until {until}: expected at most 366 days between them")
    return {"Fired": _fire_all(studio, after, until)}


# --- firing -------------------------------------------------------------------------------------------------


def _fire(studio: Studio, group: ScheduleGroup, schedule: Schedule, moment: datetime) -> Members:
    """What came of it: the job's ARN, or the error of the last attempt."""
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
            result |= {"ExecutionId": execution, "ProcessingJobArn": _call(studio, group, target, body)}
            break
        except ServiceException as refusal:
            # AWS waits longer and longer between attempts. Guess: it repeats every refusal; here at once.
            result |= {"ExecutionId": execution, "Error": f"{refusal.code}: {refusal.message}"}
            failed = refusal, body
    else:
        _say(schedule, result["Error"])
        _bury(studio, schedule, context, attempts - 1, *failed)
    if schedule.schedule_expression.startswith("at(") and schedule.action_after_completion == "DELETE":
        group.delete_schedule(schedule.name)
    return result


def _call(studio: Studio, group: ScheduleGroup, target: Members, body: str) -> str:
    """CreateProcessingJob as the schedule's role."""
    if target["Arn"] != _TARGET:
        # Guess: AWS has other targets; here there is one.
        raise ValidationRefusal(f"The local AWS does not call {target['Arn']}: it is {_TARGET}.")
    role = role_of(studio.account, studio.partition, target["RoleArn"])
    if role is None or not trusts(role, _SERVICE, _source(studio.account, group.arn)):
        # Source: User Guide, "Troubleshooting". Guess: the words.
        raise AccessDenied(f"{_SERVICE} cannot assume the role {target['RoleArn']}")
    request = request_validation.parse("CreateProcessingJob", body)
    job = studio.arn(f"processing-job/{request['ProcessingJobName']}")
    checks = [
        Access("sagemaker:CreateProcessingJob", job, _context(request)),
        Access("iam:PassRole", request["RoleArn"], {"iam:passedtoservice": "sagemaker.amazonaws.com"}),
    ]
    if request.get("Tags"):
        # Source: SageMaker Developer Guide, "Provide permissions for tagging SageMaker AI resources".
        checks.append(Access("sagemaker:AddTags", job, {"sagemaker:taggingaction": "CreateProcessingJob"}))
    for access in checks:
        if not role_may(role, access):
            session = role.arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
            # Source: IAM User Guide, "Troubleshoot access denied error messages", also the words.
            raise AccessDenied(
                f"User: {session}/scheduler is not authorized to perform: {access.action} on resource: "
                f"{access.resource}"
            )
    return processing_jobs.start(studio, request).arn


def _context(request: Members) -> dict[str, str]:
    """Service Authorization Reference, "Actions, resources, and condition keys for Amazon SageMaker": those
    of CreateProcessingJob with one value."""
    cluster = request["ProcessingResources"]["ClusterConfig"]
    values = {
        "sagemaker:instancetypes": cluster["InstanceType"],
        "sagemaker:volumekmskey": cluster.get("VolumeKmsKeyId"),
        "sagemaker:outputkmskey": request.get("ProcessingOutputConfig", {}).get("KmsKeyId"),
    }
    return {name: value for name, value in values.items() if value}


class AccessDenied(ServiceException):
    code = "AccessDeniedException"


class ValidationRefusal(ServiceException):
    code = "ValidationException"


def _bury(
    studio: Studio,
    schedule: Schedule,
    context: dict[str, str],
    retries: int,
    refusal: ServiceException,
    body: str,
) -> None:
    """User Guide, "Configuring a schedule's dead-letter queue in EventBridge Scheduler": sent as the
    schedule's role, with these attributes."""
    arn = schedule.target.get("DeadLetterConfig", {}).get("Arn")
    if not arn:
        return None
    queue: Any = sqs_backends[studio.account][studio.region].queues.get(arn.split(":")[-1])
    role = role_of(studio.account, studio.partition, schedule.target["RoleArn"])
    if queue is None or role is None:
        return _say(schedule, f"nothing was sent to {arn}: there is no such queue, or no such role")
    needed = [Access("sqs:SendMessage", arn)]
    if queue.kms_master_key_id:
        keys = kms_backends[studio.account][studio.region]
        key = keys.keys.get(keys.any_id_to_key_id(queue.kms_master_key_id))
        key_arn = key.arn if key else queue.kms_master_key_id
        # Amazon SQS Developer Guide, "Key management": what a producer needs of the queue's key.
        needed += [Access(action, key_arn) for action in ("kms:GenerateDataKey", "kms:Decrypt")]
    for access in needed:
        if not role_may(role, access):
            return _say(schedule, f"nothing was sent to {arn}: its role may not {access.action}")
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


def _say(schedule: Schedule, words: str) -> None:
    sys.stderr.write(f"{schedule.arn}: {words}\n")
