"""Statements on a connection of any driver, untouched by what the application set on it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Any, Generator, Iterator, Protocol


class Connection(Protocol):
    """An open connection of sqlite3, apsw or pysqlite3."""

    def cursor(self) -> Any:
        """A cursor, as all three drivers have it."""


def driver_of(conn: object) -> Any:
    """The driver's module, also for a connection class of the application; None for no driver's."""
    for kind in type(conn).__mro__:
        if kind.__module__.partition(".")[0] in ("sqlite3", "pysqlite3", "apsw"):
            return sys.modules[kind.__module__]
    return None


def in_transaction(conn: Connection) -> bool:
    """Whether a transaction is open; False where the connection cannot tell."""
    return bool(getattr(conn, "in_transaction", False))


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


def rows(conn: Connection, sql: str, *args: Any) -> Generator[tuple[Any, ...], None, None]:
    """The rows of one statement as plain tuples, one by one.

    Name expressions, +column: sqlite3 converts what comes from a column with a declared type, when
    the application told it to.
    """
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
