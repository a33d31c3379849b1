"""Prints the hourly prices of instances for Processing jobs and for spaces from AWS's price list, as JSON.

Runs in the virtual environment of the local AWS. Needs credentials that allow pricing:GetProducts. The names
of the fields are from public scripts that read the list: they have not been tried with AWS.
"""

import json
import sys
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

REGION = "us-east-1"
JOBS = {"component": "Processing"}
SPACES = {"platoinstancetype": "Studio-JupyterLab"}


def prices() -> dict[str, Any]:
    client = Session().create_client("pricing", region_name="us-east-1")
    jobs = products(client, JOBS)
    return {
        "date": max((product["publicationDate"][:10] for product in jobs), default=None),
        "region": REGION,
        "hourly": by_type(jobs),
        "spaces": by_type(products(client, SPACES)),
    }


def products(client: Any, fields: dict[str, str]) -> list[dict[str, Any]]:
    fields = {"regionCode": REGION, **fields}
    pages = client.get_paginator("get_products").paginate(
        ServiceCode="AmazonSageMaker",
        Filters=[{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in fields.items()],
    )
    return [json.loads(product) for page in pages for product in page["PriceList"]]


def by_type(found: list[dict[str, Any]]) -> dict[str, float]:
    pairs = [(product["product"]["attributes"].get("instanceName"), hourly(product)) for product in found]
    return {name: price for name, price in sorted(pairs, key=str) if name and price}


def hourly(product: dict[str, Any]) -> float | None:
    """Dollars on demand, or None if the product is not billed by the hour."""
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            if dimension["unit"].lower().startswith(("hr", "hour")):
                return float(dimension["pricePerUnit"]["USD"])
    return None


if __name__ == "__main__":
    try:
        print(json.dumps(prices()))
    except (BotoCoreError, ClientError, LookupError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
