"""Athena's metadata of the Glue Data Catalog: databases and tables."""

from typing import Any

from athena_tables import Json


def database_of(database: Any) -> Json:
    parts = {"Description": database.input.get("Description"), "Parameters": database.input.get("Parameters")}
    return {"Name": database.name, **{name: part for name, part in parts.items() if part}}


def metadata_of(table: Json) -> Json:
    storage = table.get("StorageDescriptor", {})
    serde = storage.get("SerdeInfo", {})
    parameters = {
        **table.get("Parameters", {}),
        "location": storage.get("Location"),
        "inputformat": storage.get("InputFormat"),
        "outputformat": storage.get("OutputFormat"),
        "serde.serialization.lib": serde.get("SerializationLibrary"),
        **{f"serde.param.{name}": value for name, value in serde.get("Parameters", {}).items()},
    }
    return {
        "Name": table["Name"],
        "CreateTime": table["CreateTime"],
        "TableType": table.get("TableType") or "EXTERNAL_TABLE",
        "Columns": [_column(one) for one in storage.get("Columns", [])],
        "PartitionKeys": [_column(one) for one in table.get("PartitionKeys") or []],
        "Parameters": {name: str(value) for name, value in parameters.items() if value is not None},
    }


def _column(column: Json) -> Json:
    return {name: column[name] for name in ("Name", "Type", "Comment") if column.get(name)}


def not_found(kind: str, name: str) -> str:
    return (
        f"EntityNotFoundException: {kind} {name} not found. (Service: AmazonDataCatalog; Status Code: 400; "
        "Error Code: EntityNotFoundException)"
    )
