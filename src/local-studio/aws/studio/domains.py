"""Domains, with the home file system and the two security groups that AWS creates for each domain."""

import secrets
import string

from .errors import ResourceInUse, ValidationException
from .home_file_system import HomeFileSystem
from .references import check_custom_images, check_lifecycle_configs, check_network, check_security_groups
from .state import Members, Resource, Studio

# The defaults in the answers of Describe operations.
_USER_DEFAULTS = {
    "StudioWebPortal": "ENABLED",
    "DefaultLandingUri": "studio::",
    "AutoMountHomeEFS": "Enabled",
}


def create(studio: Studio, request: Members) -> Members:
    name = request["DomainName"]
    if any(domain.members["DomainName"] == name for domain in studio.domains.values()):
        # Source: CreateDomain, errors (ResourceInUse). Guess: that names must be unique, and the wording.
        raise ResourceInUse(f"Domain with name [{name}] already exists.")
    if not request.get("VpcId") or not request.get("SubnetIds"):
        # Source: CreateDomain, VpcId and SubnetIds: optional only for Unified Studio's PublicInternetOnly
        # domains, which are not supported here. Guess: the wording.
        raise ValidationException("VpcId and SubnetIds are required.")
    check_network(studio, request["VpcId"], request["SubnetIds"])
    settings = request["DefaultUserSettings"]
    if not settings.get("ExecutionRole"):
        # Guess: the reference of CreateDomain does not require a role, but no app can start without one.
        raise ValidationException("ExecutionRole is required in DefaultUserSettings.")
    if request.get("AppNetworkAccessType") == "VpcOnly" and not settings.get("SecurityGroups"):
        # Source: UserSettings, SecurityGroups: required for VpcOnly, unless the domain's defaults have them.
        # Guess: the wording.
        raise ValidationException("SecurityGroups are required in DefaultUserSettings for VpcOnly mode.")
    _check(studio, request)

    domain_id = "d-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))
    arn = studio.arn(f"domain/{domain_id}")
    url = f"https://{domain_id}.studio.{studio.region}.sagemaker.aws"
    tags = request.pop("Tags", [])
    members = {
        "AppNetworkAccessType": "PublicInternetOnly",
        "TagPropagation": "DISABLED",
        **request,
        "DefaultUserSettings": {**_USER_DEFAULTS, **settings},
        "DomainId": domain_id,
        "DomainArn": arn,
        "Url": url,
    }
    if request.get("HomeEfsFileSystemCreation") != "Disabled":
        members["HomeEfsFileSystemId"] = HomeFileSystem(studio, domain_id, arn).create(request)
    if request.get("KmsKeyId"):
        members["HomeEfsFileSystemKmsKeyId"] = request["KmsKeyId"]
    domain = Resource("Domain", arn, members, tags)
    studio.domains[domain_id] = domain
    # Source: DescribeDomain, Status: the values. Guess: the order, as Terraform's provider waits for it.
    studio.settle(domain)
    return {"DomainArn": arn, "DomainId": domain_id, "Url": url}


def _check(studio: Studio, request: Members) -> None:
    settings = request.get("DefaultUserSettings", {})
    if settings.get("AutoMountHomeEFS") == "DefaultAsDomain":
        # Source: UserSettings, AutoMountHomeEFS: not for a domain. Guess: the wording.
        raise ValidationException("AutoMountHomeEFS of a domain cannot be DefaultAsDomain.")
    if settings.get("StudioWebPortal") == "DISABLED" and settings.get("DefaultLandingUri") == "studio::":
        # Source: UserSettings, DefaultLandingUri: studio:: only where StudioWebPortal is ENABLED. Guess: the
        # wording.
        raise ValidationException("DefaultLandingUri cannot be studio:: when StudioWebPortal is DISABLED.")
    check_security_groups(studio, settings)
    check_security_groups(studio, request.get("DefaultSpaceSettings"))
    check_lifecycle_configs(studio, request)
    check_custom_images(studio, request)


def describe(studio: Studio, request: Members) -> Members:
    return studio.domain(request).members


