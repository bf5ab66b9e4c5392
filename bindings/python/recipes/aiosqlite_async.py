"""crsql under aiosqlite: pull and apply without blocking the event loop.

aiosqlite keeps its sqlite3 connection in a thread of its own. A connection class that loads crsql
brings it there, and what `Replica` does is SQL, so it is awaited like any other statement.

    pip install crsql aiosqlite
    python aiosqlite_async.py
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiosqlite
import crsql


class Connection(sqlite3.Connection):
    """A connection that has crsql from the beginning."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        crsql.load(self)


def connect(file: Path) -> AbstractAsyncContextManager[aiosqlite.Connection]:
    """As aiosqlite.connect, with crsql; every statement outside BEGIN commits by itself."""
    return aiosqlite.connect(file, factory=Connection, isolation_level=None)


async def value(db: aiosqlite.Connection, sql: str, *args: Any) -> Any:
    """The one value that a statement gives."""
    [row] = await db.execute_fetchall(sql, args)
    return row[0]


async def pull(source: aiosqlite.Connection, target: aiosqlite.Connection) -> None:
    """Target takes all that it lacks from source."""
    while True:
        vector = await value(target, "SELECT crsql_vector()")
        blob = await value(source, "SELECT crsql_changeset(?, ?)", vector, 16 << 20)
        if blob is None:
            return
        if not await value(target, "SELECT crsql_apply(?) ->> 'new'", blob):
            return


async def main() -> None:
    """Two devices, written to at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        async with connect(Path(folder, "a.db")) as a, connect(Path(folder, "b.db")) as b:
            for db in (a, b):
                await db.execute("CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body TEXT)")
                await value(db, "SELECT crsql_as_crr('note')")
            insert = "INSERT INTO note VALUES (crsql_uuid7(), ?)"
            await asyncio.gather(a.execute(insert, ("from a",)), b.execute(insert, ("from b",)))
            await pull(a, b)
            await pull(b, a)
            digests = [await value(db, "SELECT crsql_digest()") for db in (a, b)]
            assert digests[0] == digests[1]
            bodies = await a.execute_fetchall("SELECT body FROM note ORDER BY body")
            print([body for (body,) in bodies])
            assert list(bodies) == [("from a",), ("from b",)]


if __name__ == "__main__":
    asyncio.run(main())
