"""How Athena writes types and values.

Source: aoyagikouhei/athena-local, README.md, which measured Athena. Guess: types of DuckDB that Athena does
not have are varchar.
"""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

_TYPES = {
    "BOOLEAN": ("boolean", 0),
    "TINYINT": ("tinyint", 3),
    "SMALLINT": ("smallint", 5),
    "INTEGER": ("integer", 10),
    **dict.fromkeys(("BIGINT", "HUGEINT", "UINTEGER", "UBIGINT"), ("bigint", 19)),
    "FLOAT": ("float", 17),
    "DOUBLE": ("double", 17),
    "DATE": ("date", 0),
    "TIMESTAMP": ("timestamp", 3),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", 3),
    "BLOB": ("varbinary", 1073741824),
}
_VARCHAR = ("varchar", 2147483647)
_NESTED = (("[]", "array"), ("MAP(", "map"), ("STRUCT(", "row"))


def column_info(name: str, duckdb_type: str) -> dict[str, Any]:
    """A `ColumnInfo` of GetQueryResults."""
    kind, precision = _TYPES.get(duckdb_type, _VARCHAR)
    scale = 0
    if found := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", duckdb_type):
        kind, precision, scale = "decimal", int(found[1]), int(found[2])
    for mark, nested in _NESTED:
        if duckdb_type.endswith(mark) or duckdb_type.startswith(mark):
            kind, precision = nested, 0
            break
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": kind,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": kind == "varchar",
    }


def text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case float():
            return _double(value)
        case Decimal():
            return format(value, "f")
        case bytes():
            return value.hex(" ")
        case datetime():
            zone = " UTC" if value.tzinfo else ""
            utc = value.astimezone(UTC) if value.tzinfo else value
            return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d}{zone}"
        case date():
            return value.isoformat()
        case list() | tuple():
            return f"[{', '.join(map(_inner, value))}]"
        case dict():
            return f"{{{', '.join(f'{_inner(key)}={_inner(one)}' for key, one in value.items())}}}"
    return str(value)


def _inner(value: Any) -> str:
    found = text(value)
    return "null" if found is None else found


def _double(value: float) -> str:
    """As Java writes it: 1.5, 1.0E20."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    exact = Decimal(repr(value))
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        plain = format(exact, "f")
        return plain if "." in plain else f"{plain}.0"
    mantissa, _, exponent = f"{exact.normalize():E}".partition("E")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}E{int(exponent)}"


def csv(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> bytes:
    """Every value is in quotes. NULL is an empty field."""
    lines = (",".join(map(_quoted, row)) for row in [names, *rows])
    return "".join(f"{line}\n" for line in lines).encode()


def _quoted(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'
