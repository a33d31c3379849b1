"""The policies of the account's roles, as Terraform attached them."""

import json
from dataclasses import replace

from moto.iam.exceptions import NotFoundException
from moto.iam.models import Policy, Role, iam_backends

from policy_evaluation import Access, Document, is_allowed


def role_of(account: str, partition: str, arn: str) -> Role | None:
    try:
        role: Role = iam_backends[account][partition].get_role_by_arn(arn)
    except NotFoundException:
        return None
    return role


def trusts(role: Role, service: str, context: dict[str, str]) -> bool:
    trust = json.loads(role.assume_role_policy_document or "{}")
    return is_allowed([trust], Access("sts:AssumeRole", role.arn, context, service))


def documents_of(role: Role) -> dict[str, Document]:
    """The role's policies by their names."""
    inline = {f"{role.name}/{name}": json.loads(text) for name, text in role.policies.items()}
    return inline | {one.name: _default_version(one) for one in role.managed_policies.values()}


def boundary_of(role: Role) -> Document | None:
    if not role.permissions_boundary_arn:
        return None
    backend = iam_backends[role.account_id][role.partition]
    return _default_version(backend.get_policy(role.permissions_boundary_arn))


def tags_of(role: Role) -> dict[str, str]:
    """A role's tags are those of the principal in all its sessions."""
    return {f"aws:principaltag/{tag['Key'].lower()}": tag["Value"] for tag in role.tags or []}


def role_may(role: Role, access: Access) -> bool:
    """Evaluates the role's policies and its permissions boundary."""
    tagged = replace(access, context={**access.context, **tags_of(role)})
    boundary = boundary_of(role)
    if boundary is not None and not is_allowed([boundary], tagged):
        return False
    return is_allowed(documents_of(role).values(), tagged)


def _default_version(policy: Policy) -> Document:
    document: Document = json.loads(next(one.document for one in policy.versions if one.is_default))
    return document
