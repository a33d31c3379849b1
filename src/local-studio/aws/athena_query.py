"""A query of Athena from start to end. DuckDB runs the statement on the files of the Glue tables."""

import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
from moto.athena.models import athena_backends
from moto.glue.models import glue_backends
from moto.s3.models import s3_backends

from athena_sql import QueryFailedError, Select, Show, TableName
from athena_tables import Json, Location, Table, is_data, load, locations
from athena_values import column_info, csv, text
from studio.state import Studio

PARALLEL = 4
"""Queries that run at the same time. Others are QUEUED."""
_slots = threading.BoundedSemaphore(PARALLEL)
_connections: dict[str, duckdb.DuckDBPyConnection] = {}
Denies = Callable[[str, str, Json], str | None]
"""Why IAM denies the caller an operation of a service, or None."""
Rows = list[list[str | None]]


@dataclass
class Query:
    """moto's `Execution` with results. It is saved with moto's backends."""

    request: Json
    workgroup: Any
    location: str
    is_select: bool
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "QUEUED"
    reason: str | None = None
    error_kind: int | None = None
    scanned: int = 0
    submitted: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    completed: datetime | None = None
    columns: list[Json] = field(default_factory=list)
    rows: Rows = field(default_factory=list)

    @property
    def database(self) -> str | None:
        found: str | None = (self.request.get("QueryExecutionContext") or {}).get("Database")
        return found

    @property
    def is_over(self) -> bool:
        return self.status not in ("QUEUED", "RUNNING")

    def end(self, status: str, reason: str | None = None, kind: int | None = None) -> None:
        if not self.is_over:
            self.status, self.reason, self.error_kind = status, reason, kind
            self.completed = datetime.now(UTC)


def settle() -> None:
    """After a restart: ends the queries that were running."""
    for backend in (one for regions in athena_backends.values() for one in regions.values()):
        queries: list[Any] = list(backend.executions.values())
        for query in queries:
            # Guess: the wording of an internal error.
            query.end("FAILED", "INTERNAL_ERROR_QUERY_ENGINE", 200)


def interrupt(query: Query) -> None:
    if connection := _connections.get(query.id):
        connection.interrupt()


