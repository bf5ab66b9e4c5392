"""Tells which tables were changed. crsql takes no hooks, so this looks, again and again."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Callable

from ._again import opener_of
from ._load import load
from ._sql import Connection, in_transaction, rows, value

_LOG = logging.getLogger("crsql")
# The first number moves with every commit of others, the second with every write of our own.
_MARK = "SELECT data_version, total_changes() FROM pragma_data_version"
_TABLES = 'SELECT DISTINCT +"table" FROM crsql_changes WHERE since = ?'


class Watch:
    """A running watch, made by `Replica.watch`. As a context manager it stops at the end."""

    def __init__(
        self,
        conn: Connection,
        callback: Callable[[list[str]], object],
        interval: float | None,
        open_again: Callable[[], Connection] | None,
    ) -> None:
        _check(callback, interval, open_again)
        self._callback = callback
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._conn: Any = conn
        if interval is None:
            self._begin(conn)
            return
        begun: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run,
            args=(interval, open_again or opener_of(conn), begun),
            name="crsql-watch",
            daemon=True,
        )
        self._thread.start()
        try:
            begun.result()
        except BaseException:
            self._stopped.set()
            if begun.done():
                self._thread.join()
            raise

    def _begin(self, conn: Connection) -> None:
        self._mark = _mark_of(conn)
        self._vector = value(conn, "SELECT crsql_vector()")

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

    def _look(self) -> list[str]:
        mark = _mark_of(self._conn)
        if mark == self._mark:
            return []
        try:
            # The new vector comes first: a commit between the two is told twice, not never.
            vector = value(self._conn, "SELECT crsql_vector()")
            tables = sorted(name for (name,) in rows(self._conn, _TABLES, self._vector))
        except Exception:
            # Refused while the open transaction has written over committed rows.
            if in_transaction(self._conn):
                return []
            raise
        self._vector = vector
        # A COMMIT need not move the mark, so an open transaction is looked at again.
        if not in_transaction(self._conn):
            self._mark = mark
        return tables

    def _run(
        self, interval: float, open_again: Callable[[], Connection], begun: Future[None]
    ) -> None:
        # The connection is opened, used and closed in this thread: sqlite3 wants it so.
        try:
            self._conn = self._open(open_again)
        except BaseException as error:
            begun.set_exception(error)
            return
        begun.set_result(None)
        try:
            self._look_until_stopped(interval)
        finally:
            self._conn.close()

    def _open(self, open_again: Callable[[], Connection]) -> Any:
        conn: Any = open_again()
        if conn is self._conn:
            raise ValueError("open gave the replica's own connection; it has to open another one")
        try:
            load(conn)
            self._begin(conn)
        except BaseException:
            getattr(conn, "close", lambda: None)()
            raise
        return conn

    def _look_until_stopped(self, interval: float) -> None:
        trouble = ""
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

    def _call_back(self, tables: list[str]) -> None:
        try:
            self._callback(tables)
        except Exception:
            _LOG.exception("the callback of a crsql watch failed for %s", tables)


def _mark_of(conn: Connection) -> tuple[Any, ...]:
    [mark] = rows(conn, _MARK)
    return mark


def _check(callback: object, interval: object, open_again: object) -> None:
    """Refuses what would fail in the thread, where nobody sees it, or keep it turning."""
    if not callable(callback):
        raise TypeError(f"callback has to be a function, and this is {callback!r}")
    if open_again is not None and not callable(open_again):
        raise TypeError(f"open has to be a function that opens the file, not {open_again!r}")
    if interval is None:
        if open_again is not None:
            raise ValueError("open is for the thread, and with interval=None there is none")
        return
    if not isinstance(interval, (int, float)):
        raise TypeError(f"interval is in seconds, or None for poll(), and this is {interval!r}")
    # Not a number fails this too.
    if not 0 < interval <= threading.TIMEOUT_MAX:
        raise ValueError(
            f"interval is in seconds, more than 0 and at most {threading.TIMEOUT_MAX:.0f}, and this"
            f" is {interval!r}"
        )
