"""Opening the file of a connection once more, as a watch does for its thread.

Two connections whose locks do not see each other corrupt a file. So a file that was opened with
other locks than SQLite's usual ones is not opened by us, where that can be known.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

from ._sql import Connection, driver_of, rows

_BUSY_SECONDS_MAX = 5
# A reader holds its lock while a statement stands on a row; there are more than it fetches.
_READ = "SELECT 1 FROM sqlite_schema UNION ALL VALUES (2), (3), (4)"
_WAY_OUT = (
    " give watch a function that opens it in the same way, open=..., or interval=None and call"
    " poll()"
)


def opener_of(conn: Connection) -> Callable[[], Connection]:
    """What opens the connection's file once more, in any thread."""
    names = {name: file for _, name, file in rows(conn, "PRAGMA database_list")}
    if not names["main"]:
        raise ValueError(
            "a database in memory is seen by its own connection only:"
            " give interval=None and call poll()"
        )
    file = Path(names["main"])
    # The same driver, as it brings its own copy of SQLite: two copies that have one file open in
    # one process take each other's locks away.
    driver = driver_of(conn)
    if driver is None:
        raise TypeError(
            "a watch opens a connection of its own, and knows no driver for"
            f" {type(conn).__qualname__};{_WAY_OUT}"
        )
    if _has_other_locks(conn, driver, file):
        raise ValueError(
            f"{file} was opened with other locks than SQLite's usual ones (vfs=, nolock=1), which a"
            " second connection of crsql's would not see, and two such writers corrupt it;"
            + _WAY_OUT
        )
    return lambda: _open(driver, file, "rw")


def _open(driver: Any, file: Path, mode: str) -> Any:
    uri = f"{file.as_uri()}?mode={mode}"
    if driver.__name__ != "apsw":
        return driver.connect(uri, uri=True, timeout=_BUSY_SECONDS_MAX, isolation_level=None)
    flag = driver.SQLITE_OPEN_READONLY if mode == "ro" else driver.SQLITE_OPEN_READWRITE
    conn = driver.Connection(uri, flag | driver.SQLITE_OPEN_URI)
    conn.set_busy_timeout(_BUSY_SECONDS_MAX * 1000)
    return conn


def _has_other_locks(conn: Any, driver: Any, file: Path) -> bool:
    """Whether the connection surely locks the file in another way than one that we open."""
    if hasattr(conn, "vfsname") and conn.vfsname("main") != driver.vfs_names()[0]:
        return True
    # Here a read would begin a transaction, and keep others from writing until its end.
    if getattr(conn, "autocommit", None) is False:
        return False
    try:
        if _is_locked_by_reading(conn, file) is not False:
            return False
    except driver.Error:  # Another one is writing, and the connection has no timeout.
        return False
    # It took no lock that the system tells of. That means something if one of ours is told of; it
    # only reads, as a writer would take the journal of a running transaction for a crash's.
    ours = _open(driver, file, "ro")
    try:
        return _is_locked_by_reading(ours, file) is True
    finally:
        ours.close()


def _is_locked_by_reading(conn: Connection, file: Path) -> bool | None:
    """Whether this process has a lock on the file while the connection reads; None is unknown."""
    reading = rows(conn, _READ)
    next(reading)
    try:
        # Not by opening the file: closing it again would take this process's locks away.
        end = f":{file.stat().st_ino}"
        with open("/proc/locks", encoding="ascii") as locks:
            held = [line.split() for line in locks]
    except OSError:
        return None
    finally:
        reading.close()
    pid = str(os.getpid())
    return any(pid in words and any(word.endswith(end) for word in words) for words in held)
