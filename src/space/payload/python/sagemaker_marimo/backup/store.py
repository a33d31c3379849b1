"""Where backups are in the bucket: PREFIX/backup/SPACE/TIME/, with `files/` and `manifest.json`.

PREFIX is the user's own part of the bucket, or `shared` for a shared space. TIME is when the home had its
first backup: a new space of the same name has an empty home, which must not replace the former one's backup.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_marimo import names, state
from sagemaker_marimo.backup.manifest import BackupError, Manifest, parse

ERRORS = (Boto3Error, BotoCoreError, ClientError)
WORKERS = 8
TRANSFER = TransferConfig(use_threads=False)  # each worker transfers its own file


class Store:
    """The backups of a user, or of everybody's shared spaces."""

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = f"{prefix}/{names.BACKUP}/"

    def url(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{name}/"

    def upload(self, name: str, path: str) -> None:
        self._s3.upload_file(str(state.HOME / path), self._bucket, self._key(name, path), Config=TRANSFER)

    def download(self, name: str, path: str, file: Path) -> bool:
        """False: the file is not in the bucket any more."""
        try:
            self._s3.download_file(self._bucket, self._key(name, path), str(file), Config=TRANSFER)
        except ClientError as error:
            if _is_missing(error):
                return False
            raise
        return True

    def delete(self, name: str, path: str) -> None:
        # One by one: the audit trail reports each DeleteObjects, because CloudTrail records it without keys.
        self._s3.delete_object(Bucket=self._bucket, Key=self._key(name, path))

    def write(self, manifest: Manifest) -> None:
        self._s3.put_object(
            Bucket=self._bucket,
            Key=self._manifest_key(manifest.name),
            Body=manifest.text().encode(),
            ContentType="application/json",
        )

    def read(self, name: str) -> Manifest | None:
        """None: there is no backup of this name, or its first run was interrupted."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._manifest_key(name))
        except ClientError as error:
            if _is_missing(error):
                return None
            raise
        return parse(answer["Body"].read())

    def names(self, space: str | None = None) -> list[str]:
        """SPACE/TIME of each backup, the latest home of a space last."""
        spaces = [space] if space else list(self._folders(""))
        return [f"{one}/{home}" for one in spaces for home in sorted(self._folders(f"{one}/"))]

    def sizes(self, name: str) -> dict[str, int]:
        """The size of each file in the bucket, by path."""
        prefix = self._key(name, "")
        return {
            one["Key"].removeprefix(prefix): one["Size"]
            for page in self._pages(Prefix=prefix)
            for one in page.get("Contents", ())
        }

    def _key(self, name: str, path: str) -> str:
        return f"{self._prefix}{name}/files/{path}"

    def _manifest_key(self, name: str) -> str:
        return f"{self._prefix}{name}/manifest.json"

    def _folders(self, below: str) -> Iterator[str]:
        prefix = f"{self._prefix}{below}"
        for page in self._pages(Prefix=prefix, Delimiter="/"):
            for one in page.get("CommonPrefixes", ()):
                yield one["Prefix"].removeprefix(prefix).rstrip("/")

    def _pages(self, **request: str) -> Iterator[dict[str, Any]]:
        pages: Iterator[dict[str, Any]] = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, **request
        )
        return pages


def _is_missing(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in ("NoSuchKey", "404")


def connect() -> Store:
    settings = state.settings()
    bucket, prefix = settings.get("MARIMO_BUCKET"), settings.get("MARIMO_PREFIX", "")
    if not bucket or not prefix.startswith(f"s3://{bucket}/"):
        raise BackupError("this is not a space of an environment: it has no bucket")
    # Of a user who was added by hand and has no role: everybody reads `shared`. The variable is of SageMaker
    # Distribution (start-jupyter-server).
    is_private = os.environ.get("SAGEMAKER_SPACE_TYPE_LOWERCASE") == "private"
    if prefix == f"s3://{bucket}/{names.SHARED}" and is_private:
        raise BackupError("this space's user has no part of the bucket that others cannot read")
    config = Config(
        connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 4}, max_pool_connections=WORKERS
    )
    s3 = boto3.client("s3", region_name=settings.get("MARIMO_REGION") or None, config=config)
    return Store(s3, bucket, prefix.removeprefix(f"s3://{bucket}/"))
