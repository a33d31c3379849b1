"""User profiles: one person's settings in a domain."""

from .errors import ResourceInUse, ValidationException
from .references import check_custom_images, check_lifecycle_configs, check_security_groups
from .state import Members, Resource, Studio, named


def create(studio: Studio, request: Members) -> Members:
    domain = studio.domain(request)
    domain.require_in_service()
    name = request["UserProfileName"]
    key = named(request["DomainId"], name)
    if key in studio.user_profiles:
        # Source: CreateUserProfile, errors (ResourceInUse). Guess: the wording.
        raise ResourceInUse(f"UserProfile [{studio.user_profiles[key].arn}] already exists.")
    sso_members = {"SingleSignOnUserIdentifier", "SingleSignOnUserValue"}
    if sso_members & request.keys() != (sso_members if domain.members["AuthMode"] == "SSO" else set()):
        # Source: CreateUserProfile, SingleSignOnUserIdentifier and SingleSignOnUserValue. Guess: the wording.
        raise ValidationException(
            "SingleSignOnUserIdentifier and SingleSignOnUserValue are required in domains with AuthMode SSO, "
            "and not allowed in domains with AuthMode IAM."
        )
    check_security_groups(studio, request.get("UserSettings"))
    check_lifecycle_configs(studio, request)
    check_custom_images(studio, request)
    arn = studio.arn(f"user-profile/{request['DomainId']}/{name.lower()}")
    tags = request.pop("Tags", [])
    uid = str(200000 + 5 * len(studio.user_profiles))
    profile = Resource(
        "UserProfile", arn, {**request, "UserProfileArn": arn, "HomeEfsFileSystemUid": uid}, tags
    )
    studio.user_profiles[key] = profile
    # Source: DescribeUserProfile, Status: the values. Guess: the order.
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
    """Returns the apps of the user profile and of its spaces."""
    domain_id, name = profile.members["DomainId"], profile.members["UserProfileName"]
    apps = studio.apps_of(*statuses, DomainId=domain_id, UserProfileName=name)
    for space in owned_spaces(studio, profile):
        apps += studio.apps_of(*statuses, DomainId=domain_id, SpaceName=space.members["SpaceName"])
    return apps


def update(studio: Studio, request: Members) -> Members:
    profile = _find(studio, request)
    profile.require_settled()
    if _apps(studio, profile, "InService", "Pending"):
        # Source: UpdateUserProfile, errors (ResourceInUse). Guess: that these apps are the reason, as for
        # some changes of a domain (hashicorp/terraform-provider-aws#31912), and the wording.
        raise ResourceInUse(
            f"Unable to update UserProfile [{profile.arn}] because it has InService or Pending App(s)."
        )
    check_security_groups(studio, request.get("UserSettings"))
    check_lifecycle_configs(studio, request)
    check_custom_images(studio, request)
    settings = {**profile.members.get("UserSettings", {}), **request.get("UserSettings", {})}
    profile.members["UserSettings"] = settings
    # Source: DescribeUserProfile, Status: the values.
    profile.set_status("Updating")
    # Guess: Updating ends in InService.
    studio.settle(profile)
    return {"UserProfileArn": profile.arn}


def delete(studio: Studio, request: Members) -> None:
    profile = _find(studio, request)
    profile.require_settled()
    for kind, associated in (("App", _apps(studio, profile)), ("Space", owned_spaces(studio, profile))):
        if associated:
            # Source: Developer Guide, "Remove user profiles"; for the wording for apps,
            # aws/amazon-sagemaker-feedback#113. Guess: that for spaces.
            raise ResourceInUse(
                f"Unable to delete UserProfile [{profile.arn}] because {kind}(s) are associated with it."
            )
    # Source: DescribeUserProfile, Status: Deleting. Guess: a deleted profile is not found.
    studio.remove(studio.user_profiles, named(request["DomainId"], request["UserProfileName"]))
