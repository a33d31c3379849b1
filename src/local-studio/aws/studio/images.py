"""Images, and their versions: SageMaker's names for container images in Amazon ECR."""

import re

from policies import role_may, role_of
from policy_evaluation import Access

from .errors import ResourceInUse, ResourceNotFound, ValidationException
from .references import check_assumable, custom_images
from .state import Members, Resource, Studio

# Source: CreateImageVersion, BaseImage: the format of the path.
_ECR = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.[a-z.]+/([a-z0-9._/-]+)([:@][A-Za-z0-9._:-]+)?")
_PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def create(studio: Studio, request: Members) -> Members:
    name = request["ImageName"]
    if name in studio.images:
        # Source: CreateImage, errors (ResourceInUse); for the wording
        # aws-samples/sagemaker-studio-custom-image-samples#17.
        raise ResourceInUse(
            f"The Image with ImageName {name} already exists. Please use a different ImageName."
        )
    check_assumable(studio, request["RoleArn"])
    arn = studio.arn(f"image/{name.lower()}")
    tags = request.pop("Tags", [])
    image = Resource("Image", arn, {**request, "ImageArn": arn}, tags)
    studio.images[name] = image
    # Source: DescribeImage, ImageStatus: the values. Guess: the order.
    image.set_status("CREATING")
    # Source: as above.
    studio.settle(image, "CREATED")
    return {"ImageArn": arn}


def _find(studio: Studio, request: Members) -> Resource:
    return studio.images.find(request["ImageName"], f"Image with ImageName {request['ImageName']}")


def _require_settled(resource: Resource) -> None:
    if resource.status.upper() in ("CREATING", "UPDATING", "DELETING"):
        # Source: for the wording aws-samples/sagemaker-studio-custom-image-samples#17, CreateImageVersion.
        # Guess: for these statuses.
        raise ValidationException(f"{resource.kind} {resource.arn} is in an invalid state.")


def describe(studio: Studio, request: Members) -> Members:
    image = _find(studio, request)
    return {"DisplayName": image.members["ImageName"], **image.members, "ImageStatus": image.status.upper()}


def update(studio: Studio, request: Members) -> Members:
    image = _find(studio, request)
    _require_settled(image)
    if "RoleArn" in request:
        check_assumable(studio, request["RoleArn"])
    for name in request.pop("DeleteProperties", []):
        image.members.pop(name, None)
    image.members |= request
    # Source: DescribeImage, ImageStatus: the values. Guess: UPDATING ends in CREATED.
    image.set_status("UPDATING")
    # Source: as above.
    studio.settle(image, "CREATED")
    return {"ImageArn": image.arn}


def delete(studio: Studio, request: Members) -> None:
    image = _find(studio, request)
    _require_settled(image)
    _refuse_if_attached(studio, image, None)
    for key in [key for key in studio.image_versions if key[0] == request["ImageName"]]:
        # Source: DeleteImage: all versions of the image too. Guess: at once.
        del studio.image_versions[key]
    # Source: DescribeImage, ImageStatus: DELETING.
    studio.remove(studio.images, request["ImageName"])


def _refuse_if_attached(studio: Studio, resource: Resource, version: int | None) -> None:
    for user in [*studio.domains.values(), *studio.user_profiles.values()]:
        for custom in custom_images(user.members):
            if custom["ImageName"] == resource.members["ImageName"] and version in (
                None,
                custom.get("ImageVersionNumber"),
            ):
                # Source: DeleteImage and DeleteImageVersion, errors (ResourceInUse); Developer Guide, "Detach
                # and clean up custom image resources". Guess: that settings are such a use, and the wording.
                raise ResourceInUse(
                    f"Unable to delete {resource.kind} [{resource.arn}] because it is in use by "
                    f"{user.kind} [{user.arn}]."
                )


def create_version(studio: Studio, request: Members) -> Members:
    image = _find(studio, request)
    _require_settled(image)
    path = _ECR.fullmatch(request["BaseImage"])
    if path is None:
        # Source: CreateImageVersion, BaseImage: a path in Amazon ECR. Guess: the wording.
        raise ValidationException(f"BaseImage {request['BaseImage']} is not an Amazon ECR path.")
    account, region, repository, _ = path.groups()
    if region != studio.region:
        # Source: Developer Guide, "Create a custom image and push to Amazon ECR": the same Region. Guess: the
        # code and the wording.
        raise ValidationException(f"The repository of {request['BaseImage']} is not in {studio.region}.")
    # Guess: the number of a deleted version is not used again.
    version = image.members["LastVersion"] = image.members.get("LastVersion", 0) + 1
    arn = studio.arn(f"image-version/{request['ImageName'].lower()}/{version}")
    members = {
        **request,
        "Version": version,
        "ImageArn": image.arn,
        "ImageVersionArn": arn,
        "ContainerImage": request["BaseImage"],
    }
    created = Resource("ImageVersion", arn, members)
    studio.image_versions[request["ImageName"], version] = created
    # Source: DescribeImageVersion, ImageVersionStatus: the values.
    created.set_status("CREATING")
    repository_arn = f"arn:{studio.partition}:ecr:{region}:{account}:repository/{repository}"
    role = role_of(studio.account, studio.partition, image.members["RoleArn"])
    if missing := [one for one in _PULL if role is None or not role_may(role, Access(one, repository_arn))]:
        # Source: Developer Guide, "How to use SageMaker AI execution roles", of CreateImage: these actions.
        # Guess: that a version without them fails, and the wording.
        created.set_status("CREATE_FAILED", f"The role cannot {missing[0]} on {repository_arn}.")
    else:
        # Source: DescribeImageVersion, ImageVersionStatus: the values.
        studio.settle(created, "CREATED")
    return {"ImageVersionArn": arn}


def _find_version(studio: Studio, request: Members) -> Resource:
    _find(studio, request)
    name = request["ImageName"]
    versions = [version for key, version in sorted(studio.image_versions.items()) if key[0] == name]
    if "Version" in request:
        versions = [version for version in versions if version.members["Version"] == request["Version"]]
    elif "Alias" in request:
        versions = [one for one in versions if request["Alias"] in one.members.get("Aliases", [])]
    if not versions:
        # Source: DescribeImageVersion, errors (ResourceNotFound); for the wording
        # aws-samples/sagemaker-studio-custom-image-samples#17.
        raise ResourceNotFound(
            f"ImageVersion with ImageName {name} does not exist. Please provide a valid ImageName."
        )
    return versions[-1]


def describe_version(studio: Studio, request: Members) -> Members:
    version = _find_version(studio, request)
    return {**version.members, "ImageVersionStatus": version.status.upper()}


def update_version(studio: Studio, request: Members) -> Members:
    version = _find_version(studio, request)
    removed = request.pop("AliasesToDelete", [])
    added = request.pop("AliasesToAdd", [])
    aliases = [alias for alias in version.members.get("Aliases", []) if alias not in removed]
    version.members |= {**request, "Version": version.members["Version"], "Aliases": [*aliases, *added]}
    return {"ImageVersionArn": version.arn}


def delete_version(studio: Studio, request: Members) -> None:
    version = _find_version(studio, request)
    _require_settled(version)
    number = version.members["Version"]
    _refuse_if_attached(studio, version, number)
    # Source: DescribeImageVersion, ImageVersionStatus: DELETING.
    studio.remove(studio.image_versions, (request["ImageName"], number))
