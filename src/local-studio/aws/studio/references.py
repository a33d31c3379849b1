"""What requests name, and AWS checks that it exists: lifecycle configurations, security groups, subnets,
roles."""

import json
from collections.abc import Iterator
from typing import Any, cast

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends

from .errors import ValidationException
from .state import Members, Resource, Studio

# Members of user and space settings -> the kind of lifecycle configuration that they may name.
_APP_TYPES = {
    "JupyterServerAppSettings": "JupyterServer",
    "KernelGatewayAppSettings": "KernelGateway",
    "JupyterLabAppSettings": "JupyterLab",
    "CodeEditorAppSettings": "CodeEditor",
}


def lifecycle_config_arns(members: Any, app_type: str | None = None) -> Iterator[tuple[str, str | None]]:
    """Every lifecycle configuration named in there, each with the type of app that it is for."""
    if isinstance(members, dict):
        for name, value in members.items():
            if name in ("LifecycleConfigArn", "BuiltInLifecycleConfigArn"):
                yield value, app_type
            elif name == "LifecycleConfigArns":
                yield from ((arn, app_type) for arn in value)
            else:
                yield from lifecycle_config_arns(value, _APP_TYPES.get(name, app_type))
    elif isinstance(members, list):
        for item in members:
            yield from lifecycle_config_arns(item, app_type)


def lifecycle_config(studio: Studio, arn: str) -> Resource:
    for config in studio.lifecycle_configs.values():
        if config.arn == arn:
            return config
    # Guess: the code and the words.
    raise ValidationException(f"StudioLifecycleConfig [{arn}] does not exist.")


def check_lifecycle_configs(studio: Studio, members: Members, app_type: str | None = None) -> None:
    for arn, wanted in lifecycle_config_arns(members, app_type):
        actual = lifecycle_config(studio, arn).members["StudioLifecycleConfigAppType"]
        if wanted and actual != wanted:
            # Guess: CreateStudioLifecycleConfig has a type for each configuration; that a mismatch is
            # refused, and how.
            raise ValidationException(
                f"StudioLifecycleConfig [{arn}] is for {actual} apps, not for {wanted}."
            )


# Source: UserSettings, SecurityGroups: one less than the model's five, as SageMaker adds one for NFS.
_MOST_SECURITY_GROUPS = 4


def check_security_groups(studio: Studio, settings: Members | None) -> None:
    groups = (settings or {}).get("SecurityGroups", [])
    if len(groups) > _MOST_SECURITY_GROUPS:
        # Source: as above. Guess: the words.
        raise ValidationException(
            f"SecurityGroups has {len(groups)} groups; at most {_MOST_SECURITY_GROUPS} can be specified."
        )
    for group in groups:
        if studio.ec2.get_security_group_from_id(group) is None:
            # Guess: the code, with the words of EC2 (Amazon EC2 API Reference, "Error codes",
            # InvalidGroup.NotFound).
            raise ValidationException(f"The security group '{group}' does not exist")


def check_network(studio: Studio, vpc_id: str, subnet_ids: list[str]) -> None:
    if vpc_id not in studio.ec2.vpcs:
        # Guess: the code and the words, after EC2's InvalidVpcID.NotFound.
        raise ValidationException(f"The vpc ID '{vpc_id}' does not exist")
    subnets = {subnet.id: subnet for subnet in studio.ec2.describe_subnets()}
    for subnet_id in subnet_ids:
        if subnet_id not in subnets or subnets[subnet_id].vpc_id != vpc_id:
            # Guess: the code and the words, after EC2's InvalidSubnetID.NotFound.
            raise ValidationException(f"The subnet ID '{subnet_id}' does not exist in VPC '{vpc_id}'")


def check_assumable(studio: Studio, role_arn: str) -> None:
    """An app runs under the execution role, so SageMaker must be trusted by it."""
    problem = (
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )
    try:
        role = iam_backends[studio.account][studio.partition].get_role_by_arn(role_arn)
    except NotFoundException:
        # Source: the words are CreateTransformJob's: awslabs/predictive-maintenance-using-machine-learning#3.
        # Guess: that CreateApp has them too.
        raise ValidationException(problem) from None
    trust = cast(Members, json.loads(role.assume_role_policy_document or "{}"))
    statements = trust.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        services = statement.get("Principal", {}).get("Service", [])
        if statement.get("Effect") == "Allow" and "sagemaker.amazonaws.com" in (
            [services] if isinstance(services, str) else services
        ):
            return
    # Source: as above.
    raise ValidationException(problem)
