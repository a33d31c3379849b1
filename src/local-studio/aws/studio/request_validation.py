"""Validates every SageMaker request with botocore's service model and the messages of AWS's front end."""

import json
from functools import lru_cache
from typing import Any

from moto.core.model import ServiceModel
from moto.core.utils import get_service_model

from model_validation import WrongType, problems, summary

from .errors import SerializationException, UnknownOperationException, ValidationException


@lru_cache
def _service_model() -> ServiceModel:
    return get_service_model("sagemaker")


def parse(operation: str, body: bytes | str) -> dict[str, Any]:
    """Returns the request's members, or raises the error that AWS would return."""
    if operation not in _service_model().operation_names:
        # Guess: the code and the wording.
        raise UnknownOperationException(f"{operation} is not an operation of SageMaker.")
    try:
        request = json.loads(body or "{}")
    except ValueError as error:
        # Guess: the code and the wording.
        raise SerializationException(f"The request body is not valid JSON: {error}") from None
    if not isinstance(request, dict):
        # Guess: as above.
        raise SerializationException("The request body must be a JSON object.")
    shape = _service_model().operation_model(operation).input_shape
    if shape is None:
        return {}
    try:
        found = list(problems(shape, request))
    except WrongType as error:
        # Guess: the same as for a body that is not JSON.
        raise SerializationException(str(error)) from None
    if found:
        # Source: the service model; for the wording see `summary`.
        raise ValidationException(summary(found))
    return {name: value for name, value in request.items() if name in shape.members and value is not None}
