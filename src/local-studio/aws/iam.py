"""`npm start -- --iam`: each request of a role's session is held to the policies of that role.

Sessions are those that this local AWS gives to apps and jobs, and those of AssumeRole. Any other access key
is the rehearsal's own, whose caller is an administrator and needs no permissions. A refusal says what AWS
says, and then which statement comes closest. Where the tables do not know an operation, a request whose
action no policy names is refused as on AWS, and any other with the words of `_UNKNOWN`.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.iam.models import Role
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends

from aws_request import AwsRequest
from iam_requests import Context, accesses, by, members_of_json
from iam_resources import FREE
from policies import boundary_of, documents_of, role_of, tags_of
from policy_evaluation import (
    Access,
    Document,
    Statement,
    covers_action,
    covers_resource,
    decide,
    failed_conditions,
    statements,
)
from request_refusals import Refusal, members_of
from studio.state import Studio

_UNKNOWN = (
    "the local AWS does not know on which resource IAM authorizes {action}; add it to "
    "src/local-studio/aws/iam_resources.py, or start without --iam"
)
# Source: "Common Errors" of the API references of STS and SageMaker; "Error codes" of Amazon EC2 and Amazon
# S3. Guess: the status of each protocol.
_CODES = {
    "ec2": (403, "UnauthorizedOperation"),
    "s3": (403, "AccessDenied"),
    "query": (403, "AccessDenied"),
    "json": (400, "AccessDeniedException"),
    "rest-json": (403, "AccessDeniedException"),
    "rest-xml": (403, "AccessDenied"),
}
# Service names of VPC endpoints that differ from the service's.
_ENDPOINTS = {"sagemaker": "sagemaker.api", "sagemaker-runtime": "sagemaker.runtime"}


@dataclass(frozen=True)
class Session:
    role_arn: str
    # Condition keys of requests from Studio (Service Authorization Reference, "Amazon SageMaker AI").
    context: dict[str, str] = field(default_factory=dict)
    # That of Studio's apps and of jobs on AWS, as messages of refusals show.
    name: str = "SageMaker"


class Sessions:
    """The sessions of roles, by access key."""

    def __init__(self) -> None:
        self._opened: dict[str, Session] = {}

    def open(self, region: str, role_arn: str, context: dict[str, str]) -> dict[str, str]:
        """The variables of an app or a job. Its session has the name that SageMaker gives it."""
        backend = sts_backends[DEFAULT_ACCOUNT_ID]["aws"]
        assumed: Any = backend.assume_role(region, "SageMaker", role_arn, "", 3600, "")
        # moto's keys come from a generator that tests can seed.
        assumed.access_key_id = f"ASIA{secrets.token_hex(16).upper()}"
        self._opened[assumed.access_key_id] = Session(role_arn, context)
        return {
            "AWS_ACCESS_KEY_ID": assumed.access_key_id,
            "AWS_SECRET_ACCESS_KEY": assumed.secret_access_key,
            "AWS_SESSION_TOKEN": assumed.session_token,
        }

    def find(self, access_key: str) -> Session | None:
        if access_key in self._opened:
            return self._opened[access_key]
        assumed = sts_backends[DEFAULT_ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key)
        return Session(assumed.role_arn) if assumed else None


def refusal(session: Session, studio: Studio, request: AwsRequest) -> Refusal | None:
    if request.name in FREE:
        return None
    try:
        is_sagemaker = request.service_name == "sagemaker"
        members = members_of_json(request.http.get_data()) if is_sagemaker else members_of(request)
    except ValueError:
        return None  # the service refuses it
    message = refusal_of(session, studio, request.service_name, request.operation.name, members)
    if message is None:
        return None
    status, code = _CODES.get(request.service_name) or _CODES[request.protocol]
    return status, code, message


def refusal_of(
    session: Session, studio: Studio, service: str, operation: str, members: dict[str, Any]
) -> str | None:
    role = role_of(studio.account, studio.partition, session.role_arn)
    if role is None:
        return f"The role {session.role_arn} does not exist."
    caller = (
        session.role_arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + f"/{session.name}"
    )
    needed = accesses(studio, service, operation, members)
    if needed is None:
        action = f"{service}:{operation}"
        named = any(covers_action(one, action) for one in _statements(documents_of(role).values()))
        denied = _UNKNOWN.format(action=action) if named else _none(role, action)
        return f"User: {caller} is not authorized to perform: {action} ({denied})"
    context: Context = {**_global_context(studio, service, role), **session.context, **tags_of(role)}
    for one in needed:
        access = by(one, role.arn, context)
        if reason := _denied(studio, role, access):
            # Source: IAM User Guide, "Troubleshoot access denied error messages": also the wording, up to the
            # parenthesis.
            asked = f"{access.action} on resource: {access.resource}"
            return f"User: {caller} is not authorized to perform: {asked} {reason}"
    return None


def _statements(documents: Iterable[Document]) -> list[Statement]:
    return [one for document in documents for one in statements(document)]


def _denied(studio: Studio, role: Role, access: Access) -> str | None:
    """Why the access is denied, in AWS's words and in ours."""
    own, action = documents_of(role), access.action
    of_resource = decide(_resource_policies(studio, access), access)
    kinds: list[tuple[str, dict[str, Document]]] = [("an identity-based policy", own)]
    if (boundary := boundary_of(role)) is not None:
        kinds.append(("a permissions boundary", {"the permissions boundary": boundary}))
    for kind, documents in kinds:
        for name, document in documents.items():
            found = decide([document], access)
            if found.statement is not None and not found.allowed:
                return f"with an explicit deny in {kind} (statement {found.statement.get('Sid')} of {name})"
    if of_resource.statement is not None and not of_resource.allowed:
        return (
            f"with an explicit deny in a resource-based policy (statement {of_resource.statement.get('Sid')})"
        )
    if of_resource.allowed:
        return None
    for kind, documents in kinds:
        if not decide(documents.values(), access).allowed:
            # `no permissions boundary allows`, `no identity-based policy allows`
            word = kind.partition(" ")[2]
            closest = _closest(documents, access) or _none(role, action)
            return f"because no {word} allows the {action} action ({closest})"
    return None


