"""CreatePresignedDomainUrl: the link that signs in a user."""

import secrets

from app_host import AppHostFailure

from .errors import InternalFailure, ValidationException
from .state import Members, Studio

# Source: CreatePresignedDomainUrl, the defaults of ExpiresInSeconds and SessionExpirationDurationInSeconds.
_EXPIRES_IN_SECONDS = 300
# Source: as above.
_SESSION_SECONDS = 43200


def create(studio: Studio, request: Members) -> Members:
    """Holds the lock only for the checks: the app host can call the control plane before it answers."""
    with studio.lock:
        url, order = _check(studio, request)
    try:
        return {"AuthorizedUrl": studio.app_host.presigned_url(order) or url}
    except AppHostFailure as failure:
        # Source: Common Errors, InternalFailure: the local AWS failed.
        raise InternalFailure(str(failure)) from None


def _check(studio: Studio, request: Members) -> tuple[str, Members]:
    """Returns a link like AWS's, and the request to the app host, which creates a working one."""
    domain = studio.domain(request)
    domain.require_in_service()
    if domain.members["AuthMode"] != "IAM":
        # Source: CreatePresignedDomainUrl: only when the authentication mode is IAM. Guess: the wording.
        raise ValidationException(
            "CreatePresignedDomainUrl can only be called when AuthMode of the domain is IAM."
        )
    profile = studio.user_profile(request)
    profile.require_in_service()
    name = profile.members["UserProfileName"]
    if "SpaceName" in request:
        space = studio.space(request)
        owner = space.members.get("OwnershipSettings", {}).get("OwnerUserProfileName", "")
        sharing = space.members.get("SpaceSharingSettings", {}).get("SharingType")
        if sharing == "Private" and owner.lower() != name.lower():
            # Guess: only its owner can open a private space (Developer Guide, "Amazon SageMaker Studio
            # spaces").
            raise ValidationException(f"Space [{space.arn}] is not owned by UserProfile [{profile.arn}].")
    order: Members = {
        "domainId": request["DomainId"],
        "userProfileName": name,
        "expiresInSeconds": request.get("ExpiresInSeconds", _EXPIRES_IN_SECONDS),
        "sessionExpirationInSeconds": request.get("SessionExpirationDurationInSeconds", _SESSION_SECONDS),
    }
    for aws_member, member in (("SpaceName", "spaceName"), ("LandingUri", "landingUri")):
        if aws_member in request:
            order[member] = request[aws_member]
    return f"{domain.members['Url']}/auth?token={secrets.token_urlsafe(48)}", order
