"""A program written for cr-sqlite's SQL, on crsql: one line is another, the one that loads.

With cr-sqlite, `open_database` allowed extension loading and loaded its library:

    conn.enable_load_extension(True)
    conn.load_extension("./crsqlite")

A file that cr-sqlite made is refused: copy its plain tables into a new one. This program keeps a
cursor per origin, as crsql asks for; what else differs is listed in docs/SQL.md of crsql, under
"Coming from cr-sqlite".

    pip install crsql
    python from_cr_sqlite.py
"""

from __future__ import annotations

import sqlite3

import crsql

COLUMNS = '"table", pk, cid, val, col_version, db_version, site_id, cl, seq'


def open_database(file: str) -> sqlite3.Connection:
    """A database with one replicated table."""
    conn = sqlite3.connect(file, isolation_level=None)
    crsql.load(conn)  # the line that was changed
    conn.execute("CREATE TABLE IF NOT EXISTS todo (id PRIMARY KEY NOT NULL, text, done)")
    conn.execute("SELECT crsql_as_crr('todo')").fetchall()
    return conn


def push(source: sqlite3.Connection, target: sqlite3.Connection, sent: int) -> int:
    """Brings what the source wrote itself after version `sent`; gives the new cursor."""
    [(now,)] = source.execute("SELECT crsql_db_version()")
    changes = source.execute(
        f"SELECT {COLUMNS} FROM crsql_changes WHERE db_version > ? AND site_id = crsql_site_id()",
        (sent,),
    ).fetchall()
    with target:
        target.execute("BEGIN")
        target.executemany(
            f"INSERT INTO crsql_changes ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", changes
        )
    return int(now)


def main() -> None:
    """Two databases that push to each other, with a cursor each."""
    a, b = open_database(":memory:"), open_database(":memory:")
    sent_a = sent_b = 0
    a.execute("INSERT INTO todo VALUES ('1', 'write it down', 0)")
    b.execute("INSERT INTO todo VALUES ('2', 'tell the others', 0)")
    sent_a, sent_b = push(a, b, sent_a), push(b, a, sent_b)
    a.execute("UPDATE todo SET done = 1 WHERE id = '2'")
    b.execute("DELETE FROM todo WHERE id = '1'")
    sent_a, sent_b = push(a, b, sent_a), push(b, a, sent_b)

    todos = [conn.execute("SELECT * FROM todo ORDER BY id").fetchall() for conn in (a, b)]
    assert todos == [[("2", "tell the others", 1)]] * 2, todos
    print("both have", todos[0])
    for conn in (a, b):
        conn.execute("SELECT crsql_finalize()").fetchall()  # still there, does nothing
        conn.close()


if __name__ == "__main__":
    main()
