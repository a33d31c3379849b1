"""Lifecycle configurations: immutable scripts that run at the start of an app."""

import base64
import binascii

from .errors import ResourceInUse, ValidationException
from .references import lifecycle_config_arns
from .state import Members, Resource, Studio


def create(studio: Studio, request: Members) -> Members:
    name = request["StudioLifecycleConfigName"]
    if name in studio.lifecycle_configs:
        # Source: CreateStudioLifecycleConfig, errors (ResourceInUse). Guess: the wording.
        raise ResourceInUse(f"StudioLifecycleConfig [{name}] already exists.")
    try:
        base64.b64decode(request["StudioLifecycleConfigContent"], validate=True)
    except binascii.Error:
        # Source: CreateStudioLifecycleConfig, StudioLifecycleConfigContent: must be base64 encoded. Guess:
        # the wording.
        raise ValidationException("StudioLifecycleConfigContent is not valid base64.") from None
    arn = studio.arn(f"studio-lifecycle-config/{name}")
    tags = request.pop("Tags", [])
    config = Resource("StudioLifecycleConfig", arn, {**request, "StudioLifecycleConfigArn": arn}, tags)
    # Source: DescribeStudioLifecycleConfig has no status.
    config.set_status("InService")
    studio.lifecycle_configs[name] = config
    return {"StudioLifecycleConfigArn": arn}


def _find(studio: Studio, request: Members) -> Resource:
    name = request["StudioLifecycleConfigName"]
    return studio.lifecycle_configs.find(name, f"StudioLifecycleConfig [{name}]")


def describe(studio: Studio, request: Members) -> Members:
    return _find(studio, request).members


def delete(studio: Studio, request: Members) -> None:
    """Rejected while a domain, profile or space refers to it, or while an app runs with it."""
    config = _find(studio, request)
    for user in studio.resources:
        if user is config or user.status == "Deleted":
            continue
        if any(arn == config.arn for arn, _ in lifecycle_config_arns(user.members)):
            # Source: DeleteStudioLifecycleConfig: domains, user profiles and running apps. Guess: that the
            # settings of spaces also count, and the wording.
            raise ResourceInUse(
                f"Unable to delete StudioLifecycleConfig [{config.arn}] because it is in use by "
                f"{user.kind} [{user.arn}]."
            )
    del studio.lifecycle_configs[config.members["StudioLifecycleConfigName"]]
