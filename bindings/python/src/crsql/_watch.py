"""Tells which tables were changed. crsql takes no hooks, so this looks, again and again."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

from ._load import load
from ._sql import Connection, rows, value

_LOG = logging.getLogger("crsql")
# The first number moves with every commit of others, the second with every write of our own.
_MARK = "SELECT data_version, total_changes() FROM pragma_data_version"
_TABLES = 'SELECT DISTINCT "table" FROM crsql_changes WHERE since = ?'
_BUSY_SECONDS_MAX = 5


class Watch:
    """A running watch, made by `Replica.watch`. As a context manager it stops at the end."""

    def __init__(
        self,
        conn: Connection,
        callback: Callable[[list[str]], object],
        interval: float | None,
    ) -> None:
        self._callback = callback
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._conn: Any = conn
        if interval is not None:
            self._conn = _open_again(conn)
        self._mark = self._look_mark()
        self._vector = value(self._conn, "SELECT crsql_vector()")
        if interval is not None:
            self._thread = threading.Thread(
                target=self._run, args=(interval,), name="crsql-watch", daemon=True
            )
            self._thread.start()

    def poll(self) -> list[str]:
        """Looks now, over the replica's connection; gives the tables, after calling back.

        Only for a watch with `interval=None`. What is not committed is told after its COMMIT.
        What the callback raises comes through, and those tables are not told again.
        """
        if self._thread is not None:
            raise RuntimeError("this watch has a thread that looks; poll() is for interval=None")
        if self._stopped.is_set():
            return []
        tables = self._look()
        if tables:
            self._callback(tables)
        return tables

    def stop(self) -> None:
        """Ends the watch; once more does nothing. When it returns, no call back is running.

        It waits for one that is, unless it is called from within it.
        """
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _look_mark(self) -> tuple[Any, ...]:
        [mark] = rows(self._conn, _MARK)
        return mark

    def _look(self) -> list[str]:
        mark = self._look_mark()
        if mark == self._mark:
            return []
        try:
            # The new vector comes first: a commit between the two is told twice, not never.
            vector = value(self._conn, "SELECT crsql_vector()")
            tables = sorted(name for (name,) in rows(self._conn, _TABLES, self._vector))
        except Exception:
            # Refused while the open transaction has written over committed rows.
            if self._conn.in_transaction:
                return []
            raise
        self._vector = vector
        # A COMMIT need not move the mark, so an open transaction is looked at again.
        if not self._conn.in_transaction:
            self._mark = mark
        return tables

    def _run(self, interval: float) -> None:
        trouble = ""
        try:
            while not self._stopped.wait(interval):
                try:
                    tables = self._look()
                    trouble = ""
                except Exception as error:
                    # Told once, and tried again: a lock passes, and so does an open migration.
                    if str(error) != trouble:
                        trouble = str(error)
                        _LOG.warning("crsql cannot watch just now: %s", trouble)
                    continue
                if tables and not self._stopped.is_set():
                    self._call_back(tables)
        finally:
            self._conn.close()

    def _call_back(self, tables: list[str]) -> None:
        try:
            self._callback(tables)
        except Exception:
            _LOG.exception("the callback of a crsql watch failed for %s", tables)


def _open_again(conn: Connection) -> Any:
    """A second connection to the file of another one, for a thread of its own."""
    names = {name: file for _, name, file in rows(conn, "PRAGMA database_list")}
    if not names["main"]:
        raise ValueError(
            "a database in memory is seen by its own connection only:"
            " give interval=None and call poll()"
        )
    uri = Path(names["main"]).as_uri() + "?mode=rw"
    driver = _driver_of(conn)
    again: Any
    if driver.__name__ == "apsw":
        again = driver.Connection(uri, driver.SQLITE_OPEN_READWRITE | driver.SQLITE_OPEN_URI)
        again.set_busy_timeout(_BUSY_SECONDS_MAX * 1000)
    else:
        again = driver.connect(
            uri,
            uri=True,
            timeout=_BUSY_SECONDS_MAX,
            isolation_level=None,
            check_same_thread=False,
        )
    try:
        load(again)
    except BaseException:
        again.close()
        raise
    return again


def _driver_of(conn: Connection) -> Any:
    # The same driver, as it brings its own copy of SQLite: two copies that have one file open in
    # one process take each other's locks away. A connection class of the application is looked
    # through to the driver's.
    for kind in type(conn).__mro__:
        if kind.__module__.partition(".")[0] in ("sqlite3", "pysqlite3", "apsw"):
            return sys.modules[kind.__module__]
    raise TypeError(
        f"a watch opens a connection of its own, and knows no driver for {type(conn).__qualname__};"
        " give interval=None and call poll()"
    )
