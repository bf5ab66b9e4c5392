"""A replica: what a program does with a database that crsql keeps in step with others."""

from __future__ import annotations

import json
from typing import Any, Callable, Generator, NamedTuple, TypedDict, cast, overload

from ._load import load
from ._sql import Connection, in_transaction, rows, value
from ._watch import Watch

_BYTES_MAX = 16 * 1024 * 1024
_CHANGES = (
    'SELECT +"table", +pk, +cid, +val, +col_version, +db_version, +site_id, +cl, +seq'
    " FROM crsql_changes"
)


class Change(NamedTuple):
    """A row of `crsql_changes`: the columns that an INSERT into it takes, in their order."""

    table: str
    pk: bytes
    cid: str
    val: int | float | str | bytes | None
    col_version: int
    db_version: int
    site_id: bytes
    cl: int
    seq: int


class Report(TypedDict):
    """What `apply` did with a changeset."""

    applied: int
    superseded: int
    held: int
    tables: list[str]
    cut: list[dict[str, Any]]
    new: bool
    vector: dict[str, Any]


class Replica:
    """A database that is replicated, over an open connection of sqlite3, apsw or pysqlite3.

    Loads crsql where the connection does not have it. It begins, commits and closes nothing:
    inside an open transaction what it does is part of that transaction. Use it in the threads
    that the connection allows. What crsql refuses is raised as the driver's own error. Raises
    TypeError for what is no connection of a driver.
    """

    def __init__(self, conn: Connection) -> None:
        load(conn)
        self.conn: Any = conn

    def enable(self, table: str) -> None:
        """Makes a table replicated; does nothing where it is."""
        value(self.conn, "SELECT crsql_as_crr(?)", table)

    def vector(self) -> str:
        """What this replica has seen, committed transactions only, as JSON text."""
        return cast(str, value(self.conn, "SELECT crsql_vector()"))

    def pull(self, since: str | None = None, max_bytes: int = _BYTES_MAX) -> bytes | None:
        """What `since`, a vector, has not seen, as a changeset; None when that is nothing.

        Without a vector it is everything. A changeset ends between two transactions when it has
        grown to `max_bytes`: ask again, with the vector after that. Refused while this
        connection's open transaction has written over committed rows.
        """
        blob = value(self.conn, "SELECT crsql_changeset(?, ?)", since, max_bytes)
        return cast("bytes | None", blob)

    @overload
    def apply(self, blob: bytes) -> Report: ...

    @overload
    def apply(self, blob: None) -> None: ...

    def apply(self, blob: bytes | None) -> Report | None:
        """Merges a changeset, all of it or nothing, and reports. A second time changes nothing.

        None, which `pull` gives when nothing is new, merges nothing and gives None.
        """
        if blob is None:
            return None
        return cast(Report, json.loads(value(self.conn, "SELECT crsql_apply(?)", blob)))

    def changes(self, since: str | None = None) -> Generator[Change, None, None]:
        """The changes that `since`, a vector, has not seen, one by one; without it all.

        The statement runs from the first change to the last one: until then, or until the
        iterator is closed, the connection is reading.
        """
        if since is None:
            found = rows(self.conn, _CHANGES)
        else:
            found = rows(self.conn, f"{_CHANGES} WHERE since = ?", since)
        for row in found:
            yield Change._make(row)

    def watch(
        self,
        callback: Callable[[list[str]], object],
        interval: float | None = 0.2,
        open: Callable[[], Connection] | None = None,
    ) -> Watch:
        """Calls back with the names of tables that were changed, whoever changed them.

        A daemon thread looks every `interval` seconds, over a connection of its own, until
        `stop()`; the callback runs in it. With `interval=None` there is no thread: call `poll()`.

        A file that was opened in a way of its own, as with `vfs=`, has to be opened so again: give
        `open`, a function without arguments, which the thread calls once; it closes what it gets.
        Raises ValueError where a second connection would see another database or other locks.
        """
        return Watch(self.conn, callback, interval, open)


def sync(a: Replica, b: Replica) -> None:
    """Brings two replicas together, both ways. Stopped halfway, it goes on where it was.

    Raises RuntimeError while a transaction is open on either connection, and has done nothing then:
    a vector tells of committed transactions only, so the same part would come again and again.
    """
    if in_transaction(a.conn) or in_transaction(b.conn):
        raise RuntimeError(
            "crsql.sync: a transaction is open on one of the two; COMMIT it first, or use pull and"
            " apply inside it"
        )
    for source, target in ((a, b), (b, a)):
        while (blob := source.pull(target.vector())) is not None:
            if not target.apply(blob)["new"]:
                break
