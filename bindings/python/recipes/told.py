"""What everybody was told: the book of a device that tells without being asked.

Who is asked gets a vector, and answers what that has not seen. Into a folder or a queue a device
tells by itself, so it keeps in its own database what was told there, by it or by others: the
`coverage` of every changeset that it wrote or read. `shared_folder.py` and `message_queue.py` use
it.
"""

from __future__ import annotations

import json
import sqlite3

import crsql

Ranges = list[list[int]]


class Told:
    """Kept in the replica's file, in a table that is not replicated."""

    def __init__(self, replica: crsql.Replica, conn: sqlite3.Connection) -> None:
        self.replica = replica
        self.conn = conn
        conn.execute("CREATE TABLE IF NOT EXISTS told(one INTEGER PRIMARY KEY, seen TEXT NOT NULL)")
        conn.execute("INSERT OR IGNORE INTO told VALUES (1, '{}')")

    def next(self, bytes_max: int) -> bytes | None:
        """What was not told yet, as a changeset; call `add` when it is out, and ask again."""
        vector = json.dumps({"v": 1, "seen": self._seen()})
        while True:
            blob = self.replica.pull(vector, bytes_max)
            if blob is None or self._coverage(blob):
                return blob
            # The middle of a transaction that is larger: take that one whole.
            bytes_max *= 2

    def add(self, blob: bytes) -> None:
        """Notes that a changeset was told, by this device or another one."""
        seen = self._seen()
        for site, ranges in self._coverage(blob).items():
            seen[site] = _joined(seen.get(site, []) + ranges)
        self.conn.execute("UPDATE told SET seen = ?", (json.dumps(seen),))

    def _seen(self) -> dict[str, Ranges]:
        [(seen,)] = self.conn.execute("SELECT seen FROM told")
        return dict(json.loads(seen))

    def _coverage(self, blob: bytes) -> dict[str, Ranges]:
        sql = "SELECT crsql_changeset_info(?) -> 'coverage'"
        [(coverage,)] = self.conn.execute(sql, (blob,))
        return dict(json.loads(coverage))


def _joined(ranges: Ranges) -> Ranges:
    """Ranges [first, last, stamp of the last], those that touch made one."""
    whole: Ranges = []
    for first, last, stamp in sorted(ranges):
        if not whole or first > whole[-1][1] + 1:
            whole.append([first, last, stamp])
        elif last > whole[-1][1]:
            whole[-1][1:] = [last, stamp]
    return whole
