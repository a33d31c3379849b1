"""Apps, which run in spaces. The app host runs them; this module has their state."""

from .errors import ResourceInUse, ResourceNotFound, ValidationException
from .launch import Launch
from .references import check_assumable, check_lifecycle_configs
from .spaces import find as find_space
from .state import Members, Resource, Studio

_SPACE_APPS = ("JupyterLab", "CodeEditor")


def _key(request: Members) -> tuple[str, ...]:
    names = ("DomainId", "UserProfileName", "SpaceName", "AppType", "AppName")
    return tuple(str(request.get(name, "")).lower() for name in names)


def _owner(studio: Studio, request: Members) -> Resource:
    if ("UserProfileName" in request) == ("SpaceName" in request):
        # Source: CreateApp and DeleteApp, UserProfileName and SpaceName: if one is not set, the other must
        # be. Guess: that both together are rejected, and the wording.
        raise ValidationException("Exactly one of UserProfileName and SpaceName must be specified.")
    if "SpaceName" in request:
        return find_space(studio, request)
    studio.domain(request)
    return studio.user_profile(request)


def create(studio: Studio, request: Members) -> Members:
    domain = studio.domain(request)
    domain.require_in_service()
    owner = _owner(studio, request)
    owner.require_in_service()
    _check_type(request, owner)
    key = _key(request)
    if key in studio.apps and studio.apps[key].status != "Deleted":
        # Source: CreateApp, errors (ResourceInUse). Guess: the wording.
        raise ResourceInUse(f"App [{studio.apps[key].arn}] already exists.")
    check_lifecycle_configs(studio, request.get("ResourceSpec", {}), request["AppType"])

    launch = Launch.resolve(studio, request, domain, owner)
    check_assumable(studio, launch.execution_role)
    owner_name = request.get("SpaceName") or request["UserProfileName"]
    path = f"{request['DomainId']}/{owner_name}/{request['AppType']}/{request['AppName']}"
    arn = studio.arn(f"app/{path.lower()}")
    tags = request.pop("Tags", [])
    members = {
        **request,
        "AppArn": arn,
        "ResourceSpec": launch.resource_spec,
        "BuiltInLifecycleConfigArn": launch.built_in_lifecycle_config_arn,
    }
    app = Resource("App", arn, members, tags)
    studio.apps[key] = app
    _start(studio, app, owner, launch)
    return {"AppArn": arn}


def _check_type(request: Members, owner: Resource) -> None:
    app_type = request["AppType"]
    if app_type == "JupyterServer":
        # Guess: the error; Studio Classic has ended (Developer Guide, "Amazon SageMaker Studio Classic").
        raise ValidationException(
            "AppType JupyterServer (Studio Classic) is no longer supported for new apps."
        )
    if app_type in _SPACE_APPS and owner.kind != "Space":
        # Guess: the Developer Guide describes apps of these types only in spaces.
        raise ValidationException(f"SpaceName must be specified for apps of type {app_type}.")
    if app_type not in _SPACE_APPS:
        # Guess: AWS has other types; the app host cannot run them.
        raise ValidationException(f"AppType must be one of {_SPACE_APPS} here, not {app_type}.")
    space_type = owner.members.get("SpaceSettings", {}).get("AppType")
    if space_type != app_type:
        # Source: SpaceSettings, AppType: the type of app created within the space. Guess: the wording.
        raise ValidationException(
            f"AppType {app_type} does not match Space [{owner.arn}] of type {space_type}."
        )
    if request.get("ResourceSpec", {}).get("InstanceType") == "system":
        # Source: ResourceSpec, InstanceType: JupyterServer and KernelGateway have the system value. Guess:
        # the wording.
        raise ValidationException(f"Instance type system is not supported for apps of type {app_type}.")


def _start(studio: Studio, app: Resource, space: Resource, launch: Launch) -> None:
    order = {
        "appArn": app.arn,
        "domainId": app.members["DomainId"],
        "spaceName": app.members["SpaceName"],
        "userProfileName": space.members.get("OwnershipSettings", {}).get("OwnerUserProfileName"),
        "appType": app.members["AppType"],
        "appName": app.members["AppName"],
        "region": studio.region,
        "instanceType": launch.instance_type,
        "lifecycleConfigs": [
            {
                "name": config.members["StudioLifecycleConfigName"],
                "content": config.members["StudioLifecycleConfigContent"],
            }
            for config in launch.lifecycle_configs
        ],
        "executionRole": launch.execution_role,
        **studio.credentials(launch.execution_role, _context(app, space)),
    }

    def up(url: str | None) -> None:
        # Source: DescribeApp, Status: the values. Guess: Pending goes straight to InService.
        app.set_status("InService")
        if url:
            space.members["Url"] = url

    # Source: DescribeApp, Status: InService or Failed.
    studio.ask_app_host(app, lambda host: host.start_app(order), up, failed="Failed")


def _context(app: Resource, space: Resource) -> dict[str, str]:
    """Condition keys of the requests from an app (Service Authorization Reference, "Amazon SageMaker AI")."""
    owner = space.members.get("OwnershipSettings", {}).get("OwnerUserProfileName")
    keys = {"sagemaker:domainid": app.members["DomainId"], "sagemaker:userprofilename": owner}
    return {key: value for key, value in keys.items() if value}


def _find(studio: Studio, request: Members) -> Resource:
    _owner(studio, request)
    key = _key(request)
    if key not in studio.apps:
        # Source: DescribeApp and DeleteApp, errors (ResourceNotFound). Guess: the wording.
        raise ResourceNotFound(f"App [{request['AppName']}] does not exist.")
    return studio.apps[key]


def describe(studio: Studio, request: Members) -> Members:
    return _find(studio, request).members


def delete(studio: Studio, request: Members) -> None:
    """An app can also be deleted during its start. It stays listed as Deleted; AWS lists it for 24 hours."""
    app = _find(studio, request)
    if app.status in ("Deleting", "Deleted"):
        # Source: DeleteApp, errors (ResourceInUse). Guess: for these statuses, and the wording.
        raise ResourceInUse(f"App [{app.arn}] is in {app.status} state.")
    # Source: DescribeApp, Status: the values.
    app.set_status("Deleting")
    # Source: aws-samples/cloudformation-studio-domain#2, where clean-ups wait for Deleted in ListApps.
    studio.ask_app_host(
        app, lambda host: host.stop_app(app.arn), lambda _: app.set_status("Deleted"), failed="Failed"
    )
