"""Prices of instances for Processing jobs: a table with a date, not a quote."""

import json
from pathlib import Path

_TABLE = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
DATE: str = _TABLE["date"]
REGION: str = _TABLE["region"]
SPOT_SHARE = 0.35
"""Guess: Spot's usual share of the price on demand. AWS only says that Spot saves up to 90 %
(SageMaker Developer Guide, "Managed Spot Training in Amazon SageMaker AI")."""
_HOURLY: dict[str, float] = _TABLE["hourly"]
"""US dollars, on demand. Other types and regions have no price here."""


def hourly(instance: str) -> float | None:
    return _HOURLY.get(instance)


def cost(instance: str, seconds: float, instances: int = 1) -> float | None:
    price = hourly(instance)
    return None if price is None else price * seconds / 3600 * instances


def describe(instance: str, seconds: float, instances: int = 1) -> str:
    """The cost in words, or that it is unknown."""
    dollars = cost(instance, seconds, instances)
    if dollars is None:
        return f"unknown: the price table of {DATE} has no price for {instance}"
    price = f"{REGION}'s public price of {DATE}, {hourly(instance)} USD per hour"
    nodes = "" if instances == 1 else f" and instance, {instances} instances"
    return f"{dollars:.4f} USD ({price}{nodes}, without storage)"


def describe_spot(instance: str, seconds: float, instances: int = 1) -> str:
    """AWS publishes no prices of Spot training: it reports what a job was billed after its end."""
    dollars = cost(instance, seconds, instances)
    if dollars is None:
        return describe(instance, seconds, instances)
    return (
        f"about {dollars * SPOT_SHARE:.4f} USD (an estimate: {SPOT_SHARE:.0%} of the price on demand, "
        "which AWS changes with its free capacity)"
    )
