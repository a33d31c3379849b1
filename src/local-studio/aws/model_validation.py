"""Validates the members of a request against botocore's service model.

As on AWS, unknown members are ignored, because the request may come from a newer SDK.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "blob": (str, bytes),
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "boolean": bool,
    "timestamp": (int, float, str, datetime),
}
_NUMBERS = ("integer", "long", "float", "double")

# The patterns of the model have Java syntax. Python's `re` has no \p{…}. These replacements work inside
# brackets, where the model uses the classes. `\w` also matches "_", which these patterns allow anyway.
_UNICODE_CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{Alnum}": "a-zA-Z0-9"}


class WrongType(ValueError):
    """The type of a member does not match the model."""


@lru_cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    for java, python in _UNICODE_CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        # Some patterns of the model use classes that Python does not have (\p{P}, surrogate ranges), but none
        # in operations of Studio.
        return None


def summary(found: list[str]) -> str:
    # Source: aws-samples/sagemaker-ml-workflow-with-apache-airflow#3.
    return f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: {'; '.join(found)}"


def _member(path: str, name: str) -> str:
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def problems(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """Yields each violated constraint, in the wording of AWS's front ends."""
    expected = _TYPES.get(shape.type_name)
    is_wrong_boolean = isinstance(value, bool) and shape.type_name != "boolean"
    if expected and (not isinstance(value, expected) or is_wrong_boolean):
        raise WrongType(f"'{path}' must be {shape.type_name}, not {type(value).__name__}")
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
            yield from problems(shape.member, item, f"{path}.{position}.member")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from problems(shape.key, key, f"{path}.key")
            yield from problems(shape.value, item, f"{path}.{key}.value")


def _structure_problems(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield (
                f"Value null at '{_member(path, name)}' failed to satisfy constraint: Member must not be null"
            )
    for name, item in value.items():
        if name in shape.members and item is not None:
            yield from problems(shape.members[name], item, _member(path, name))


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
