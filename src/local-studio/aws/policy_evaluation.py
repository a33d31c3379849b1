"""Evaluates IAM policies (IAM User Guide, "Policy evaluation logic" and "IAM JSON policy element reference").

The cases of `__tests__/support/policy-cases.json` hold this module and the tests' simulator to the same
answers. What cannot be evaluated here (an unknown operator, several values for an operator of one) refuses:
an Allow statement with it never applies, and a Deny statement always does.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
Statement = dict[str, Any]
Values = str | list[str]


@dataclass(frozen=True)
class Access:
    action: str
    resource: str
    # Values by condition key in lower case. Tags of the principal are aws:principaltag/KEY.
    context: Mapping[str, Values] = field(default_factory=dict)
    # For resource-based policies: the name of a service or the ARN of a role.
    principal: str = ""


@dataclass(frozen=True)
class Decision:
    allowed: bool
    # The statement that decides. None: no statement matches.
    statement: Statement | None = None


def decide(policies: Iterable[Document], access: Access) -> Decision:
    """An explicit deny overrides all allows. Without an allow, the request is denied."""
    matching = [one for policy in policies for one in statements(policy) if matches(one, access)]
    deciding = next((one for one in matching if one["Effect"] == "Deny"), None) or next(iter(matching), None)
    return Decision(deciding is not None and deciding["Effect"] == "Allow", deciding)


def is_allowed(policies: Iterable[Document], access: Access) -> bool:
    return decide(policies, access).allowed


def statements(policy: Document) -> list[Statement]:
    return as_list(policy.get("Statement"))


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def matches(statement: Statement, access: Access) -> bool:
    return (
        covers_action(statement, access.action)
        and covers_resource(statement, access)
        and ("Principal" not in statement or _is_principal(statement["Principal"], access.principal))
        and not failed_conditions(statement, access)
    )


def covers_action(statement: Statement, action: str) -> bool:
    def among(patterns: Any) -> bool:
        return any(_like(pattern.lower(), action.lower()) for pattern in as_list(patterns))

    return not among(statement["NotAction"]) if "NotAction" in statement else among(statement.get("Action"))


def covers_resource(statement: Statement, access: Access) -> bool:
    def among(patterns: Any) -> bool:
        filled = [_substitute(pattern, access) for pattern in as_list(patterns)]
        return any(one == "*" or (one and _arn_like(one, access.resource)) for one in filled)

    if "NotResource" in statement:
        return not among(statement["NotResource"])
    # A trust policy has no Resource element.
    return "Resource" not in statement or among(statement["Resource"])


def failed_conditions(statement: Statement, access: Access) -> list[str]:
    """The conditions that are not met, each as `operator key`."""
    denies = statement["Effect"] == "Deny"
    return [
        f"{operator} {key}"
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
        if not _holds(operator, key, [_text(one) for one in as_list(wanted)], access, denies)
    ]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_principal(principals: Any, principal: str) -> bool:
    if principals == "*":
        return True
    named = [value for values in principals.values() for value in as_list(values)]
    return principal in named or "*" in as_list(principals.get("AWS"))


def _like(pattern: str, text: str) -> bool:
    """`*` matches any characters and `?` one character. A backslash escapes the next character."""
    expression = re.sub(
        r"\\([*?$\\])|([*?])|(.)",
        lambda found: (
            re.escape(found[1] or found[3]) if found[2] is None else ".*" if found[2] == "*" else "."
        ),
        pattern,
        flags=re.DOTALL,
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _arn_like(pattern: str, arn: str) -> bool:
    """Compares each of the six parts of an ARN. The last part can contain colons."""
    wanted, found = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(found) == 6 and all(map(_like, wanted, found))


def _literal(text: str) -> str:
    return re.sub(r"\\([*?$\\])", r"\1", text)


# IAM User Guide, "IAM JSON policy elements: Condition operators". ArnEquals and ArnLike are identical.
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: _literal(wanted) == value,
    "StringEqualsIgnoreCase": lambda wanted, value: _literal(wanted).lower() == value.lower(),
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
    "NumericEquals": lambda wanted, value: float(value) == float(wanted),
    "NumericLessThan": lambda wanted, value: float(value) < float(wanted),
    "NumericLessThanEquals": lambda wanted, value: float(value) <= float(wanted),
    "NumericGreaterThan": lambda wanted, value: float(value) > float(wanted),
    "NumericGreaterThanEquals": lambda wanted, value: float(value) >= float(wanted),
}


def _holds(operator: str, key: str, wanted: list[str], access: Access, denies: bool) -> bool:
    set_, _, rest = operator.rpartition(":")
    name = rest.removesuffix("IfExists")
    found = _values(key, access)
    if name == "Null":
        return all((one == "true") == (found is None) for one in wanted)
    is_negated = re.match(r"(String|Arn|Numeric)Not", name) is not None
    test = _OPERATORS.get(re.sub(r"^(String|Arn|Numeric)Not", r"\1", name))
    if test is None:
        return denies
    if found is None:
        return rest != name or set_ == "ForAllValues" or (is_negated and not set_)
    if not set_ and len(found) != 1:
        return denies
    filled = [one for one in (_substitute(text, access) for text in wanted) if one is not None]
    results = (is_negated != any(test(one, value) for one in filled) for value in found)
    return any(results) if set_ == "ForAnyValue" else all(results)


def _values(key: str, access: Access) -> list[str] | None:
    value = access.context.get(key.lower())
    return None if value is None else as_list(value)


def _substitute(text: str, access: Access) -> str | None:
    """Replaces policy variables (IAM User Guide, "IAM policy elements: Variables and tags"). A variable
    without a value and without a default matches nothing. Wildcards in values are literal: escaped here."""
    is_missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal is_missing
        if found[1] in ("*", "?", "$"):
            return f"\\{found[1]}"
        key, _, default = found[1].partition(",")
        values = _values(key.strip(), access)
        value = values[0] if values else None
        if value is None and default:
            value = default.strip().removeprefix("'").removesuffix("'")
        is_missing = is_missing or value is None
        return re.sub(r"([*?\\])", r"\\\1", value or "")

    filled = re.sub(r"\$\{([^}]+)\}", fill, text)
    return None if is_missing else filled
