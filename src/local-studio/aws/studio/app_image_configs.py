"""App image configurations: how an app runs in a custom image."""

from .errors import ResourceInUse, ValidationException
from .state import Members, Resource, Studio

_KINDS = ("KernelGatewayImageConfig", "JupyterLabAppImageConfig", "CodeEditorAppImageConfig")


def create(studio: Studio, request: Members) -> Members:
    name = request["AppImageConfigName"]
    if name in studio.app_image_configs:
        # Source: CreateAppImageConfig, errors (ResourceInUse); for the wording
        # aws-samples/sagemaker-studio-custom-image-samples#17.
        raise ResourceInUse("The ID or Name specified is already in use.")
    _check(request)
    arn = studio.arn(f"app-image-config/{name.lower()}")
    tags = request.pop("Tags", [])
    config = Resource("AppImageConfig", arn, {**request, "AppImageConfigArn": arn}, tags)
    # Source: DescribeAppImageConfig has no status.
    config.set_status("InService")
    studio.app_image_configs[name] = config
    return {"AppImageConfigArn": arn}


def _check(request: Members) -> None:
    if sum(kind in request for kind in _KINDS) > 1:
        # Source: CreateAppImageConfig, JupyterLabAppImageConfig: only one image kernel. Guess: that settings
        # of other apps beside it are rejected, and the wording.
        raise ValidationException("Only one app type can be specified in an AppImageConfig.")


def _find(studio: Studio, request: Members) -> Resource:
    name = request["AppImageConfigName"]
    return studio.app_image_configs.find(name, f"AppImageConfig [{name}]")


def describe(studio: Studio, request: Members) -> Members:
    return _find(studio, request).members


def update(studio: Studio, request: Members) -> Members:
    config = _find(studio, request)
    _check(request)
    config.members |= request
    # Source: DescribeAppImageConfig has no status; it has a LastModifiedTime.
    config.set_status("InService")
    return {"AppImageConfigArn": config.arn}


def delete(studio: Studio, request: Members) -> None:
    """Also while settings name it: DeleteAppImageConfig has no error for that."""
    del studio.app_image_configs[_find(studio, request).members["AppImageConfigName"]]
