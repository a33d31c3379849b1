"""Athena's statements, as DuckDB runs them: sqlglot parses one dialect and writes the other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

_SHOW = re.compile(
    r"\s*show\s+(?:(databases|schemas)|tables(?:\s+(?:in|from)\s+[`\"]?([\w-]+)[`\"]?)?)\s*;?\s*", re.I
)
# Amazon Athena User Guide, "SQL reference for Athena".
_STATEMENTS = (
    *("ALTER", "ANALYZE", "CREATE", "DEALLOCATE", "DELETE", "DESCRIBE", "DROP", "EXECUTE", "EXPLAIN"),
    *("INSERT", "MERGE", "MSCK", "OPTIMIZE", "PREPARE", "SHOW", "UNLOAD", "UPDATE", "USE", "VACUUM"),
)
_QUERIES = ("(", "SELECT", "VALUES", "WITH")
_NAMED = (exp.Alias, exp.Column, exp.Dot, exp.Star)


class MalformedQueryError(Exception):
    """StartQueryExecution refuses the statement."""


class QueryFailedError(Exception):
    """The query fails. `kind` is AWS's number of the kind of error."""

    def __init__(self, reason: str, kind: int = 1000) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class TableName:
    database: str
    name: str
    at: str
    """Where the statement names it, such as `line 1:15`."""


@dataclass(frozen=True)
class Show:
    """SHOW DATABASES, or SHOW TABLES of a database."""

    tables: bool
    database: str | None


@dataclass(frozen=True)
class Select:
    sql: str
    tree: exp.Query

    def tables(self, database: str | None) -> list[TableName]:
        """The tables that it reads. They are then named by database and table."""
        return list({(one.database, one.name): one for one in self._tables(database)}.values())

    def _tables(self, database: str | None) -> Iterator[TableName]:
        for table in list(self.tree.find_all(exp.Table)):
            if not isinstance(table.this, exp.Identifier) or _is_common_table(table):
                continue
            at = self._at(table.parts[0])
            if table.catalog and table.catalog.lower() != "awsdatacatalog":
                # Source: Dandandan/dbt-athena#17. Guess: the code of engine version 3, which is Trino's.
                raise QueryFailedError(f"CATALOG_NOT_FOUND: {at}: Catalog '{table.catalog}' does not exist")
            name = (table.db or database or "").lower()
            if not name:
                # Source: Trino's MISSING_SCHEMA_NAME. Guess: that Athena says the same.
                raise QueryFailedError(
                    f"MISSING_SCHEMA_NAME: {at}: Schema must be specified when session schema is not set"
                )
            yield TableName(name, table.name.lower(), at)
            table.set("catalog", None)
            table.set("db", exp.to_identifier(name, quoted=True))

    def _at(self, part: exp.Expr) -> str:
        start = part.meta.get("start", 0)
        return f"line {self.sql.count(chr(10), 0, start) + 1}:{start - self.sql.rfind(chr(10), 0, start)}"

    def at_column(self, name: str) -> str:
        found = (one for one in self.tree.find_all(exp.Column) if one.name.lower() == name.lower())
        column = next(found, None)
        return self._at(column.parts[0]) if column else "line 1:1"

    def for_duckdb(self, parameters: list[str]) -> str:
        tree = self.tree.copy()
        for place, value in zip(list(tree.find_all(exp.Placeholder)), parameters, strict=False):
            place.replace(_parameter(value))
        for index, column in enumerate(tree.selects):
            if not isinstance(column, _NAMED):
                column.replace(exp.alias_(column.copy(), f"_col{index}"))
        for literal in list(tree.find_all(exp.Literal)):
            # Source: aoyagikouhei/athena-local, README.md: a number with a point is a double.
            if not literal.is_string and "." in literal.name:
                literal.replace(exp.cast(literal.copy(), "double"))
        return tree.sql(dialect="duckdb")


def parse(sql: str) -> Select | Show:
    if found := _SHOW.fullmatch(sql):
        return Show(not found[1], found[2])
    try:
        # The first tokens have no text: they say which of Athena's two parsers is meant.
        words = [token for token in sqlglot.tokenize(sql, dialect="athena") if token.text]
        word = words[0].text if words else "<EOF>"
        if word.upper() in _STATEMENTS:
            # Guess: the wording. Athena also runs these.
            raise MalformedQueryError(
                f"The local AWS runs SELECT, SHOW TABLES and SHOW DATABASES, not {word}."
            )
        if word.upper() not in _QUERIES:
            # Source: guardian/athena-cli#39. Guess: what is expected.
            raise MalformedQueryError(f"line 1:1: mismatched input '{word}'. Expecting: 'SELECT', 'WITH'")
        trees = [tree for tree in sqlglot.parse(sql, dialect="athena") if tree is not None]
    except ParseError as error:
        problem: dict[str, Any] = error.errors[0]
        text = problem["highlight"] or "<EOF>"
        column = max(problem["col"] - len(text) + 1, 1)
        expected = problem["description"].removeprefix("Expected ").partition(" but got")[0]
        # Source: guardian/athena-cli#39. Guess: what is expected.
        raise MalformedQueryError(
            f"line {problem['line']}:{column}: mismatched input '{text}'. Expecting: {expected}"
        ) from None
    except SqlglotError as error:
        # Guess: the wording.
        raise MalformedQueryError(f"line 1:1: {error}") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        # Guess: the wording.
        raise MalformedQueryError("Only one sql statement is allowed.")
    return Select(sql, trees[0])


def _is_common_table(table: exp.Table) -> bool:
    """Whether a WITH around it defines it."""
    node: exp.Expr | None = None if table.db else table.parent
    while node:
        if isinstance(node, exp.Query) and any(one.alias.lower() == table.name.lower() for one in node.ctes):
            return True
        node = node.parent
    return False


def _parameter(value: str) -> exp.Expr:
    """What is not an expression, or names a column, is text (aoyagikouhei/athena-local, README.md)."""
    try:
        tree = sqlglot.parse_one(value, dialect="athena")
    except SqlglotError:
        return exp.Literal.string(value)
    return exp.Literal.string(value) if tree.find(exp.Column) else tree
