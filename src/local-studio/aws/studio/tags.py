"""Tags of Studio's resources."""

from .errors import ResourceLimitExceeded, ResourceNotFound, ValidationException
from .state import Members, Resource, Studio

_MOST_TAGS = 50  # the model's limit of TagList, which on AWS holds for the resource as a whole


def find(studio: Studio, request: Members) -> Resource | None:
    """The Studio resource of that ARN; None for what moto keeps (models, training jobs …)."""
    arn = request["ResourceArn"]
    for resource in studio.resources:
        if resource.arn == arn and resource.status != "Deleted":
            return resource
    kind = arn.split(":", 5)[5].split("/")[0]
    if kind in ("domain", "user-profile", "space", "app", "studio-lifecycle-config"):
        raise ResourceNotFound(f"Resource [{arn}] does not exist.")
    return None


def refuse_reserved(request: Members) -> None:
    keys = [tag["Key"] for tag in request.get("Tags", [])]
    if reserved := [key for key in keys if key.lower().startswith("aws:")]:
        raise ValidationException(f"Tag keys that begin with aws: are reserved: {', '.join(reserved)}")
    if len(set(keys)) < len(keys):
        raise ValidationException("Duplicate tag keys found. Please note that tag keys are case sensitive.")


def add(resource: Resource, request: Members) -> Members:
    tags = {tag["Key"]: tag["Value"] for tag in [*resource.tags, *request["Tags"]]}
    if len(tags) > _MOST_TAGS:
        raise ResourceLimitExceeded(f"[{resource.arn}] would have {len(tags)} tags, more than {_MOST_TAGS}.")
    resource.tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"Tags": resource.tags}


def delete(resource: Resource, request: Members) -> Members:
    resource.tags = [tag for tag in resource.tags if tag["Key"] not in request["TagKeys"]]
    return {}
