"""Lists the resources in the account, except those that every AWS account has.

With it, `npm start -- --check` verifies that nothing of a destroyed stack is left.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import moto.backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from budgets import actions_of
from studio.responses import ControlPlane


@dataclass(frozen=True)
class _Kind:
    label: str
    find: Callable[[Any], Iterable[Any]]  # in a region's backend
    name: Callable[[Any], str] = lambda resource: str(resource.id)
    keep: Callable[[Any], bool] = lambda _: True


def _values(attribute: str) -> Callable[[Any], Iterable[Any]]:
    return lambda backend: getattr(backend, attribute).values()


def _nested_values(attribute: str) -> Callable[[Any], Iterable[Any]]:
    return lambda backend: [item for inner in getattr(backend, attribute).values() for item in inner.values()]


def _named(attribute: str = "name") -> Callable[[Any], str]:
    return lambda resource: str(getattr(resource, attribute))


def _is_not_deleted(resource: Any) -> bool:
    return bool(resource.state != "deleted")


def _is_not_main(route_table: Any) -> bool:
    return route_table.main_association_id is None


# The main route table, default network ACL and default security group of a VPC are deleted with it.
_KINDS: dict[str, list[_Kind]] = {
    "ec2": [
        _Kind("vpc", _values("vpcs"), keep=lambda vpc: not vpc.is_default),
        _Kind("subnet", _nested_values("subnets"), keep=lambda subnet: not subnet.default_for_az),
        _Kind("route-table", _values("route_tables"), keep=_is_not_main),
        _Kind("network-acl", _values("network_acls"), keep=lambda acl: not acl.default),
        _Kind("security-group", _nested_values("groups"), keep=lambda group: group.name != "default"),
        _Kind("internet-gateway", _values("internet_gateways")),
        _Kind("egress-only-internet-gateway", _values("egress_only_internet_gateways")),
        _Kind("nat-gateway", _values("nat_gateways"), keep=_is_not_deleted),
        _Kind("elastic-ip", lambda ec2: ec2.addresses, _named("allocation_id")),
        _Kind("network-interface", _values("enis")),
        _Kind("vpc-endpoint", _values("vpc_end_points"), keep=_is_not_deleted),
        _Kind("flow-log", _values("flow_logs")),
        _Kind("instance", lambda ec2: ec2.all_instances(), keep=lambda it: it.state != "terminated"),
        _Kind("volume", _values("volumes")),
        _Kind("key-pair", _values("key_pairs"), _named()),
        _Kind("launch-template", _values("launch_templates")),
        _Kind(
            "prefix-list", _values("managed_prefix_lists"), keep=lambda it: it.owner_id == DEFAULT_ACCOUNT_ID
        ),
        _Kind("vpc-peering-connection", _values("vpc_pcxs")),
    ],
    "athena": [
        _Kind("workgroup", _values("work_groups"), _named(), keep=lambda group: group.name != "primary")
    ],
    "budgets": [
        _Kind("budget", _nested_values("budgets"), lambda budget: str(budget.budget["BudgetName"])),
        _Kind(
            "action",
            lambda backend: [
                action_id for actions in actions_of(backend).by_budget.values() for action_id in actions
            ],
            str,
        ),
    ],
    "cloudtrail": [_Kind("trail", _values("trails"), _named("trail_name"))],
    "efs": [
        _Kind("file-system", _values("file_systems_by_id"), _named("file_system_id")),
        _Kind("mount-target", _values("mount_targets_by_id"), _named("mount_target_id")),
        _Kind("access-point", _values("access_points"), _named("access_point_id")),
    ],
    "events": [
        _Kind(
            "rule",
            lambda events: [rule for bus in events.event_buses.values() for rule in bus.rules.values()],
            _named(),
        ),
        _Kind("event-bus", _values("event_buses"), _named(), keep=lambda bus: bus.name != "default"),
        _Kind("archive", _values("archives"), _named()),
    ],
    "iam": [
        _Kind("role", _values("roles"), _named()),
        _Kind(
            "policy",
            _values("managed_policies"),
            _named(),
            keep=lambda policy: f":{DEFAULT_ACCOUNT_ID}:" in policy.arn,
        ),
        _Kind("user", _values("users"), _named()),
        _Kind("group", _values("groups"), _named()),
        _Kind("instance-profile", _values("instance_profiles"), _named()),
        _Kind("saml-provider", _values("saml_providers"), _named()),
        _Kind("open-id-connect-provider", _values("open_id_providers"), _named("url")),
    ],
    "kms": [
        _Kind(
            "key",
            _values("keys"),
            keep=lambda key: key.key_state != "PendingDeletion" and key.key_manager == "CUSTOMER",
        ),
        _Kind(
            "alias",
            lambda kms: [alias for key in kms.keys.values() for alias in key.aliases],
            str,
            keep=lambda alias: not str(alias).startswith("alias/aws/"),
        ),
    ],
    "logs": [
        # SageMaker creates these log groups. They are not deleted with the stack.
        _Kind(
            "group",
            _values("groups"),
            _named(),
            keep=lambda group: not group.name.startswith("/aws/sagemaker/"),
        ),
        _Kind("resource-policy", _values("resource_policies"), _named("policy_name")),
    ],
    "s3": [_Kind("bucket", _values("buckets"), _named())],
    "scheduler": [
        _Kind(
            "schedule",
            lambda scheduler: [
                schedule
                for group in scheduler.schedule_groups.values()
                for schedule in group.schedules.values()
            ],
            _named(),
        ),
        _Kind("group", _values("schedule_groups"), _named(), keep=lambda group: group.name != "default"),
    ],
    "sns": [
        _Kind("topic", _values("topics"), _named()),
        _Kind("subscription", _values("subscriptions"), _named("arn")),
    ],
    "sqs": [_Kind("queue", _values("queues"), _named())],
    "sts": [],  # has only sessions
    "s3control": [],  # has the same buckets as s3
}


def inventory(control_plane: ControlPlane, services: Iterable[str]) -> list[str]:
    """One line per resource, for all Regions and for each service that has received requests."""
    lines = set(_studio_lines(control_plane))
    for service in {*services, *_KINDS}:
        backends: Any = moto.backends.get_backend(service)  # type: ignore[call-overload]
        # A copy of the existing backends: access to a Region by name would create one.
        for backend in list(dict(backends[DEFAULT_ACCOUNT_ID]).values()):
            kinds = _KINDS.get(service)
            lines.update(
                _known_lines(service, kinds, backend) if kinds is not None else _lines(service, backend)
            )
    return sorted(lines)


def _studio_lines(control_plane: ControlPlane) -> Iterator[str]:
    with control_plane.lock:
        for studio in control_plane.studios.values():
            for resource in studio.resources:
                if resource.status != "Deleted":
                    yield f"sagemaker {resource.arn.split(':', 5)[5].replace('/', ' ', 1)}"
            yield from (f"bedrock inference-profile {name}" for name in studio.inference_profiles)


def _known_lines(service: str, kinds: list[_Kind], backend: Any) -> Iterator[str]:
    for kind in kinds:
        for resource in list(kind.find(backend)):
            if kind.keep(resource):
                yield f"{service} {kind.label} {kind.name(resource)}"


def _lines(service: str, backend: Any) -> Iterator[str]:
    """For services that are not in the table: all dictionary entries of the backend that a new backend does
    not have."""
    fresh = type(backend)(backend.region_name, backend.account_id)
    for attribute, value in vars(backend).items():
        if isinstance(value, dict) and not attribute.startswith("_"):
            defaults = getattr(fresh, attribute, {})
            yield from (f"{service} {attribute} {key}" for key in value if key not in defaults)
