"""User profiles: one person's settings in a domain."""

from .errors import ResourceInUse, ValidationException
from .references import check_lifecycle_configs, check_security_groups
from .state import Members, Resource, Studio, named


def create(studio: Studio, request: Members) -> Members:
    domain = studio.domain(request)
    domain.require_in_service()
    name = request["UserProfileName"]
    key = named(request["DomainId"], name)
    if key in studio.user_profiles:
        raise ResourceInUse(f"UserProfile [{studio.user_profiles[key].arn}] already exists.")
    if (domain.members["AuthMode"] == "SSO") != ("SingleSignOnUserValue" in request):
        raise ValidationException(
            "SingleSignOnUserIdentifier and SingleSignOnUserValue are required in domains with AuthMode SSO, "
            "and not allowed in domains with AuthMode IAM."
        )
    check_security_groups(studio, request.get("UserSettings"))
    check_lifecycle_configs(studio, request)
    arn = studio.arn(f"user-profile/{request['DomainId']}/{name.lower()}")
    tags = request.pop("Tags", [])
    uid = str(200000 + 5 * len(studio.user_profiles))
    profile = Resource(
        "UserProfile", arn, {**request, "UserProfileArn": arn, "HomeEfsFileSystemUid": uid}, tags
    )
    studio.user_profiles[key] = profile
    studio.settle(profile)
    return {"UserProfileArn": arn}


def _find(studio: Studio, request: Members) -> Resource:
    studio.domain(request)
    return studio.user_profile(request)


def describe(studio: Studio, request: Members) -> Members:
    return _find(studio, request).members


def owned_spaces(studio: Studio, profile: Resource) -> list[Resource]:
    key = named(profile.members["DomainId"], profile.members["UserProfileName"])
    return [
        space
        for space in studio.spaces.values()
        if named(
            space.members["DomainId"],
            space.members.get("OwnershipSettings", {}).get("OwnerUserProfileName", ""),
        )
        == key
    ]


def _apps(studio: Studio, profile: Resource, *statuses: str) -> list[Resource]:
    """The person's own apps and those of the person's spaces."""
    domain_id, name = profile.members["DomainId"], profile.members["UserProfileName"]
    apps = studio.apps_of(*statuses, DomainId=domain_id, UserProfileName=name)
    for space in owned_spaces(studio, profile):
        apps += studio.apps_of(*statuses, DomainId=domain_id, SpaceName=space.members["SpaceName"])
    return apps


def update(studio: Studio, request: Members) -> Members:
    profile = _find(studio, request)
    profile.require_settled()
    if _apps(studio, profile, "InService", "Pending"):
        # hashicorp/terraform-provider-aws#31912
        raise ResourceInUse(
            f"Unable to update UserProfile [{profile.arn}] because it has InService or Pending App(s)."
        )
    check_security_groups(studio, request.get("UserSettings"))
    check_lifecycle_configs(studio, request)
    settings = {**profile.members.get("UserSettings", {}), **request.get("UserSettings", {})}
    profile.members["UserSettings"] = settings
    profile.set_status("Updating")
    studio.settle(profile)
    return {"UserProfileArn": profile.arn}


def delete(studio: Studio, request: Members) -> None:
    profile = _find(studio, request)
    profile.require_settled()
    # The words of AWS: aws/amazon-sagemaker-feedback#113.
    for kind, associated in (("App", _apps(studio, profile)), ("Space", owned_spaces(studio, profile))):
        if associated:
            raise ResourceInUse(
                f"Unable to delete UserProfile [{profile.arn}] because {kind}(s) are associated with it."
            )
    studio.remove(studio.user_profiles, named(request["DomainId"], request["UserProfileName"]))
