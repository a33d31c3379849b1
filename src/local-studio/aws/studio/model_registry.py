"""Operations of the model registry that moto does not have. moto stores the rest."""

from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends

from .errors import ConflictException, ValidationException
from .state import Members, Studio


def _backend(studio: Studio) -> SageMakerModelBackend:
    return sagemaker_backends[studio.account][studio.region]


def batch_describe(studio: Studio, request: Members) -> Members:
    backend = _backend(studio)
    found: Members = {}
    missing: Members = {}
    for arn in request["ModelPackageArnList"]:
        package = backend.model_packages.get(arn)
        if package:
            found[arn] = package.gen_response_object()
        else:
            # Guess: the code and the wording.
            missing[arn] = {"ErrorCode": "ValidationException", "ErrorResponse": f"{arn} does not exist."}
    return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": missing}


def delete_package(studio: Studio, request: Members) -> None:
    backend, name = _backend(studio), request["ModelPackageName"]
    arn = backend.model_package_name_mapping.get(name, name)
    if arn not in backend.model_packages:
        # Guess: the code and the wording.
        raise ValidationException(f"ModelPackage {name} does not exist.")
    del backend.model_packages[arn]
    for alias in [key for key, value in backend.model_package_name_mapping.items() if value == arn]:
        del backend.model_package_name_mapping[alias]


def delete_group(studio: Studio, request: Members) -> None:
    backend, name = _backend(studio), request["ModelPackageGroupName"].rsplit("/", 1)[-1]
    if name not in backend.model_package_groups:
        # Guess: the code and the wording.
        raise ValidationException(f"ModelPackageGroup {name} does not exist.")
    if any(one.model_package_group_name == name for one in backend.model_packages.values()):
        # Source: DeleteModelPackageGroup, errors (ConflictException). Guess: for a group with versions, and
        # the wording.
        raise ConflictException(f"ModelPackageGroup {name} has model packages.")
    del backend.model_package_groups[name]
