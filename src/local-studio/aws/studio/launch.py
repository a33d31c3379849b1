"""The settings of an app, resolved from its request, its space, the owner's profile and the domain."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from .references import check_image, custom_images, lifecycle_config
from .state import Members, Resource, Studio

_DEFAULT_INSTANCE_TYPE = "ml.t3.medium"


@dataclass(frozen=True)
class Launch:
    instance_type: str
    execution_role: str
    resource_spec: Members
    built_in_lifecycle_config_arn: str | None
    lifecycle_configs: list[Resource]  # in the order in which they run

    @staticmethod
    def resolve(studio: Studio, request: Members, domain: Resource, space: Resource) -> "Launch":
        app_settings = f"{request['AppType']}AppSettings"
        asked = request.get("ResourceSpec", {})
        space_spec = _resource_spec(space.members.get("SpaceSettings", {}), app_settings)
        defaults = _defaults(studio, request, domain, space)  # the owner's settings first
        specs = [asked, space_spec, *(_resource_spec(settings, app_settings) for settings in defaults)]

        # The built-in configuration always runs first. A second one runs after it if the app's request or its
        # space has a LifecycleConfigArn. In a profile or a domain, LifecycleConfigArn is only the default in
        # the user interface.
        built_in = _first(
            settings.get(app_settings, {}).get("BuiltInLifecycleConfigArn") for settings in defaults
        )
        chosen = _first([asked.get("LifecycleConfigArn"), space_spec.get("LifecycleConfigArn")])
        instance_type = _first(spec.get("InstanceType") for spec in specs) or _DEFAULT_INSTANCE_TYPE
        resource_spec = {**asked, "InstanceType": instance_type}
        image_arn = _first(spec.get("SageMakerImageArn") for spec in (asked, space_spec))
        if image_arn:
            check_image(studio, image_arn, list(custom_images(defaults)))
            resource_spec["SageMakerImageArn"] = image_arn
        if chosen:
            resource_spec["LifecycleConfigArn"] = chosen
        arns = list(dict.fromkeys(arn for arn in (built_in, chosen) if arn))
        return Launch(
            instance_type=instance_type,
            execution_role=_first(settings.get("ExecutionRole") for settings in defaults)
            or domain.members["DefaultUserSettings"]["ExecutionRole"],
            resource_spec=resource_spec,
            built_in_lifecycle_config_arn=built_in,
            lifecycle_configs=[lifecycle_config(studio, arn) for arn in arns],
        )


def _defaults(studio: Studio, request: Members, domain: Resource, space: Resource) -> list[Members]:
    """A private space uses its owner's settings, then the domain's default user settings. A shared space uses
    only the domain's default space settings (AWS API reference, UserSettings and DefaultSpaceSettings)."""
    owner = space.members.get("OwnershipSettings", {}).get("OwnerUserProfileName")
    if owner and space.members["SpaceSharingSettings"]["SharingType"] == "Private":
        profile = studio.user_profile(request, owner)
        return [profile.members.get("UserSettings", {}), domain.members["DefaultUserSettings"]]
    return [domain.members.get("DefaultSpaceSettings", {})]


def _resource_spec(settings: Members, app_settings: str) -> Members:
    return cast(Members, settings.get(app_settings, {}).get("DefaultResourceSpec", {}))


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)
