"""CloudTrail: records writes, delivers the data events that a trail selects, and answers LookupEvents.

Compared with AWS: no reads and no presigned requests are recorded, and of the requests that fail only those
with status 403. A log file has one record and is there at once, and so are the events of EventBridge. There
are no digest files. The event history has the last 10,000 management events of this process, and is not
saved. In `npm start`, every part has the same access key, so all records are of one user: a role's are those
of sessions from AssumeRole.
"""

import gzip
import json
import re
from collections import deque
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any
from uuid import uuid4

from moto.cloudtrail.models import CloudTrailBackend, Trail, cloudtrail_backends
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition
from werkzeug.wrappers import Response

from aws_request import AwsRequest
from policy_evaluation import Access, is_allowed

_SERVICE = "cloudtrail.amazonaws.com"
_READS = re.compile(r"BatchGet|Describe|Get|Head|List|Lookup|Search|Simulate")
_HISTORY: deque[dict[str, Any]] = deque(maxlen=10_000)
Record = dict[str, Any]


class InsufficientS3BucketPolicyException(JsonRESTError):
    code = 400


def install() -> None:
    """moto stores trails, and neither checks the bucket's policy nor says that a trail has selectors. Without
    that, Terraform would set them again with each apply. It deletes a trail by its name only, and describes
    all trails whatever names it is asked for."""
    describe, create = Trail.description, CloudTrailBackend.create_trail
    answer = CloudTrailResponse.describe_trails

    def description(trail: Any, include_region: bool = False) -> Record:
        has_selectors = bool(trail.event_selectors or trail.advanced_event_selectors)
        return {**describe(trail, include_region), "HasCustomEventSelectors": has_selectors}

    def create_trail(backend: Any, *args: Any, **keywords: Any) -> Any:
        trail = create(backend, *args, **keywords)
        if not _may_deliver(trail):
            del backend.trails[trail.trail_name]
            # Source: AWS CloudTrail API Reference, "CreateTrail", errors. Guess: the wording.
            raise InsufficientS3BucketPolicyException(
                "InsufficientS3BucketPolicyException",
                f"Incorrect S3 bucket policy is detected for bucket: {trail.bucket_name}",
            )
        return trail

    def delete_trail(backend: Any, name: str) -> None:
        del backend.trails[backend.get_trail(name).trail_name]

    def describe_trails(response: Any) -> str:
        wanted = response._get_param("trailNameList") or []
        trails = json.loads(answer(response))["trailList"]
        named = [trail for trail in trails if {trail["Name"], trail["TrailARN"]} & set(wanted)]
        return json.dumps({"trailList": named if wanted else trails})

    trail_class: Any = Trail
    response_class: Any = CloudTrailResponse
    backend_class: Any = CloudTrailBackend
    trail_class.description = description
    backend_class.create_trail = create_trail
    backend_class.delete_trail = delete_trail
    response_class.describe_trails = describe_trails


def record(request: AwsRequest, access_key: str, status: int) -> None:
    """Records a request that was answered. The caller holds the lock of moto."""
    denied = status == 403
    if _READS.match(request.operation.name) or (status >= 400 and not denied):
        return
    event = _record(request, access_key, denied)
    if event["managementEvent"]:
        _HISTORY.appendleft(event)
        return
    trails = [
        trail
        for trail in cloudtrail_backends[DEFAULT_ACCOUNT_ID][request.region].trails.values()
        if trail.status.is_logging and any(_selects(one, event) for one in trail.advanced_event_selectors)
    ]
    for trail in trails:
        _deliver(trail, event)
    if trails:
        _publish(event)


def lookup(request: AwsRequest) -> Response:
    """LookupEvents: the newest first, by one attribute."""
    members = json.loads(request.http.get_data())
    begin, end = members.get("StartTime", 0), members.get("EndTime", float("inf"))
    wanted = {one["AttributeKey"]: one["AttributeValue"] for one in members.get("LookupAttributes", [])}
    found = [
        event
        for event in map(_listed, _HISTORY)
        if begin <= event["EventTime"] <= end
        and all(str(event.get(key)) == value for key, value in wanted.items())
        and json.loads(event["CloudTrailEvent"])["awsRegion"] == request.region
    ]
    first, size = int(members.get("NextToken") or 0), int(members.get("MaxResults") or 50)
    answer: Record = {"Events": found[first : first + size]}
    if first + size < len(found):
        answer["NextToken"] = str(first + size)
    return Response(json.dumps(answer), mimetype="application/x-amz-json-1.1")


def _listed(event: Record) -> Record:
    identity = event["userIdentity"]
    return {
        "EventId": event["eventID"],
        "EventName": event["eventName"],
        "EventSource": event["eventSource"],
        "EventTime": datetime.fromisoformat(event["eventTime"]).timestamp(),
        "ReadOnly": "false",
        # Of a role's session its name, as in the console's event history.
        "Username": identity["arn"].rsplit("/", 1)[-1],
        "Resources": [],
        "CloudTrailEvent": json.dumps(event),
    }