@dataclass(frozen=True)
class Runner:
    studio: Studio
    denies: Denies

    def start(self, query: Query, statement: Select | Show) -> None:
        threading.Thread(target=self._run, args=(query, statement), daemon=True).start()

    @property
    def _s3(self) -> Any:
        return s3_backends[self.studio.account][self.studio.partition]

    @property
    def _databases(self) -> Any:
        return glue_backends[self.studio.account][self.studio.region].databases

    def _run(self, query: Query, statement: Select | Show) -> None:
        lock = self.studio.lock
        with _slots:
            try:
                with lock:
                    if query.is_over:
                        return
                    query.status, query.started = "RUNNING", datetime.now(UTC)
                if isinstance(statement, Show):
                    with lock:
                        columns, rows = self._show(query, statement)
                else:
                    columns, rows = self._select(query, statement)
                with lock:
                    query.columns, query.rows = columns, rows
                    self._write(query)
                    query.end("SUCCEEDED")
            except QueryFailedError as error:
                with lock:
                    query.end("FAILED", str(error), error.kind)
            except duckdb.InterruptException:
                return  # StopQueryExecution has ended it
            except Exception as error:  # a query must never stay RUNNING
                with lock:
                    # Guess: the wording.
                    query.end("FAILED", f"GENERIC_INTERNAL_ERROR: {error}", 200)

    def _show(self, query: Query, statement: Show) -> tuple[list[Json], Rows]:
        names: list[str]
        if statement.tables:
            database = statement.database or query.database or "default"
            self._allow("glue", "GetTables", {"DatabaseName": database})
            if database.lower() not in self._databases:
                # Source: quiltdata/quilt, "SCHEMA_NOT_FOUND". Guess: of this statement.
                raise QueryFailedError(
                    f"SCHEMA_NOT_FOUND: line 1:1: Schema '{database}' does not exist", 1301
                )
            names = sorted(self._databases[database.lower()].tables)
        else:
            self._allow("glue", "GetDatabases", {})
            names = sorted(self._databases)
        return [column_info("tab_name" if statement.tables else "database_name", "VARCHAR")], [
            [name] for name in names
        ]

    def _select(self, query: Query, statement: Select) -> tuple[list[Json], Rows]:
        with self.studio.lock:
            tables = [self._table(one) for one in statement.tables(query.database)]
            query.scanned = sum(one.size for one in tables)
            cutoff = query.workgroup.configuration.get("BytesScannedCutoffPerQuery")
            if cutoff and query.scanned > cutoff:
                # Source: Amazon Athena User Guide, "Configure per-query and per-workgroup limits": the query
                # is cancelled. Guess: the wording, which several public reports have.
                query.end("CANCELLED", "Bytes scanned limit was exceeded")
                return [], []
        with tempfile.TemporaryDirectory() as folder, _duckdb(query) as connection:
            if query.is_over:  # it was stopped before there was a connection
                return [], []
            for table in tables:
                load(connection, table, Path(folder))
            connection.execute("SET enable_external_access = false; SET lock_configuration = true")
            return _result(connection, statement, query.request.get("ExecutionParameters") or [])

    def _table(self, wanted: TableName) -> Table:
        self._allow("glue", "GetTable", {"DatabaseName": wanted.database, "Name": wanted.name})
        database = self._databases.get(wanted.database)
        if database is None:
            # Source: quiltdata/quilt, "SCHEMA_NOT_FOUND".
            raise QueryFailedError(
                f"SCHEMA_NOT_FOUND: {wanted.at}: Schema '{wanted.database}' does not exist", 1301
            )
        found = database.tables.get(wanted.name)
        if found is None:
            # Source: c6fc/warcannon#20.
            raise QueryFailedError(
                f"TABLE_NOT_FOUND: {wanted.at}: Table 'awsdatacatalog.{wanted.database}.{wanted.name}' does "
                "not exist",
                1301,
            )
        definition = found.as_dict()
        partitions = [one.as_dict() for one in found.partitions.values()]
        if definition.get("PartitionKeys"):
            members = {"DatabaseName": wanted.database, "TableName": wanted.name}
            self._allow("glue", "GetPartitions", members)
        places = locations(definition, partitions)
        for place in places:
            self._read(place)
        return Table(wanted.database, wanted.name, definition, places)

    def _read(self, place: Location) -> None:
        url = f"s3://{place.bucket}/{place.prefix}"
        bucket = self._s3.buckets.get(place.bucket)
        if bucket is None:
            # Guess: the wording.
            raise QueryFailedError(f"The specified bucket does not exist: {url}")
        self._allow("s3", "ListObjectsV2", {"Bucket": place.bucket, "Prefix": place.prefix}, url)
        keys = [key for name, key in bucket.keys.items() if name.startswith(place.prefix)]
        for key in keys:
            if is_data(key.name, key.size):
                self._allow("s3", "GetObject", {"Bucket": place.bucket, "Key": key.name}, url)
                place.files.append((key.name, key.value))

    def _allow(self, service: str, operation: str, members: Json, url: str | None = None) -> None:
        if not (denied := self.denies(service, operation, members)):
            return
        if url:
            # Source: kubecost/docs, "Permission denied on S3 path". Guess: the parenthesis.
            raise QueryFailedError(f"Permission denied on S3 path: {url} ({denied})", 1401)
        # Source: getredash/website#54. Guess: what follows it.
        raise QueryFailedError(f"Insufficient permissions to execute the query. {denied}", 1401)

    def _write(self, query: Query) -> None:
        if query.is_over:
            return
        bucket, _, key = query.location.removeprefix("s3://").partition("/")
        if denied := self.denies("s3", "PutObject", {"Bucket": bucket, "Key": key}):
            # Source: AWS re:Post, "Access Denied" of Athena. Guess: the parenthesis.
            raise QueryFailedError(
                f"Access denied when writing output to url: {query.location} ({denied})", 401
            )
        if query.is_select:
            content = csv([one["Name"] for one in query.columns], query.rows)
        else:
            content = "\n".join("\t".join(value or "" for value in row) for row in query.rows).encode()
        self._s3.put_object(bucket, key, content)


@contextmanager
def _duckdb(query: Query) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    _connections[query.id] = connection
    try:
        # Times of Athena are in UTC.
        connection.execute(
            "SET threads = 2; SET memory_limit = '1GB'; SET TimeZone = 'UTC'; SET integer_division = true"
        )
        yield connection
    finally:
        del _connections[query.id]
        connection.close()


def _result(
    connection: duckdb.DuckDBPyConnection, statement: Select, parameters: list[str]
) -> tuple[list[Json], Rows]:
    try:
        connection.execute(statement.for_duckdb(parameters))
        rows = connection.fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        raise _failure(statement, str(error)) from None
    columns = [column_info(name, str(kind)) for name, kind, *_ in connection.description or []]
    return columns, [[text(value) for value in row] for row in rows]


def _failure(statement: Select, message: str) -> QueryFailedError:
    if found := re.search(r'Referenced column "([^"]+)" not found', message):
        # Source: aws-samples/aiml-genai-multimodal-agent#17.
        return QueryFailedError(
            f"COLUMN_NOT_FOUND: {statement.at_column(found[1])}: Column '{found[1]}' cannot be resolved or "
            "requester is not authorized to access requested resources",
            1006,
        )
    if found := re.search(r"Function with name (\S+) does not exist", message):
        # Source: Trino's FUNCTION_NOT_FOUND. Guess: the position.
        return QueryFailedError(f"FUNCTION_NOT_FOUND: line 1:8: Function '{found[1]}' not registered", 1303)
    # Guess: code and wording, which are DuckDB's.
    return QueryFailedError(f"GENERIC_USER_ERROR: {message.splitlines()[0]}")
