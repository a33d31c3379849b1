"""What the bucket has of an environment's sweeps."""

from dataclasses import dataclass
from typing import Any

from sagemaker_marimo.jobs.settings import find_object
from sagemaker_marimo.names import JOBS


@dataclass(frozen=True)
class Store:
    """The sweeps of one environment."""

    s3: Any
    sagemaker: Any
    bucket: str

    def get(self, key: str) -> str | None:
        return find_object(self.s3, self.bucket, f"{JOBS}/{key}")

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"{JOBS}/{key}", Body=text.encode())

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{JOBS}/{key}"

    def names(self, prefix: str) -> list[str]:
        """Oldest first. Names of jobs begin with `prefix` and are left out: their outputs are there too."""
        found = []
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{JOBS}/", Delimiter="/"
        )
        for page in pages:
            found += [one["Prefix"].split("/")[-2] for one in page.get("CommonPrefixes", ())]
        # <stem>-<time>-<4 hex>
        sweeps = [name for name in found if not name.startswith(f"{prefix}-")]
        return sorted(sweeps, key=lambda name: name.split("-")[-2:])

    def has_objects(self, uri: str) -> bool:
        """Whether any object is below this URI."""
        bucket, prefix = uri.removeprefix("s3://").split("/", 1)
        return bool(self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"))