def _closest(documents: dict[str, Document], access: Access) -> str | None:
    """The statements that allow the action under other conditions, or on other resources."""
    found = [
        (name, one)
        for name, document in documents.items()
        for one in statements(document)
        if one["Effect"] == "Allow" and covers_action(one, access.action)
    ]
    on_it = [(name, one) for name, one in found if covers_resource(one, access)]
    told = [
        f"statement {one.get('Sid')} of {name} does so, but not with "
        + "; ".join(f"{text} = {_given(text, access)}" for text in failed_conditions(one, access))
        for name, one in on_it
    ]
    told += [
        f"statement {one.get('Sid')} of {name} allows it on {json.dumps(one.get('Resource'))}"
        for name, one in found
        if not on_it
    ]
    return "; ".join(told) or None


def _given(condition: str, access: Access) -> str:
    return json.dumps(access.context.get(condition.split(" ", 1)[1].lower(), None))


def _none(role: Role, action: str) -> str:
    return f"no statement of {', '.join(sorted(documents_of(role)))} names {action}"


def _resource_policies(studio: Studio, access: Access) -> list[Document]:
    if not access.action.startswith("s3:") or access.resource == "*":
        return []
    name = access.resource.split(":::", 1)[1].split("/", 1)[0]
    bucket = s3_backends[studio.account][studio.partition].buckets.get(name)
    return [json.loads(bucket.policy)] if bucket is not None and bucket.policy else []


def _global_context(studio: Studio, service: str, role: Role) -> dict[str, str]:
    """IAM User Guide, "AWS global condition context keys". Every request comes through the VPC, by the
    endpoint of its service, if there is one. HTTP on this machine stands for HTTPS."""
    suffix = f".{_ENDPOINTS.get(service, service)}"
    endpoints = ec2_backends[studio.account][studio.region].vpc_end_points.values()
    ids = [one.id for one in endpoints if one.service_name.endswith(suffix)]
    return {
        "aws:principalaccount": studio.account,
        "aws:principalarn": role.arn,
        "aws:requestedregion": studio.region,
        "aws:resourceaccount": studio.account,
        "aws:securetransport": "true",
        "aws:viaawsservice": "false",
        **({"aws:sourcevpce": ids[0]} if ids else {}),
    }
