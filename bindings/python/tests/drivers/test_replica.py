"""A replica is right whatever the application set on its connection."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import crsql
import pytest

from conftest import Driver

Connect = Callable[..., Any]
NOTE = "CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body)"
INSERT = "INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def noted(conn: Any) -> crsql.Replica:
    conn.cursor().execute(NOTE)
    replica = crsql.Replica(conn)
    replica.enable("note")
    return replica


def notes(replica: crsql.Replica) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in replica.conn.cursor().execute("SELECT * FROM note ORDER BY id")]


@pytest.fixture
def pair(connect: Connect, tmp_path: Path) -> tuple[crsql.Replica, crsql.Replica]:
    return noted(connect(tmp_path / "a.db")), noted(connect(tmp_path / "b.db"))


Pair = tuple[crsql.Replica, crsql.Replica]


def test_pull_and_apply(pair: Pair) -> None:
    a, b = pair
    assert a.pull(b.vector()) is None
    a.conn.cursor().execute("INSERT INTO note VALUES ('1', 'one')")
    blob = a.pull(b.vector())
    assert isinstance(blob, bytes) and blob.startswith(b"crsql")
    report = b.apply(blob)
    assert (report["applied"], report["tables"], report["new"]) == (1, ["note"], True)
    assert report["vector"]["seen"] and isinstance(b.vector(), str)
    assert b.apply(blob)["new"] is False
    assert a.pull(b.vector()) is None
    assert notes(b) == [("1", "one")]


def test_a_pull_is_cut_at_its_limit(pair: Pair) -> None:
    a, b = pair
    for number in range(20):
        a.conn.cursor().execute("INSERT INTO note VALUES (?, zeroblob(100))", (str(number),))
    whole = a.pull()
    part = a.pull(None, 500)
    assert whole is not None and part is not None and len(part) < len(whole)
    b.apply(part)
    assert 0 < len(notes(b)) < 20
    crsql.sync(a, b)
    assert len(notes(b)) == 20


def test_changes_are_named_tuples_one_by_one(pair: Pair) -> None:
    a, b = pair
    a.conn.cursor().execute("INSERT INTO note VALUES ('1', 'one'), ('2', 'two')")
    found = a.changes()
    assert isinstance(found, Iterator)
    first = next(found)
    assert (first.table, first.cid, first.val, first.db_version) == ("note", "body", "one", 1)
    assert first.cl == 1 and len(first.site_id) == 16 and first.seq == 0
    found.close()
    a.conn.cursor().execute("DROP TABLE note")  # Refused while a statement reads.
    assert list(b.changes()) == []


def test_changes_since_a_vector(pair: Pair) -> None:
    a, _ = pair
    a.conn.cursor().execute("INSERT INTO note VALUES ('1', 'one')")
    seen = a.vector()
    a.conn.cursor().execute("INSERT INTO note VALUES ('2', 'two')")
    assert [change.val for change in a.changes(seen)] == ["two"]
    assert [change.val for change in a.changes()] == ["one", "two"]


def test_changes_of_a_wrong_vector_are_refused(pair: Pair, driver: Driver) -> None:
    with pytest.raises(driver.errors, match="this is not a vector that crsql_vector"):
        list(pair[0].changes("no vector"))


def test_sync_goes_both_ways(pair: Pair) -> None:
    a, b = pair
    a.conn.cursor().execute("INSERT INTO note VALUES ('1', 'one')")
    b.conn.cursor().execute("INSERT INTO note VALUES ('2', 'two')")
    crsql.sync(a, b)
    assert notes(a) == notes(b) == [("1", "one"), ("2", "two")]


def test_inside_an_open_transaction(pair: Pair) -> None:
    """What is done there is part of it: gone with its ROLLBACK, and there again next time."""
    a, b = pair
    b.conn.cursor().execute("INSERT INTO note VALUES ('1', 'one')")
    for ending, left in (("ROLLBACK", []), ("COMMIT", [("1", "one")])):
        a.conn.cursor().execute("BEGIN")
        a.apply(b.pull(a.vector()))
        assert notes(a) == [("1", "one")]
        a.conn.cursor().execute(ending)
        assert notes(a) == left


def test_sync_refuses_an_open_transaction(pair: Pair) -> None:
    """Within one, sync stopped silently after the first 16 MiB, since a vector tells of committed
    transactions only; and it failed halfway where the other side was in one. Now it refuses before
    it does anything."""
    a, b = pair
    a.conn.cursor().execute("INSERT INTO note VALUES ('1', 'one')")
    for one in pair:
        one.conn.cursor().execute("BEGIN")
        for two in (a, b), (b, a):
            with pytest.raises(RuntimeError, match="a transaction is open on one of the two; COMM"):
                crsql.sync(*two)
        one.conn.cursor().execute("ROLLBACK")
        assert notes(b) == []
    crsql.sync(a, b)
    assert notes(b) == [("1", "one")]


def test_nothing_new_is_applied_as_nothing(pair: Pair) -> None:
    """`apply(None)` was json's own TypeError, though None is what `pull` gives."""
    a, b = pair
    assert b.apply(a.pull(b.vector())) is None
    assert b.apply(None) is None


