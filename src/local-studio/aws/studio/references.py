"""Checks that the resources in a request exist: lifecycle configurations, images, networks and roles."""

import json
from collections.abc import Iterator
from typing import Any, cast

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends

from .errors import ValidationException
from .state import Members, Resource, Studio

# Members of user and space settings -> the app type of their lifecycle configurations.
_APP_TYPES = {
    "JupyterServerAppSettings": "JupyterServer",
    "KernelGatewayAppSettings": "KernelGateway",
    "JupyterLabAppSettings": "JupyterLab",
    "CodeEditorAppSettings": "CodeEditor",
}


def lifecycle_config_arns(members: Any, app_type: str | None = None) -> Iterator[tuple[str, str | None]]:
    """Yields every lifecycle configuration in the settings, with the app type that it must have."""
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
    # Guess: the code and the wording.
    raise ValidationException(f"StudioLifecycleConfig [{arn}] does not exist.")


def check_lifecycle_configs(studio: Studio, members: Members, app_type: str | None = None) -> None:
    for arn, wanted in lifecycle_config_arns(members, app_type):
        actual = lifecycle_config(studio, arn).members["StudioLifecycleConfigAppType"]
        if wanted and actual != wanted:
            # Guess: that a mismatch with the app type of CreateStudioLifecycleConfig is an error, the code
            # and the wording.
            raise ValidationException(
                f"StudioLifecycleConfig [{arn}] is for {actual} apps, not for {wanted}."
            )


def custom_images(members: Any) -> Iterator[Members]:
    """Yields every custom image in the settings."""
    if isinstance(members, dict):
        for name, value in members.items():
            yield from value if name == "CustomImages" else custom_images(value)
    elif isinstance(members, list):
        for item in members:
            yield from custom_images(item)


def check_custom_images(studio: Studio, members: Members) -> None:
    for custom in custom_images(members):
        name, config = custom["ImageName"], custom["AppImageConfigName"]
        version = custom.get("ImageVersionNumber")
        if name not in studio.images or (
            version is not None and (name, version) not in studio.image_versions
        ):
            # Guess: the code and the wording.
            raise ValidationException(f"Image [{name}] does not exist in version {version or 'any'}.")
        if config not in studio.app_image_configs:
            # Guess: the code and the wording.
            raise ValidationException(f"AppImageConfig [{config}] does not exist.")


def check_image(studio: Studio, arn: str, attached: list[Members]) -> None:
    """An app runs in a custom image if the settings of its owner have the image with a configuration."""
    if not arn.startswith(studio.arn("image/")):
        return  # an image of AWS, such as SageMaker Distribution
    name = next((image.members["ImageName"] for image in studio.images.values() if image.arn == arn), None)
    configs = [custom["AppImageConfigName"] for custom in attached if custom["ImageName"] == name]
    if not any(config in studio.app_image_configs for config in configs):
        # Source: aws/amazon-sagemaker-feedback#134, a space whose image was removed. Guess: the code, the
        # wording, and that CreateApp fails, not the app.
        raise ValidationException(f"Image [{arn}] is not attached, or its AppImageConfig does not exist.")


# Source: UserSettings, SecurityGroups: one less than the five of the model, as SageMaker adds one for NFS.
_MAX_SECURITY_GROUPS = 4


def check_security_groups(studio: Studio, settings: Members | None) -> None:
    groups = (settings or {}).get("SecurityGroups", [])
    if len(groups) > _MAX_SECURITY_GROUPS:
        # Source: as above. Guess: the wording.
        raise ValidationException(
            f"SecurityGroups has {len(groups)} groups; at most {_MAX_SECURITY_GROUPS} can be specified."
        )
    for group in groups:
        if studio.ec2.get_security_group_from_id(group) is None:
            # Guess: the code (including the wording) of EC2 (Amazon EC2 API Reference, "Error codes",
            # InvalidGroup.NotFound).
            raise ValidationException(f"The security group '{group}' does not exist")


def check_network(studio: Studio, vpc_id: str, subnet_ids: list[str]) -> None:
    if vpc_id not in studio.ec2.vpcs:
        # Guess: the code and the wording, after EC2's InvalidVpcID.NotFound.
        raise ValidationException(f"The vpc ID '{vpc_id}' does not exist")
    subnets = {subnet.id: subnet for subnet in studio.ec2.describe_subnets()}
    for subnet_id in subnet_ids:
        if subnet_id not in subnets or subnets[subnet_id].vpc_id != vpc_id:
            # Guess: the code and the wording, after EC2's InvalidSubnetID.NotFound.
            raise ValidationException(f"The subnet ID '{subnet_id}' does not exist in VPC '{vpc_id}'")


def check_assumable(studio: Studio, role_arn: str) -> None:
    """An app runs with the execution role, so the role must trust SageMaker."""
    problem = (
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )
    try:
        role = iam_backends[studio.account][studio.partition].get_role_by_arn(role_arn)
    except NotFoundException:
        # Source: for the wording awslabs/predictive-maintenance-using-machine-learning#3, CreateTransformJob.
        # Guess: the same for CreateApp.
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
