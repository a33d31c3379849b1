"""Tags of Studio's resources."""

from .errors import ResourceLimitExceeded, ResourceNotFound, ValidationException
from .state import Members, Resource, Studio

# Source: AddTags, Tags: at most 50. Guess: per resource, as in other services.
_MAX_TAGS = 50


def find(studio: Studio, request: Members) -> Resource | None:
    """Returns the Studio resource with the ARN, or None for a resource of moto (such as a model)."""
    arn = request["ResourceArn"]
    resource: Resource
    for resource in [*studio.resources, *studio.processing_jobs.values(), *studio.training_jobs.values()]:
        if resource.arn == arn and resource.status != "Deleted":
            return resource
    kind = arn.split(":", 5)[5].split("/")[0]
    if kind in (
        "domain",
        "user-profile",
        "space",
        "app",
        "studio-lifecycle-config",
        "image",
        "app-image-config",
        "processing-job",
        "training-job",
        "feature-group",
        "endpoint",
        "pipeline",
    ):
        # Guess: the code and the wording.
        raise ResourceNotFound(f"Resource [{arn}] does not exist.")
    return None


def refuse_reserved(request: Members) -> None:
    keys = [tag["Key"] for tag in request.get("Tags", [])]
    if reserved := [key for key in keys if key.lower().startswith("aws:")]:
        # Source: Tagging AWS Resources and Tag Editor User Guide: the prefix is reserved. Guess: the wording.
        raise ValidationException(f"Tag keys that begin with aws: are reserved: {', '.join(reserved)}")
    if len(set(keys)) < len(keys):
        # Source: AddTags: tag keys must be unique per resource. Guess: the wording.
        raise ValidationException("Duplicate tag keys found. Please note that tag keys are case sensitive.")


def add(resource: Resource, request: Members) -> Members:
    tags = {tag["Key"]: tag["Value"] for tag in [*resource.tags, *request["Tags"]]}
    if len(tags) > _MAX_TAGS:
        # Guess: the code and the wording.
        raise ResourceLimitExceeded(f"[{resource.arn}] cannot have {len(tags)} tags (limit: {_MAX_TAGS}).")
    resource.tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"Tags": resource.tags}


def delete(resource: Resource, request: Members) -> Members:
    resource.tags = [tag for tag in resource.tags if tag["Key"] not in request["TagKeys"]]
    return {}
