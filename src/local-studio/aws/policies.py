"""Evaluates IAM policies for requests of AWS services: of a rule to a topic, of a schedule with its role.

Supports the condition operators that such policies use (IAM User Guide, "IAM JSON policy elements: Condition
operators"). With any other operator, an Allow statement never applies and a Deny statement always applies.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import Policy, Role, iam_backends

Document = dict[str, Any]


@dataclass(frozen=True)
class Access:
    action: str
    resource: str
    # Values by condition key in lower case.
    context: dict[str, str] = field(default_factory=dict)
    # For resource-based policies: the name of a service or the ARN of a role.
    principal: str = ""


def _like(pattern: str, text: str) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringNotEquals": lambda wanted, value: wanted != value,
    "StringLike": _like,
    "StringNotLike": lambda wanted, value: not _like(wanted, value),
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}


def is_allowed(policies: Iterable[Document], access: Access) -> bool:
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _list(policy.get("Statement"))
        if _matches(statement, access)
    }
    return effects == {"Allow"}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _matches(statement: Document, access: Access) -> bool:
    def any_like(name: str, text: str) -> bool:
        return any(_like(pattern.lower(), text.lower()) for pattern in _list(statement.get(name)))

    acts = any_like("Action", access.action)
    if "NotAction" in statement:
        acts = not any_like("NotAction", access.action)
    # A trust policy has no Resource element.
    covers = "Resource" not in statement or any(
        _like(pattern, access.resource) for pattern in _list(statement["Resource"])
    )
    if "NotResource" in statement:
        covers = not any(_like(pattern, access.resource) for pattern in _list(statement["NotResource"]))
    return (
        acts
        and covers
        and ("Principal" not in statement or _is_principal(statement["Principal"], access.principal))
        and all(
            _holds(operator, key, _list(values), access, denies=statement["Effect"] == "Deny")
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _is_principal(principals: Any, principal: str) -> bool:
    if principals == "*":
        return True
    named = [value for values in principals.values() for value in _list(values)]
    return principal in named or "*" in _list(principals.get("AWS"))


def _holds(operator: str, key: str, values: list[Any], access: Access, denies: bool) -> bool:
    name = operator.removesuffix("IfExists")
    value = access.context.get(key.lower())
    if name not in _OPERATORS:
        return denies
    if value is None:
        return operator != name or "Not" in name
    texts = [str(wanted).lower() if isinstance(wanted, bool) else str(wanted) for wanted in values]
    results = [_OPERATORS[name](wanted, value) for wanted in texts]
    return all(results) if "Not" in name else any(results)


def role_of(account: str, partition: str, arn: str) -> Role | None:
    try:
        role: Role = iam_backends[account][partition].get_role_by_arn(arn)
    except NotFoundException:
        return None
    return role


def trusts(role: Role, service: str, context: dict[str, str]) -> bool:
    trust = json.loads(role.assume_role_policy_document or "{}")
    return is_allowed([trust], Access("sts:AssumeRole", role.arn, context, service))


def role_may(role: Role, access: Access) -> bool:
    """Evaluates the role's policies and its permissions boundary."""
    documents = [json.loads(text) for text in role.policies.values()]
    documents += [_default_version(policy) for policy in role.managed_policies.values()]
    if role.permissions_boundary_arn:
        boundary = iam_backends[role.account_id][role.partition].get_policy(role.permissions_boundary_arn)
        if not is_allowed([_default_version(boundary)], access):
            return False
    return is_allowed(documents, access)


def _default_version(policy: Policy) -> Document:
    document: Document = json.loads(next(one.document for one in policy.versions if one.is_default))
    return document