def _record(request: AwsRequest, access_key: str, denied: bool) -> Record:
    partition = get_partition(request.region)
    bucket, key = request.uri_params.get("Bucket"), request.uri_params.get("Key")
    is_data = request.service_name == "s3" and (key is not None or request.operation.name == "DeleteObjects")
    parameters: Record = {}
    if bucket is not None:
        # Source: Amazon S3 User Guide, "CloudTrail events": DeleteObjects is recorded without its keys.
        parameters = {"bucketName": bucket, **({} if key is None else {"key": key})}
    elif request.protocol == "json":
        body = json.loads(request.http.get_data() or b"{}")
        parameters = {name[:1].lower() + name[1:]: value for name, value in body.items()}
    return {
        "eventVersion": "1.11",
        "userIdentity": _identity(access_key, partition),
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{request.service_name}.amazonaws.com",
        "eventName": request.operation.name,
        "awsRegion": request.region,
        "sourceIPAddress": request.http.remote_addr,
        "userAgent": request.http.headers.get("User-Agent", ""),
        **({"errorCode": "AccessDenied"} if denied else {}),
        "requestParameters": parameters,
        "eventID": str(uuid4()),
        "readOnly": False,
        "resources": [{"type": "AWS::S3::Object", "ARN": f"arn:{partition}:s3:::{bucket}/{key or ''}"}]
        if is_data
        else [],
        "eventType": "AwsApiCall",
        "managementEvent": not is_data,
        "recipientAccountId": DEFAULT_ACCOUNT_ID,
        "eventCategory": "Data" if is_data else "Management",
    }


def _identity(access_key: str, partition: str) -> Record:
    """AWS CloudTrail User Guide, "CloudTrail userIdentity element"."""
    session: Any = sts_backends[DEFAULT_ACCOUNT_ID][partition].get_assumed_role_from_access_key(access_key)
    if session is not None:
        issuer = {"type": "Role", "arn": session.role_arn, "userName": session.role_arn.rsplit("/", 1)[-1]}
        return {
            "type": "AssumedRole",
            "arn": session.arn,
            "accountId": DEFAULT_ACCOUNT_ID,
            "accessKeyId": access_key,
            "sessionContext": {"sessionIssuer": issuer},
        }
    user: Any = iam_backends[DEFAULT_ACCOUNT_ID][partition].get_user_from_access_key_id(access_key)
    # The user that moto's GetCallerIdentity names.
    arn = user.arn if user else f"arn:{partition}:iam::{DEFAULT_ACCOUNT_ID}:user/moto"
    return {
        "type": "IAMUser",
        "arn": arn,
        "accountId": DEFAULT_ACCOUNT_ID,
        "accessKeyId": access_key,
        "userName": arn.rsplit("/", 1)[-1],
    }


def _selects(selector: Record, event: Record) -> bool:
    values = {
        "eventCategory": event["eventCategory"],
        "readOnly": json.dumps(event["readOnly"]),
        "eventName": event["eventName"],
        "resources.type": event["resources"][0]["type"],
        "resources.ARN": event["resources"][0]["ARN"],
    }

    def matches(field: Record) -> bool:
        value = values.get(field["Field"], "")
        return (
            ("Equals" not in field or value in field["Equals"])
            and ("StartsWith" not in field or value.startswith(tuple(field["StartsWith"])))
            and ("NotEquals" not in field or value not in field["NotEquals"])
            and ("NotStartsWith" not in field or not value.startswith(tuple(field["NotStartsWith"])))
        )

    return all(matches(field) for field in selector["FieldSelectors"])


def _may_deliver(trail: Any) -> bool:
    policy = s3_backends[DEFAULT_ACCOUNT_ID][trail.partition].get_bucket(trail.bucket_name).policy
    documents = [json.loads(policy)] if policy else []
    bucket = f"arn:{trail.partition}:s3:::{trail.bucket_name}"
    context = {
        "aws:sourcearn": trail.arn,
        "aws:securetransport": "true",
        "s3:x-amz-acl": "bucket-owner-full-control",
    }
    file = f"{bucket}/{_folder(trail)}x"
    return all(
        is_allowed(documents, Access(action, resource, context, _SERVICE))
        for action, resource in (("s3:GetBucketAcl", bucket), ("s3:PutObject", file))
    )


def _folder(trail: Any) -> str:
    prefix = f"{trail.s3_key_prefix}/" if trail.s3_key_prefix else ""
    return f"{prefix}AWSLogs/{trail.account_id}/CloudTrail/{trail.region_name}/"


def _deliver(trail: Any, event: Record) -> None:
    now = datetime.now(UTC)
    # Source: AWS CloudTrail User Guide, "CloudTrail log file examples", names of log files.
    name = f"{trail.account_id}_CloudTrail_{trail.region_name}_{now:%Y%m%dT%H%MZ}_{token_hex(8)}.json.gz"
    content = gzip.compress(json.dumps({"Records": [event]}).encode())
    s3_backends[DEFAULT_ACCOUNT_ID][trail.partition].put_object(
        trail.bucket_name, f"{_folder(trail)}{now:%Y/%m/%d}/{name}", content
    )


def _publish(event: Record) -> None:
    """Amazon EventBridge User Guide, "AWS service events delivered via AWS CloudTrail"."""
    sent: Record = {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.s3",
        "account": DEFAULT_ACCOUNT_ID,
        "time": datetime.now(UTC).timestamp(),
        "region": event["awsRegion"],
        "resources": [],
        "detail": event,
        "ingestion-time": datetime.now(UTC).timestamp(),
    }
    rules = events_backends[DEFAULT_ACCOUNT_ID][event["awsRegion"]].event_buses["default"].rules
    for rule in list(rules.values()):
        if rule.state == "ENABLED":
            rule.send_to_targets(sent)  # type: ignore[arg-type]
