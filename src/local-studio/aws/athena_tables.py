"""Tables of the Glue Data Catalog, which DuckDB reads from the files at their location.

CSV, JSON and Parquet, in the table's location or in those of its partitions. A query reads all files of a
table, whatever it asks for, so it scans more than Athena would.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from athena_sql import QueryFailedError

Json = dict[str, Any]


@dataclass
class Location:
    """Files of a table or of a partition."""

    bucket: str
    prefix: str
    partition: list[str]
    files: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass
class Table:
    database: str
    name: str
    definition: Json
    """`Table` of Glue's GetTable."""
    locations: list[Location]

    @property
    def size(self) -> int:
        return sum(len(content) for location in self.locations for _, content in location.files)


def locations(definition: Json, partitions: list[Json]) -> list[Location]:
    """Where the files are. Partition projection is not known."""
    if not definition.get("PartitionKeys"):
        return [_location(definition.get("StorageDescriptor", {}).get("Location", ""), [])]
    if definition.get("Parameters", {}).get("projection.enabled", "").lower() == "true":
        # Guess: the wording. Athena supports it.
        raise QueryFailedError(f"The local AWS does not support partition projection: {definition['Name']}")
    return [_location(one["StorageDescriptor"]["Location"], one["Values"]) for one in partitions]


def _location(uri: str, partition: list[str]) -> Location:
    bucket, _, prefix = uri.partition("://")[2].partition("/")
    return Location(bucket, prefix if prefix.endswith("/") or not prefix else f"{prefix}/", partition)


def is_data(key: str, size: int) -> bool:
    """Amazon Athena User Guide, "Specify a table location in Amazon S3": names that begin with an underscore
    or a dot are hidden."""
    return size > 0 and not key.rsplit("/", 1)[-1].startswith(("_", "."))


def load(connection: duckdb.DuckDBPyConnection, table: Table, folder: Path) -> None:
    """Creates the table in DuckDB, with its rows."""
    columns = table.definition.get("StorageDescriptor", {}).get("Columns", [])
    keys = table.definition.get("PartitionKeys") or []
    selects = list(_selects(connection, table, folder, columns, keys))
    empty = ", ".join(f"CAST(NULL AS {_type(one)}) AS {_name(one['Name'])}" for one in [*columns, *keys])
    selects.append(f"SELECT {empty} WHERE false")
    schema, name = _name(table.database), _name(table.name)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    connection.execute(f"CREATE TABLE {schema}.{name} AS {' UNION ALL '.join(selects)}")


def _selects(
    connection: duckdb.DuckDBPyConnection, table: Table, folder: Path, columns: list[Json], keys: list[Json]
) -> Iterator[str]:
    source = _reader(table.definition, columns)
    for number, location in enumerate(table.locations):
        paths = []
        for index, (key, content) in enumerate(location.files):
            # The end of the name says how the file is compressed.
            path = folder / f"{table.database}-{table.name}-{number}-{index}-{key.rsplit('/', 1)[-1]}"
            path.write_bytes(content)
            paths.append(str(path))
        if not paths:
            continue
        files = source.replace("{files}", f"[{', '.join(map(_literal, paths))}]")
        found = connection.sql(f"FROM {files}").columns
        present = {one.lower(): one for one in found}
        values = [_cast(one, present.get(one["Name"].lower())) for one in columns]
        values += [
            f"CAST({_literal(value)} AS {_type(key)}) AS {_name(key['Name'])}"
            for key, value in zip(keys, location.partition, strict=True)
        ]
        yield f"SELECT {', '.join(values)} FROM {files}"  # noqa: S608 - names and texts are quoted


def _cast(column: Json, found: str | None) -> str:
    """A column that a file does not have is NULL, and so is a value that is not of its type."""
    value = "NULL" if found is None else _name(found)
    return f"TRY_CAST({value} AS {_type(column)}) AS {_name(column['Name'])}"


def _reader(definition: Json, columns: list[Json]) -> str:
    """DuckDB's function for the table's format, with `{files}` for the list of its files."""
    serde = definition.get("StorageDescriptor", {}).get("SerdeInfo", {})
    library = serde.get("SerializationLibrary", "")
    parameters = {**definition.get("Parameters", {}), **serde.get("Parameters", {})}
    if "parquet" in library.lower():
        return "read_parquet({files}, union_by_name = true)"
    if "json" in library.lower():
        names = ", ".join(f"{_literal(one['Name'])}: {_literal(_type(one))}" for one in columns)
        return f"read_json({{files}}, format = 'newline_delimited', columns = {{{names}}})"
    if library.endswith(("OpenCSVSerde", "LazySimpleSerDe")):
        is_open = library.endswith("OpenCSVSerde")
        delimiter = parameters.get("separatorChar", ",") if is_open else _delimiter(parameters)
        quote = parameters.get("quoteChar", '"') if is_open else ""
        names = ", ".join(f"{_literal(one['Name'])}: 'VARCHAR'" for one in columns)
        return (
            f"read_csv({{files}}, auto_detect = false, header = false, null_padding = true, nullstr = '\\N', "
            f"skip = {int(parameters.get('skip.header.line.count', 0))}, delim = {_literal(delimiter)}, "
            f"quote = {_literal(quote)}, escape = {_literal(quote)}, columns = {{{names}}})"
        )
    # Guess: the wording. Athena reads further formats.
    raise QueryFailedError(
        f"The local AWS reads CSV, JSON and Parquet. {definition['Name']} has {library or 'no SerDe'}."
    )


def _delimiter(parameters: Json) -> str:
    """Amazon Athena User Guide, "Lazy Simple SerDe for CSV, TSV, and custom-delimited files"."""
    found = str(parameters.get("field.delim") or parameters.get("serialization.format") or "\x01")
    return "\x01" if found == "1" else found.replace("\\t", "\t")


def _type(column: Json) -> str:
    return exp.DataType.build(column.get("Type", "string"), dialect="hive").sql(dialect="duckdb")


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
