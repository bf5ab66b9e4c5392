"""Statements on a connection of any driver, untouched by what the application set on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Protocol


class Connection(Protocol):
    """An open connection of sqlite3, apsw or pysqlite3."""

    def cursor(self) -> Any:
        """A cursor, as all three drivers have it."""


@contextmanager
def _text_as_str(conn: Connection) -> Iterator[None]:
    # Text that arrived as bytes would be inserted elsewhere as a BLOB.
    factory = getattr(conn, "text_factory", str)
    if factory is str:
        yield
        return
    setattr(conn, "text_factory", str)
    try:
        yield
    finally:
        setattr(conn, "text_factory", factory)


def rows(conn: Connection, sql: str, *args: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of one statement as plain tuples, one by one."""
    cursor = conn.cursor()
    if hasattr(cursor, "row_trace"):  # apsw
        cursor.row_trace = lambda _, row: row
    else:
        cursor.row_factory = None
    try:
        with _text_as_str(conn):
            cursor.execute(sql, args)
        while True:
            with _text_as_str(conn):
                row = cursor.fetchone()
            if row is None:
                return
            yield row
    finally:
        cursor.close()


def value(conn: Connection, sql: str, *args: Any) -> Any:
    """The one value that a statement gives; the statement is done when this returns."""
    [(result,)] = rows(conn, sql, *args)
    return result
