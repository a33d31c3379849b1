"""Checks every SageMaker request against botocore's service model, with the messages of the AWS front end.

As on AWS, members that the model does not know are ignored: a request may come from a newer SDK.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from moto.core.model import ServiceModel
from moto.core.utils import get_service_model

from .errors import SerializationException, UnknownOperationException, ValidationException

_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "blob": str,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "boolean": bool,
    "timestamp": (int, float, str),
}
_NUMBERS = ("integer", "long", "float", "double")

# The model's patterns are Java's. Python's `re` has no \p{…}: these stand-ins serve inside brackets, where
# the model uses them. `\w` also allows "_", which each of those patterns allows as well.
_UNICODE_CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{Alnum}": "a-zA-Z0-9"}


@lru_cache
def _service_model() -> ServiceModel:
    return get_service_model("sagemaker")


@lru_cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    for java, python in _UNICODE_CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        # Some patterns of the model use classes without a counterpart (\p{P}, surrogate ranges). No Studio
        # operation has them.
        return None


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
    problems = list(_problems(shape, request, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        # Source: the service model; for the words aws-samples/sagemaker-ml-workflow-with-apache-airflow#3.
        raise ValidationException(f"{count}: {'; '.join(problems)}")
    return {name: value for name, value in request.items() if name in shape.members and value is not None}


def _member(path: str, name: str) -> str:
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    expected = _JSON_TYPES.get(shape.type_name)
    is_wrong_boolean = isinstance(value, bool) and shape.type_name != "boolean"
    if expected and (not isinstance(value, expected) or is_wrong_boolean):
        # Guess: as for a body that is not JSON.
        raise SerializationException(f"'{path}' is {type(value).__name__}, expected {shape.type_name}")
    if shape.type_name == "structure":
        yield from _structure_problems(shape, value, path)
        return
    yield from (
        f"Value {json.dumps(value) if isinstance(value, list | dict) else repr(str(value))} at '{path}' "
        f"failed to satisfy constraint: {constraint}"
        for constraint in _broken_constraints(shape, value)
    )
    if shape.type_name == "list":
        for position, item in enumerate(value, 1):
            yield from _problems(shape.member, item, f"{path}.{position}.member")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, item, f"{path}.{key}.value")


def _structure_problems(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield (
                f"Value null at '{_member(path, name)}' failed to satisfy constraint: Member must not be null"
            )
    for name, item in value.items():
        if name in shape.members and item is not None:
            yield from _problems(shape.members[name], item, _member(path, name))


def _broken_constraints(shape: Any, value: Any) -> Iterator[str]:
    limits = shape.metadata
    is_number = shape.type_name in _NUMBERS
    if is_number or shape.type_name in ("string", "list", "map"):
        size, noun = (value, "value") if is_number else (len(value), "length")
        if "max" in limits and size > limits["max"]:
            yield f"Member must have {noun} less than or equal to {limits['max']}"
        if "min" in limits and size < limits["min"]:
            yield f"Member must have {noun} greater than or equal to {limits['min']}"
    if shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        pattern = _pattern(limits["pattern"]) if "pattern" in limits else None
        if pattern and not pattern.fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {limits['pattern']}"
