"""Saves the state of the local AWS to a file, from which `npm start -- --keep FOLDER` resumes.

moto has no such function. Its backends refer to each other, so all are pickled together. A pickle requires
the same classes that wrote it, so the file begins with their fingerprint, and other versions are rejected.
Unpickling can run arbitrary code, so `kept-folder.ts` rejects a folder that is writable for other users.
"""

import hashlib
import os
import pickle
import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import moto
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from moto.backends import get_backend
from moto.core.base_backend import BackendDict
from moto.s3.models import s3_backends
from moto.s3.utils import _VersionedKeyStore

import athena_query
from studio import endpoints, warm_pools
from studio.jobs import INTERRUPTED, Job
from studio.responses import ControlPlane
from studio.state import Studio

_LOCKS = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}
_SAVING = threading.Lock()
_PRIVATE_KEYS = get_args(PrivateKeyTypes)
_STORES = (
    "domains",
    "user_profiles",
    "spaces",
    "apps",
    "lifecycle_configs",
    "images",
    "image_versions",
    "app_image_configs",
    "feature_groups",
    "endpoints",
    "processing_jobs",
    "training_jobs",
    "pipelines",
    "inference_profiles",
)


class SnapshotError(Exception):
    """The message is shown to users."""


def _fingerprint_of_sources() -> str:
    digest = hashlib.sha256(f"{moto.__version__} {sys.version_info[:2]}".encode())
    folder = Path(__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


# Calculated at import: later edits of the sources do not change the classes that this process pickles.
_FINGERPRINT = _fingerprint_of_sources()


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> tuple[str, ...] | None:
        # A Studio also contains objects of the process: its lock, threads and app host.
        return (value.account, value.region, value.partition) if isinstance(value, Studio) else None

    def reducer_override(self, value: Any) -> Any:
        if type(value) in _LOCKS:
            return _LOCKS[type(value)], ()
        if isinstance(value, Job):
            # Watchers and threads end with the process.
            state = {**vars(value), "watchers": [], "run": None, "timer": None}
            return _new, (type(value),), state
        if isinstance(value, _PRIVATE_KEYS):
            return _private_key, (value.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),)
        if isinstance(value, _VersionedKeyStore):
            # Assignment appends a version, and `items` has only the latest: pickle would lose the others.
            return _new, (type(value),), list(dict.items(value)), None, None, dict.update
        return NotImplemented


def _new(kind: Any) -> Any:
    return kind.__new__(kind)


def _private_key(der: bytes) -> PrivateKeyTypes:
    return load_der_private_key(der, None)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BytesIO, control_plane: ControlPlane) -> None:
        super().__init__(file)
        self._control_plane = control_plane

    def persistent_load(self, identifier: tuple[str, str, str]) -> Studio:
        return self._control_plane.studio(*identifier)


def save(control_plane: ControlPlane, path: Path) -> None:
    """Replaces the file atomically, so that it is complete even if the process is killed."""
    with _SAVING:
        _replace(path, _pickled(control_plane))


def _pickled(control_plane: ControlPlane) -> bytes:
    with control_plane.lock:
        studios = {
            (studio.account, studio.region, studio.partition): {
                name: getattr(studio, name) for name in _STORES
            }
            for studio in control_plane.studios.values()
        }
        backends = [
            (service.service_name, account, region, backend)
            for service in BackendDict._instances  # type: ignore[misc]
            for account, region, backend in service.iter_backends()
        ]
        content = BytesIO()
        _Pickler(content).dump((studios, backends, s3_backends.bucket_accounts))
        return content.getvalue()


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    temporary.touch(0o600)
    with temporary.open("wb") as file:
        file.write(f"{_FINGERPRINT}\n".encode())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(control_plane: ControlPlane, path: Path) -> None:
    with path.open("rb") as file:
        fingerprint, content = file.readline().decode(errors="replace").strip(), file.read()
    if fingerprint != _FINGERPRINT:
        raise SnapshotError(f"{path} was written by another version of this project, moto or Python.")
    try:
        studios, backends, bucket_accounts = _Unpickler(BytesIO(content), control_plane).load()
    except Exception as error:
        raise SnapshotError(f"{path} is damaged: {error}") from error
    for service, account, region, backend in backends:
        get_backend(service)[account][region] = backend
    athena_query.settle()
    s3_backends.bucket_accounts.update(bucket_accounts)
    for key, stores in studios.items():
        studio = control_plane.studio(*key)
        for name, store in stores.items():
            getattr(studio, name).update(store)
        _settle(studio)


def _settle(studio: Studio) -> None:
    """Ends the operations that were pending when the process ended, as if AWS's machines had failed."""
    for resource in [*studio.domains.values(), *studio.user_profiles.values(), *studio.spaces.values()]:
        if resource.status in ("Pending", "Updating", "Deleting"):
            resource.set_status("InService")
    for image in [*studio.images.values(), *studio.image_versions.values()]:
        if image.status.upper() in ("CREATING", "UPDATING", "DELETING"):
            image.set_status("CREATED")
    for group in studio.feature_groups.values():
        group.set_status("Created")
    for endpoint in studio.endpoints.values():
        if isinstance(endpoint, endpoints.Endpoint):
            endpoints.restart(studio, endpoint)
    for app in studio.apps.values():
        app.set_status("Deleted")
    for job in [*studio.processing_jobs.values(), *studio.training_jobs.values()]:
        if not job.is_over:
            job.set_status("Failed", INTERRUPTED)
    warm_pools.terminate_all(studio)
    for pipeline in studio.pipelines.values():
        for execution in pipeline.executions.values():
            if not execution.is_over:
                execution.abandon()
