"""What an instance of a processing job costs: a dated table, not a quote."""

DATE = "2026"
REGION = "us-east-1"

# US dollars an hour on demand, as public tables of others had them: AWS's own price page could not be read
# when this was written. Of types and regions that are not here no price is said.
HOURLY: dict[str, float] = {
    "ml.t3.medium": 0.05,
    "ml.t3.large": 0.10,
    "ml.t3.xlarge": 0.20,
    "ml.t3.2xlarge": 0.399,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.m5.12xlarge": 2.765,
    "ml.m5.24xlarge": 5.53,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.c5.9xlarge": 1.836,
    "ml.r5.large": 0.151,
    "ml.r5.xlarge": 0.302,
    "ml.r5.2xlarge": 0.605,
    "ml.p3.2xlarge": 3.825,
    "ml.p3.8xlarge": 14.688,
    "ml.p3.16xlarge": 28.152,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g4dn.2xlarge": 0.94,
    "ml.g4dn.4xlarge": 1.505,
    "ml.g4dn.8xlarge": 2.72,
    "ml.g4dn.12xlarge": 4.89,
    "ml.g4dn.16xlarge": 5.44,
}


def hourly(instance: str) -> float | None:
    return HOURLY.get(instance)


def cost(instance: str, seconds: float) -> float | None:
    price = hourly(instance)
    return None if price is None else price * seconds / 3600


def describe(instance: str, seconds: float) -> str:
    """For people: what that many seconds cost, or that it is not known."""
    dollars = cost(instance, seconds)
    if dollars is None:
        return f"unknown: there is no price of {instance} in the table of {DATE}"
    price = f"{REGION}'s public price of {DATE}, {hourly(instance)} USD an hour"
    return f"{dollars:.4f} USD (by {price}, without storage)"