def test_a_pull_over_uncommitted_writes_is_refused(pair: Pair, driver: Driver) -> None:
    a, _ = pair
    a.conn.cursor().execute("INSERT INTO note VALUES ('1', 'one')")
    a.conn.cursor().execute("BEGIN")
    a.conn.cursor().execute("UPDATE note SET body = 'two'")
    with pytest.raises(driver.errors, match="COMMIT or ROLLBACK first"):
        a.pull()
    a.conn.cursor().execute("ROLLBACK")
    assert a.pull() is not None


LEVELS = (None, "", "DEFERRED", "IMMEDIATE", "EXCLUSIVE")


def test_every_isolation_level(connect: Connect, driver: Driver, tmp_path: Path) -> None:
    """A replica commits nothing by itself, and leaves no transaction open."""
    settings = [{}] if driver.is_apsw else [{"isolation_level": level} for level in LEVELS]
    for number, options in enumerate(settings):
        a, b = (noted(connect(tmp_path / f"{name}{number}.db", **options)) for name in "ab")
        with a.conn:
            a.conn.cursor().execute("INSERT INTO note VALUES ('1', 'one')")
        crsql.sync(a, b)
        assert not a.conn.in_transaction and not b.conn.in_transaction
        assert notes(b) == [("1", "one")]


def test_autocommit(connect: Connect, driver: Driver, tmp_path: Path) -> None:
    if driver.name != "sqlite3" or sys.version_info < (3, 12):
        pytest.skip("only sqlite3 has autocommit, since Python 3.12")
    for autocommit in (True, False):
        a, b = (
            noted(connect(tmp_path / f"{name}{autocommit}.db", autocommit=autocommit))
            for name in "ab"
        )
        a.conn.execute("INSERT INTO note VALUES ('1', 'one')")
        a.conn.commit()
        b.conn.commit()
        if autocommit:
            crsql.sync(a, b)
        else:
            with pytest.raises(RuntimeError, match="a transaction is open"):
                crsql.sync(a, b)
            b.apply(a.pull(b.vector()))
        b.conn.commit()
        b.conn.rollback()
        assert notes(b) == [("1", "one")]


def test_row_factories_and_text_factories_change_nothing(
    connect: Connect, driver: Driver, tmp_path: Path
) -> None:
    """Text that came as bytes would arrive as a BLOB where it is inserted."""
    a, b = (connect(tmp_path / f"{name}.db") for name in "ab")
    for conn in (a, b):
        noted(conn)
        if driver.is_apsw:
            conn.row_trace = lambda _, row: {"row": row}
        else:
            conn.row_factory = lambda _, row: {"row": row}
            conn.text_factory = bytes
    one, two = crsql.Replica(a), crsql.Replica(b)
    a.cursor().execute("INSERT INTO note VALUES ('1', 'é'), ('2', x'00')")
    changes = list(one.changes(two.vector()))
    assert [(change.table, change.val) for change in changes] == [("note", "é"), ("note", b"\0")]
    for change in changes:
        b.cursor().execute(INSERT, change)
    digest = "SELECT crsql_digest()"
    assert list(a.cursor().execute(digest)) == list(b.cursor().execute(digest))
    crsql.sync(one, two)
    assert isinstance(one.vector(), str)
    if not driver.is_apsw:
        assert a.text_factory is bytes


VALUES = ("'text'", "''", "x'00ff'", "x''", "7", "-9007199254740993", "2.0", "1e300", "NULL")


def test_converters_of_the_application_change_nothing(
    pair: Pair, connect: Connect, driver: Driver, tmp_path: Path
) -> None:
    """With detect_types, sqlite3 gave changes to the application's converters for TEXT, BLOB and
    INTEGER, by the declared types of crsql_changes; they were inserted elsewhere as something else.
    Only expressions are selected now, which have no declared type."""
    a, b = pair
    for number, literal in enumerate(VALUES):
        a.conn.cursor().execute(f"INSERT INTO note VALUES ('{number}', {literal})")
    options: dict[str, Any] = {}
    names: list[str] = []
    if not driver.is_apsw:
        options = {"detect_types": driver.module.PARSE_DECLTYPES | driver.module.PARSE_COLNAMES}
        names = ["TEXT", "BLOB", "INTEGER", "REAL", "NUMERIC", "ANY"]
    replica = crsql.Replica(connect(tmp_path / "a.db", **options))
    watch = replica.watch(print, interval=None)
    a.conn.cursor().execute("INSERT INTO note VALUES ('last', 'text')")
    for name in names:
        driver.module.register_converter(name, lambda raw: ("converted", raw))
    try:
        assert watch.poll() == ["note"]
        found = list(replica.changes(b.vector()))
    finally:
        for name in names:
            del driver.module.converters[name]
    wanted = list(a.changes(b.vector()))
    assert {type(change.val) for change in wanted} == {str, bytes, int, float, type(None)}
    assert found == wanted
    assert [[*map(type, change)] for change in found] == [[*map(type, c)] for c in wanted]
    for change in found:
        b.conn.cursor().execute(INSERT, change)
    digest = "SELECT crsql_digest()"
    assert list(a.conn.cursor().execute(digest)) == list(b.conn.cursor().execute(digest))


def test_a_connection_class_of_the_application(driver: Driver) -> None:
    class Own(driver.module.Connection):  # type: ignore[misc, name-defined]
        """Anything."""

    options = {} if driver.is_apsw else {"isolation_level": None}
    replica = noted(Own(":memory:", **options))
    replica.conn.cursor().execute("INSERT INTO note VALUES ('1', 'one')")
    assert replica.pull() is not None
    replica.conn.close()
