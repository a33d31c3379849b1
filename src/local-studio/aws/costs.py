"""AWS Cost Explorer, with the costs that an order sets (server.py): nothing is ever spent here."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from moto.ce.responses import CostExplorerResponse
from moto.core.exceptions import JsonRESTError

Members = dict[str, Any]

# Source: AWS Cost Explorer API Reference, GetCostAndUsage, Metrics. Here, all of them are the same amount.
_METRICS = ("AmortizedCost", "BlendedCost", "NetAmortizedCost", "NetUnblendedCost", "UnblendedCost")
_DAYS_OF_A_PAGE = 10
"""Guess: AWS does not document the size of a page. It is small, so that clients read several."""


@dataclass(frozen=True)
class Cost:
    day: date
    amount: Decimal
    dimensions: dict[str, str]
    tags: dict[str, str]


@dataclass
class _Account:
    costs: list[Cost] = field(default_factory=list)
    active_tags: list[str] = field(default_factory=list)
    """Keys of the activated cost allocation tags. Cost Explorer knows no others."""


_account = _Account()


def replace(_: object, members: Members) -> None:
    """An order: {"ActiveTags": [KEY…], "Costs": [{"Date", "Service", "UsageType", "Amount", "Tags"}…]}."""
    active, costs = members["ActiveTags"], [_cost(one) for one in members["Costs"]]
    if not isinstance(active, list) or not all(isinstance(key, str) for key in active):
        raise ValueError(f"ActiveTags must be a list of keys, not {active!r}")
    _account.active_tags, _account.costs = active, costs


def _cost(given: Members) -> Cost:
    tags = given.get("Tags", {})
    if not all(isinstance(text, str) for text in (*tags, *tags.values())):
        raise ValueError(f"Tags must have texts only, not {tags!r}")
    try:
        amount = Decimal(str(given["Amount"]))
    except InvalidOperation:
        raise ValueError(f"Amount must be a number, not {given['Amount']!r}") from None
    dimensions = {"SERVICE": str(given["Service"]), "USAGE_TYPE": str(given["UsageType"])}
    return Cost(date.fromisoformat(given["Date"]), amount, dimensions, tags)


def _refusal(message: str) -> JsonRESTError:
    # Guess: the code, which the API Reference does not name. It is also used for what the local AWS lacks.
    return JsonRESTError("ValidationException", message)


def _value(cost: Cost, kind: str, key: str) -> str | None:
    if kind == "TAG":
        return cost.tags.get(key) if key in _account.active_tags else None
    if key not in cost.dimensions:
        raise _refusal(f"the local AWS has no dimension {key}: it has {', '.join(cost.dimensions)}")
    return cost.dimensions[key]


def _matches(expression: Members, cost: Cost) -> bool:
    # Source: AWS Cost Explorer API Reference, Expression: one operator, or one simple value.
    if len(expression) != 1:
        raise _refusal(f"an expression must have one member, not {', '.join(expression) or 'none'}")
    [(operator, operand)] = expression.items()
    match operator:
        case "And":
            return all(_matches(one, cost) for one in operand)
        case "Or":
            return any(_matches(one, cost) for one in operand)
        case "Not":
            return not _matches(operand, cost)
        case "Tags" | "Dimensions":
            value = _value(cost, "TAG" if operator == "Tags" else "DIMENSION", operand["Key"])
            options = set(operand.get("MatchOptions", ["EQUALS"]))
            if options == {"ABSENT"}:
                return value is None
            if not options <= {"EQUALS", "CASE_SENSITIVE"}:
                raise _refusal(f"the local AWS does not know MatchOptions {sorted(options)}")
            return value in operand["Values"]
    raise _refusal(f"the local AWS does not know filters by {operator}")


def _period(request: Members) -> tuple[date, date]:
    start, end = (date.fromisoformat(request["TimePeriod"][side][:10]) for side in ("Start", "End"))
    today = datetime.now(UTC).date()
    # Source: AWS Cost Explorer API Reference, DateInterval. Guess: the words.
    if start >= end:
        raise _refusal("Start date (and hour) should be before end date (and hour)")
    if start > today:
        raise _refusal("Start date can't be after today")
    return start, end


def _intervals(start: date, end: date, granularity: str) -> Iterator[tuple[date, date]]:
    while start < end:
        following = start + timedelta(days=1)
        if granularity == "MONTHLY":
            following = min(end, (start.replace(day=1) + timedelta(days=32)).replace(day=1))
        yield start, following
        start = following


def _amounts(metrics: list[str], costs: list[Cost]) -> Members:
    total = str(sum((cost.amount for cost in costs), Decimal(0)))
    return {metric: {"Amount": total, "Unit": "USD"} for metric in metrics}


def _key(cost: Cost, group: Members) -> str:
    value = _value(cost, group["Type"], group["Key"])
    # Source: aws-cli, examples/ce/get-cost-and-usage.rst: "Environment$" without the tag.
    return f"{group['Key']}${value or ''}" if group["Type"] == "TAG" else str(value)


def _result(request: Members, start: date, end: date) -> Members:
    costs = [
        cost
        for cost in _account.costs
        if start <= cost.day < end and ("Filter" not in request or _matches(request["Filter"], cost))
    ]
    metrics, by = request["Metrics"], request.get("GroupBy", [])
    groups: dict[tuple[str, ...], list[Cost]] = {}
    for cost in costs if by else []:
        groups.setdefault(tuple(_key(cost, group) for group in by), []).append(cost)
    return {
        "TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()},
        "Total": {} if by else _amounts(metrics, costs),
        "Groups": [{"Keys": list(keys), "Metrics": _amounts(metrics, of)} for keys, of in groups.items()],
        "Estimated": end > datetime.now(UTC).date() - timedelta(days=1),
    }


def _get_cost_and_usage(request: Members) -> Members:
    by, granularity = request.get("GroupBy", []), request["Granularity"]
    # Source: AWS Cost Management User Guide, "Grouping data using filters"; aws-sdk GetCostAndUsage, GroupBy.
    if len(by) > 2:
        raise _refusal("GroupBy: at most two groups are allowed")
    if unknown := [group["Type"] for group in by if group["Type"] not in ("DIMENSION", "TAG")]:
        raise _refusal(f"the local AWS cannot group by {', '.join(unknown)}")
    if unknown := [metric for metric in request["Metrics"] if metric not in _METRICS]:
        raise _refusal(f"the local AWS has no metric {', '.join(unknown)}: it has {', '.join(_METRICS)}")
    if granularity == "HOURLY":
        raise _refusal("the local AWS has no hourly costs")
    intervals = list(_intervals(*_period(request), granularity))
    token = request.get("NextPageToken", "0")
    if not token.isdecimal():
        raise JsonRESTError("InvalidNextTokenException", "The pagination token is invalid.")
    first = int(token)
    following = first + _DAYS_OF_A_PAGE
    return {
        "GroupDefinitions": by,
        "ResultsByTime": [_result(request, *interval) for interval in intervals[first:following]],
        "DimensionValueAttributes": [],
        **({"NextPageToken": str(following)} if following < len(intervals) else {}),
    }


def _list_cost_allocation_tags(request: Members) -> Members:
    """Guess: a key that no resource has is not listed, active or not. Here, those of the costs are."""
    known = {key for cost in _account.costs for key in cost.tags}
    keys = sorted(known.intersection(request["TagKeys"]) if "TagKeys" in request else known)
    tags = [
        {
            "TagKey": key,
            "Type": "UserDefined",
            "Status": "Active" if key in _account.active_tags else "Inactive",
        }
        for key in keys
    ]
    return {
        "CostAllocationTags": [tag for tag in tags if request.get("Status", tag["Status"]) == tag["Status"]]
    }


def install() -> None:
    operations: dict[str, Callable[[Members], Members]] = {
        "get_cost_and_usage": _get_cost_and_usage,
        "list_cost_allocation_tags": _list_cost_allocation_tags,
    }
    for name, answer in operations.items():

        def method(response: Any, answer: Callable[[Members], Members] = answer) -> str:
            return json.dumps(answer(json.loads(response.body)))

        setattr(CostExplorerResponse, name, method)
