"""Tags of Studio's resources."""

from .errors import ResourceLimitExceeded, ResourceNotFound, ValidationException
from .state import Members, Resource, Studio

# Source: AddTags, Tags: 50 at most. Guess: of the resource as a whole, as for other services' tags.
_MOST_TAGS = 50


def find(studio: Studio, request: Members) -> Resource | None:
    """The Studio resource of that ARN; None for what moto keeps (models, training jobs …)."""
    arn = request["ResourceArn"]
    for resource in [*studio.resources, *studio.processing_jobs.values()]:
        if resource.arn == arn and resource.status != "Deleted":
            return resource
    kind = arn.split(":", 5)[5].split("/")[0]
    if kind in (
        "domain",
        "user-profile",
        "space",
        "app",
        "studio-lifecycle-config",
        "processing-job",
        "pipeline",
    ):
        # Guess: the code and the words.
        raise ResourceNotFound(f"Resource [{arn}] does not exist.")
    return None


def refuse_reserved(request: Members) -> None:
    keys = [tag["Key"] for tag in request.get("Tags", [])]
    if reserved := [key for key in keys if key.lower().startswith("aws:")]:
        # Source: Tagging AWS Resources and Tag Editor User Guide: the prefix is reserved. Guess: the words.
        raise ValidationException(f"Tag keys that begin with aws: are reserved: {', '.join(reserved)}")
    if len(set(keys)) < len(keys):
        # Source: AddTags: tag keys must be unique per resource. Guess: the words.
        raise ValidationException("Duplicate tag keys found. Please note that tag keys are case sensitive.")


def add(resource: Resource, request: Members) -> Members:
    tags = {tag["Key"]: tag["Value"] for tag in [*resource.tags, *request["Tags"]]}
    if len(tags) > _MOST_TAGS:
        # Guess: the code and the words.
        raise ResourceLimitExceeded(f"[{resource.arn}] would have {len(tags)} tags, more than {_MOST_TAGS}.")
    resource.tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"Tags": resource.tags}


def delete(resource: Resource, request: Members) -> Members:
    resource.tags = [tag for tag in resource.tags if tag["Key"] not in request["TagKeys"]]
    return {}
