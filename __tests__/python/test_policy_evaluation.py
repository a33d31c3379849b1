"""The local AWS evaluates policies as the tests' own simulator does: the cases are shared."""

import json
from pathlib import Path
from typing import Any

import pytest

from policy_evaluation import Access, is_allowed

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "support/policy-cases.json").read_text()
)
ALLOW = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


def allowed(statements: list[Any], request: dict[str, Any]) -> bool:
    tags = {f"aws:PrincipalTag/{key}": value for key, value in request.get("tags", {}).items()}
    context = {key.lower(): value for key, value in {**request.get("context", {}), **tags}.items()}
    access = Access(
        request.get("action", "s3:GetObject"),
        request.get("resource", "arn:aws:s3:::bucket/key"),
        context,
        request.get("principal", ""),
    )
    return is_allowed([{"Statement": statements}], access)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["rule"])
def test_case(case: dict[str, Any]) -> None:
    for request, expected in case["requests"]:
        assert allowed(case["statements"], request) is expected, request


@pytest.mark.parametrize(
    "condition", [{"DateLessThan": {"aws:key": "2026-01-01"}}, {"StringEquals": {"aws:key": "a"}}]
)
def test_what_it_cannot_evaluate_is_refused(condition: dict[str, Any]) -> None:
    several = {"context": {"aws:key": ["a", "b"]}}
    assert not allowed([{**ALLOW, "Condition": condition}], several)
    assert not allowed([ALLOW, {**ALLOW, "Effect": "Deny", "Condition": condition}], several)
    # Control.
    assert allowed([ALLOW], several)


def test_an_incomplete_arn_matches_nothing() -> None:
    assert not allowed([{**ALLOW, "Resource": "arn:aws:s3"}], {})
