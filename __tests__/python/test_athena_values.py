"""Values and types are written as Athena writes them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from athena_values import column_info, csv, text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", ""),
        (True, "true"),
        (1, "1"),
        (1.5, "1.5"),
        (0.0, "0.0"),
        (1234567.0, "1234567.0"),
        (12345678.0, "1.2345678E7"),
        (1e20, "1.0E20"),
        (1e-7, "1.0E-7"),
        (-0.001, "-0.001"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (Decimal("10.50"), "10.50"),
        (b"\x01\x02", "01 02"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, 678900), "2026-01-02 03:04:05.678"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00.000 UTC"),
        (["a", None], "[a, null]"),
        ({"id": 1, "name": "x"}, "{id=1, name=x}"),
    ],
)
def test_values(value: Any, expected: str | None) -> None:
    assert text(value) == expected


@pytest.mark.parametrize(
    ("duckdb_type", "expected"),
    [
        ("INTEGER", ("integer", 10, 0)),
        ("HUGEINT", ("bigint", 19, 0)),
        ("DECIMAL(10,2)", ("decimal", 10, 2)),
        ("VARCHAR", ("varchar", 2147483647, 0)),
        ("DECIMAL(10,2)[]", ("array", 0, 0)),
        ("STRUCT(a INTEGER)", ("row", 0, 0)),
        ("MAP(VARCHAR, INTEGER)", ("map", 0, 0)),
        ("UUID", ("varchar", 2147483647, 0)),
    ],
)
def test_types(duckdb_type: str, expected: tuple[str, int, int]) -> None:
    info = column_info("a", duckdb_type)
    assert (info["Type"], info["Precision"], info["Scale"]) == expected


def test_a_csv_file_tells_null_from_an_empty_text() -> None:
    assert csv(["a", "b", "c"], [['say "x"', None, ""]]) == b'"a","b","c"\n"say ""x""",,""\n'
