"""Checks every SageMaker request against botocore's service model, with the messages of the AWS front end."""

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
    """The request's members, or the refusal that AWS would answer."""
    if operation not in _service_model().operation_names:
        # Guess: the code and the words.
        raise UnknownOperationException(f"SageMaker has no operation {operation}.")
    try:
        request = json.loads(body or "{}")
    except ValueError as error:
        # Guess: the code and the words.
        raise SerializationException(f"The request body is not JSON: {error}") from None
    if not isinstance(request, dict):
        # Guess: as above.
        raise SerializationException("The request body is not a JSON object.")
    shape = _service_model().operation_model(operation).input_shape
    if shape is None:
        return {}
    try:
        found = list(problems(shape, request))
    except WrongType as error:
        # Guess: as for a body that is not JSON.
        raise SerializationException(str(error)) from None
    if found:
        # Source: the service model; for the words see `summary`.
        raise ValidationException(summary(found))
    return {name: value for name, value in request.items() if name in shape.members and value is not None}
