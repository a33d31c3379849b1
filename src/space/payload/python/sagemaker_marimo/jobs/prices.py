"""Prices of instances for Processing jobs: a table with a date, not a quote."""

import json
from pathlib import Path

_TABLE = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
DATE: str = _TABLE["date"]
REGION: str = _TABLE["region"]
_HOURLY: dict[str, float] = _TABLE["hourly"]
"""US dollars, on demand. Other types and regions have no price here."""


def hourly(instance: str) -> float | None:
    return _HOURLY.get(instance)


def cost(instance: str, seconds: float) -> float | None:
    price = hourly(instance)
    return None if price is None else price * seconds / 3600


def describe(instance: str, seconds: float) -> str:
    """The cost in words, or that it is unknown."""
    dollars = cost(instance, seconds)
    if dollars is None:
        return f"unknown: the price table of {DATE} has no price for {instance}"
    price = f"{REGION}'s public price of {DATE}, {hourly(instance)} USD per hour"
    return f"{dollars:.4f} USD ({price}, without storage)"
