"""What the bucket has of a user's sweeps."""

from dataclasses import dataclass
from typing import Any

from sagemaker_marimo.jobs.settings import find_object
from sagemaker_marimo.names import SWEEPS


@dataclass(frozen=True)
class Store:
    """The sweeps of one user."""

    s3: Any
    sagemaker: Any
    bucket: str
    folder: str
    """The user's prefix in the bucket."""

    def _key(self, key: str) -> str:
        return f"{self.folder}/{SWEEPS}/{key}"

    def get(self, key: str) -> str | None:
        return find_object(self.s3, self.bucket, self._key(key))

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=self._key(key), Body=text.encode())

    def delete(self, key: str) -> None:
        """Also if there is none."""
        self.s3.delete_object(Bucket=self.bucket, Key=self._key(key))

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._key(key)}"

    def names(self) -> list[str]:
        """Oldest first."""
        found = []
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self._key(""), Delimiter="/"
        )
        for page in pages:
            found += [one["Prefix"].split("/")[-2] for one in page.get("CommonPrefixes", ())]
        # <stem>-<time>-<4 hex>
        return sorted(found, key=lambda name: name.split("-")[-2:])

    def has_objects(self, uri: str) -> bool:
        """Whether any object is below this URI."""
        bucket, prefix = uri.removeprefix("s3://").split("/", 1)
        return bool(self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"))