def update(studio: Studio, request: Members) -> Members:
    domain = studio.domain(request)
    domain.require_settled()
    network_access = request.get("AppNetworkAccessType")
    if network_access == "VpcOnly" and not (request.get("VpcId") and request.get("SubnetIds")):
        # Source: hashicorp/terraform-provider-aws#45528 (including the wording). This applies even if the
        # domain is already in VpcOnly mode, so every update by Terraform's AWS provider fails.
        raise ValidationException("VpcId and Subnet IDs are required for updating domains to VpcOnly mode.")
    if request.get("VpcId", domain.members["VpcId"]) != domain.members["VpcId"]:
        # Source: UpdateDomain, VpcId: only to add a VPC to a domain without one. Guess: the wording.
        raise ValidationException("VpcId of a domain cannot be changed.")
    if "SubnetIds" in request:
        check_network(studio, domain.members["VpcId"], request["SubnetIds"])
    _check(studio, request)
    _refuse_with_running_apps(studio, domain, request)
    _change_home_file_system(studio, domain, request)
    for name, value in request.items():
        if name == "DomainSettingsForUpdate":
            domain.members["DomainSettings"] = {**domain.members.get("DomainSettings", {}), **value}
        elif name in ("DefaultUserSettings", "DefaultSpaceSettings"):
            domain.members[name] = {**domain.members.get(name, {}), **value}
        else:
            domain.members[name] = value
    # Source: DescribeDomain, Status: the values.
    domain.set_status("Updating")
    # Guess: Updating ends in InService.
    studio.settle(domain)
    return {"DomainArn": domain.arn}


def _refuse_with_running_apps(studio: Studio, domain: Resource, request: Members) -> None:
    """Rejects changes that are not allowed while apps are running."""
    now = domain.members
    stopping_too = ("Pending", "InService", "Deleting")
    network_access = request.get("AppNetworkAccessType", now["AppNetworkAccessType"])
    subnet_ids = request.get("SubnetIds") or now["SubnetIds"]
    has_identity = "ExecutionRoleIdentityConfig" in request.get("DomainSettingsForUpdate", {})
    if any(
        is_changed and studio.apps_of(*statuses, DomainId=now["DomainId"])
        for is_changed, statuses in (
            (network_access != now["AppNetworkAccessType"], stopping_too),
            (not set(now["SubnetIds"]).issubset(subnet_ids), stopping_too),
            (has_identity, ("Pending", "InService")),
        )
    ):
        # Source: UpdateDomain, AppNetworkAccessType and SubnetIds; DomainSettingsForUpdate,
        # ExecutionRoleIdentityConfig, which a Deleting app does not forbid; for the code and the wording
        # hashicorp/terraform-provider-aws#31912, about settings of RStudio.
        raise ValidationException(
            f"Unable to update Domain [{domain.arn}] with InService App. Delete all InService apps in the "
            "domain including shared Apps for [domain-shared] User Profile, and try again."
        )


def _change_home_file_system(studio: Studio, domain: Resource, request: Members) -> None:
    now, wanted = domain.members, request.get("HomeEfsFileSystemCreation")
    has_one = "HomeEfsFileSystemId" in now
    if wanted == "Disabled" and has_one:
        # Source: UpdateDomain, HomeEfsFileSystemCreation: only from Disabled to Enabled. Guess: the wording.
        raise ValidationException("HomeEfsFileSystemCreation cannot be changed from Enabled to Disabled.")
    if wanted == "Enabled" and not has_one:
        now["HomeEfsFileSystemId"] = HomeFileSystem(studio, now["DomainId"], domain.arn).create(now)


def delete(studio: Studio, request: Members) -> None:
    domain = studio.domain(request)
    domain.require_settled()
    domain_id = domain.members["DomainId"]
    for kind, store in (("UserProfile", studio.user_profiles), ("Space", studio.spaces)):
        if any(key[0] == domain_id for key in store):
            # Source: DeleteDomain, errors (ResourceInUse); Developer Guide, "Delete an Amazon SageMaker AI
            # domain". Guess: the wording, after those for user profiles (aws/amazon-sagemaker-feedback#113).
            raise ResourceInUse(
                f"Unable to delete Domain [{domain.arn}] because {kind}(s) are associated with it."
            )
    if request.get("RetentionPolicy", {}).get("HomeEfsFileSystem", "Retain") == "Delete":
        HomeFileSystem(studio, domain_id, domain.arn).delete(domain.members.get("HomeEfsFileSystemId"))
    # Source: DescribeDomain, Status: Deleting. Guess: it is not found once it is deleted, as Terraform's
    # provider expects.
    studio.remove(studio.domains, domain_id)
