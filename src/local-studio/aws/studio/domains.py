"""Domains, with the home file system and the two security groups that AWS makes for each."""

import secrets
import string

from .errors import ResourceInUse, ValidationException
from .home_file_system import HomeFileSystem
from .references import check_lifecycle_configs, check_network, check_security_groups
from .state import Members, Resource, Studio

# What Describe answers for settings that were never given.
_USER_DEFAULTS = {
    "StudioWebPortal": "ENABLED",
    "DefaultLandingUri": "studio::",
    "AutoMountHomeEFS": "Enabled",
}


def create(studio: Studio, request: Members) -> Members:
    name = request["DomainName"]
    if any(domain.members["DomainName"] == name for domain in studio.domains.values()):
        raise ResourceInUse(f"Domain with name [{name}] already exists.")
    # Not required by the model: domains made by other AWS services have none. CreateDomain asks for them.
    if not request.get("VpcId") or not request.get("SubnetIds"):
        raise ValidationException("VpcId and SubnetIds are required.")
    check_network(studio, request["VpcId"], request["SubnetIds"])
    settings = request["DefaultUserSettings"]
    if not settings.get("ExecutionRole"):
        raise ValidationException("ExecutionRole is required in DefaultUserSettings.")
    if request.get("AppNetworkAccessType") == "VpcOnly" and not settings.get("SecurityGroups"):
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
    studio.settle(domain)
    return {"DomainArn": arn, "DomainId": domain_id, "Url": url}


def _check(studio: Studio, request: Members) -> None:
    check_security_groups(studio, request.get("DefaultUserSettings"))
    check_security_groups(studio, request.get("DefaultSpaceSettings"))
    check_lifecycle_configs(studio, request)


def describe(studio: Studio, request: Members) -> Members:
    return studio.domain(request).members


def update(studio: Studio, request: Members) -> Members:
    domain = studio.domain(request)
    domain.require_settled()
    network_access = request.get("AppNetworkAccessType")
    if network_access == "VpcOnly" and not (request.get("VpcId") and request.get("SubnetIds")):
        # Also when the domain is in VpcOnly mode already, which is why no update by Terraform's AWS provider
        # passes: hashicorp/terraform-provider-aws#45528.
        raise ValidationException("VpcId and Subnet IDs are required for updating domains to VpcOnly mode.")
    if request.get("VpcId", domain.members["VpcId"]) != domain.members["VpcId"]:
        raise ValidationException("VpcId of a domain cannot be changed.")
    if "SubnetIds" in request:
        check_network(studio, domain.members["VpcId"], request["SubnetIds"])
    _check(studio, request)
    _refuse_with_running_apps(studio, domain, request)
    for name, value in request.items():
        if name == "DomainSettingsForUpdate":
            domain.members["DomainSettings"] = {**domain.members.get("DomainSettings", {}), **value}
        elif name in ("DefaultUserSettings", "DefaultSpaceSettings"):
            domain.members[name] = {**domain.members.get(name, {}), **value}
        else:
            domain.members[name] = value
    domain.set_status("Updating")
    studio.settle(domain)
    return {"DomainArn": domain.arn}


def _refuse_with_running_apps(studio: Studio, domain: Resource, request: Members) -> None:
    """The changes that running apps forbid (AWS API reference, UpdateDomain)."""
    now = domain.members
    changes = [
        name
        for name, changed in {
            "AppNetworkAccessType": request.get("AppNetworkAccessType", now["AppNetworkAccessType"])
            != now["AppNetworkAccessType"],
            "SubnetIds": not set(now["SubnetIds"]).issubset(request.get("SubnetIds") or now["SubnetIds"]),
            "ExecutionRoleIdentityConfig": "ExecutionRoleIdentityConfig"
            in request.get("DomainSettingsForUpdate", {}),
        }.items()
        if changed
    ]
    if changes and studio.apps_of("Pending", "InService", "Deleting", DomainId=now["DomainId"]):
        raise ResourceInUse(
            f"Unable to update {', '.join(changes)} of Domain [{domain.arn}] because App(s) run in it."
        )


def delete(studio: Studio, request: Members) -> None:
    domain = studio.domain(request)
    domain.require_settled()
    domain_id = domain.members["DomainId"]
    for kind, store in (("UserProfile", studio.user_profiles), ("Space", studio.spaces)):
        if any(key[0] == domain_id for key in store):
            raise ResourceInUse(
                f"Unable to delete Domain [{domain.arn}] because {kind}(s) are associated with it."
            )
    if request.get("RetentionPolicy", {}).get("HomeEfsFileSystem", "Retain") == "Delete":
        HomeFileSystem(studio, domain_id, domain.arn).delete(domain.members.get("HomeEfsFileSystemId"))
    studio.remove(studio.domains, domain_id)
