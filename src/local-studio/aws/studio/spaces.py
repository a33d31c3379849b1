"""Spaces: the storage and the settings of an app. A private space belongs to one user profile."""

from .errors import ResourceInUse, ValidationException
from .references import check_lifecycle_configs
from .state import Members, Resource, Studio, named

# Source: EbsStorageSettings, EbsVolumeSizeInGb: the minimum is 5. Guess: the default is the minimum.
_DEFAULT_VOLUME_GB = 5


def create(studio: Studio, request: Members) -> Members:
    domain = studio.domain(request)
    domain.require_in_service()
    domain_id, name = request["DomainId"], request["SpaceName"]
    key = named(domain_id, name)
    arn = studio.arn(f"space/{domain_id}/{name.lower()}")
    if key in studio.spaces:
        # Source: CreateSpace, errors (ResourceInUse). Guess: the wording.
        raise ResourceInUse(f"Space [{arn}] already exists.")
    owner = _owner(studio, request)
    settings = request.get("SpaceSettings", {})
    if request.get("SpaceSharingSettings", {}).get("SharingType") == "Private":
        if "SpaceSettings" not in request:
            # Source: hashicorp/terraform-provider-aws#38370 (including the wording).
            raise ValidationException(f"SpaceSettings must be provided for creating private space [{arn}]")
        if settings.get("AppType") not in ("JupyterLab", "CodeEditor"):
            # Guess: the Developer Guide describes private spaces only for these two types.
            raise ValidationException("AppType of a private space must be JupyterLab or CodeEditor.")
    check_lifecycle_configs(studio, settings)
    storage = _storage(domain, owner, settings)
    if settings.get("AppType") in ("JupyterLab", "CodeEditor"):
        request["SpaceSettings"] = {**settings, "SpaceStorageSettings": storage}
    tags = request.pop("Tags", [])
    members = {
        **request,
        "SpaceArn": arn,
        "HomeEfsFileSystemUid": str(300000 + 5 * len(studio.spaces)),
        # The app host returns the real URL when an app starts.
        "Url": f"https://{domain_id}.studio.{studio.region}.sagemaker.aws",
    }
    space = Resource("Space", arn, members, tags)
    studio.spaces[key] = space
    # Source: DescribeSpace, Status: the values. Guess: the order.
    studio.settle(space)
    return {"SpaceArn": arn}


def _owner(studio: Studio, request: Members) -> Resource | None:
    ownership, sharing = request.get("OwnershipSettings"), request.get("SpaceSharingSettings")
    if (ownership is None) != (sharing is None):
        # Guess: not documented for CreateSpace.
        raise ValidationException("OwnershipSettings and SpaceSharingSettings must be provided together.")
    if ownership is None:
        return None
    owner = studio.user_profile(request, ownership["OwnerUserProfileName"])
    owner.require_in_service()
    return owner


def _storage(domain: Resource, owner: Resource | None, settings: Members) -> Members:
    """Returns the volume size, within the limits of the owner's profile or of the domain."""
    limits: Members = {}
    if owner:
        limits = domain.members["DefaultUserSettings"].get("SpaceStorageSettings", {})
        limits = owner.members.get("UserSettings", {}).get("SpaceStorageSettings", limits)
    else:
        limits = domain.members.get("DefaultSpaceSettings", {}).get("SpaceStorageSettings", {})
    ebs = limits.get("DefaultEbsStorageSettings", {})
    default = ebs.get("DefaultEbsVolumeSizeInGb", _DEFAULT_VOLUME_GB)
    asked = settings.get("SpaceStorageSettings", {}).get("EbsStorageSettings", {})
    size = asked.get("EbsVolumeSizeInGb", default)
    largest = ebs.get("MaximumEbsVolumeSizeInGb")
    if largest is not None and size > largest:
        # Source: DefaultEbsStorageSettings, MaximumEbsVolumeSizeInGb. Guess: the wording.
        raise ValidationException(
            f"EbsVolumeSizeInGb {size} exceeds the maximum of {largest} of the user profile or domain."
        )
    return {"EbsStorageSettings": {"EbsVolumeSizeInGb": size}}


def find(studio: Studio, request: Members) -> Resource:
    studio.domain(request)
    return studio.space(request)


def describe(studio: Studio, request: Members) -> Members:
    return find(studio, request).members


def _refuse_with_apps(studio: Studio, space: Resource, verb: str) -> None:
    members = space.members
    if studio.apps_of(DomainId=members["DomainId"], SpaceName=members["SpaceName"]):
        # Source: DeleteSpace and UpdateSpace, errors (ResourceInUse). Guess: that every app counts, and the
        # wording, after those for user profiles (aws/amazon-sagemaker-feedback#113).
        raise ResourceInUse(f"Unable to {verb} Space [{space.arn}] because App(s) are associated with it.")


def update(studio: Studio, request: Members) -> Members:
    space = find(studio, request)
    space.require_settled()
    _refuse_with_apps(studio, space, "update")
    asked, settings = request.get("SpaceSettings", {}), space.members.get("SpaceSettings", {})
    if "AppType" in asked:
        # Source: hashicorp/terraform-provider-aws#38370; this also applies to the same AppType.
        raise ValidationException("Updating AppType for Space is not supported.")
    check_lifecycle_configs(studio, asked)
    if "SpaceStorageSettings" in asked:
        ownership = space.members.get("OwnershipSettings")
        owner = studio.user_profile(request, ownership["OwnerUserProfileName"]) if ownership else None
        storage = _storage(studio.domain(request), owner, asked)
        before, after = (
            value.get("EbsStorageSettings", {}).get("EbsVolumeSizeInGb", 0)
            for value in (settings.get("SpaceStorageSettings", {}), storage)
        )
        if after < before:
            # Guess: EBS volumes cannot shrink (Amazon EC2 User Guide, "Requirements when modifying volumes");
            # the wording.
            raise ValidationException(f"EbsVolumeSizeInGb cannot be reduced from {before} to {after}.")
    if asked:
        space.members["SpaceSettings"] = {**settings, **asked}
    if "SpaceDisplayName" in request:
        space.members["SpaceDisplayName"] = request["SpaceDisplayName"]
    # Source: DescribeSpace, Status: the values.
    space.set_status("Updating")
    # Guess: Updating ends in InService.
    studio.settle(space)
    return {"SpaceArn": space.arn}


def delete(studio: Studio, request: Members) -> None:
    space = find(studio, request)
    space.require_settled()
    _refuse_with_apps(studio, space, "delete")
    domain_id, name = space.members["DomainId"], space.members["SpaceName"]
    # Source: DescribeSpace, Status: the values. Guess: a deleted space is not found.
    space.set_status("Deleting")

    def gone(_: None) -> None:
        studio.spaces.pop(named(domain_id, name), None)

    # Source: DescribeSpace, Status: Delete_Failed.
    studio.ask_app_host(space, lambda host: host.delete_space(domain_id, name), gone, failed="Delete_Failed")
