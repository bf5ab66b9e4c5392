"""A watch tells of every change, whoever made it, and lets go when it is told to."""

from __future__ import annotations

import logging
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

import crsql
import pytest

from conftest import Driver

Connect = Callable[..., Any]
SECONDS_MAX = 20


def replicated(conn: Any, *tables: str) -> crsql.Replica:
    replica = crsql.Replica(conn)
    for table in tables:
        conn.cursor().execute(
            f"CREATE TABLE IF NOT EXISTS {table}(k INTEGER PRIMARY KEY NOT NULL, v)"
        )
        replica.enable(table)
    return replica


def do(replica: crsql.Replica, sql: str) -> list[Any]:
    return list(replica.conn.cursor().execute(sql))


class Told:
    """What a callback was told, for a test that waits."""

    def __init__(self) -> None:
        self.calls: queue.Queue[list[str]] = queue.Queue()

    def __call__(self, tables: list[str]) -> None:
        self.calls.put(tables)

    def until(self, *tables: str) -> None:
        """Waits until exactly these were told, in as many calls as it takes."""
        lacking = set(tables)
        while lacking:
            told = self.calls.get(timeout=SECONDS_MAX)
            assert set(told) <= set(tables), told
            lacking -= set(told)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A name that has to be quoted in an address."""
    return tmp_path / "a b#?%20'é.db"


def test_writes_through_the_same_connection(connect: Connect, file: Path) -> None:
    replica, told = replicated(connect(file), "t", "u"), Told()
    with replica.watch(told, 0.01):
        do(replica, "INSERT INTO t VALUES (1, 'one')")
        told.until("t")
        do(replica, "BEGIN")
        do(replica, "DELETE FROM t")
        do(replica, "INSERT INTO u VALUES (1, 'one')")
        do(replica, "COMMIT")
        told.until("t", "u")
    assert told.calls.empty()


def test_what_was_there_before_is_not_told(connect: Connect, file: Path) -> None:
    replica, told = replicated(connect(file), "t", "u"), Told()
    do(replica, "INSERT INTO t VALUES (1, 'one')")
    with replica.watch(told, 0.01):
        do(replica, "INSERT INTO u VALUES (1, 'one')")
        told.until("u")


def test_merges_through_another_connection(connect: Connect, file: Path, tmp_path: Path) -> None:
    replica, told = replicated(connect(file), "t"), Told()
    other = replicated(connect(file), "t")
    remote = replicated(connect(tmp_path / "remote.db"), "t")
    do(remote, "INSERT INTO t VALUES (1, 'one')")
    with replica.watch(told, 0.01):
        crsql.sync(other, remote)
        told.until("t")


PROCESS = """
import sys, crsql, {driver} as driver
conn = driver.{open}(sys.argv[1])
crsql.load(conn)
conn.cursor().execute("INSERT INTO t VALUES (1, 'one')")
{rest}
"""


def run(driver: Driver, file: Path, rest: str) -> subprocess.CompletedProcess[str]:
    name = "Connection" if driver.is_apsw else "connect"
    text = PROCESS.format(driver=driver.name, open=name, rest=rest)
    return subprocess.run(
        [sys.executable, "-c", text, str(file)],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=True,
    )


def test_writes_of_another_process(connect: Connect, driver: Driver, file: Path) -> None:
    replica, told = replicated(connect(file), "t"), Told()
    with replica.watch(told, 0.01):
        run(driver, file, "" if driver.is_apsw else "conn.commit()")
        told.until("t")


def test_a_watch_keeps_no_process_alive(connect: Connect, driver: Driver, file: Path) -> None:
    replicated(connect(file), "t")
    commit = "" if driver.is_apsw else "conn.commit(); "
    watch = "watch = crsql.Replica(conn).watch(print, 0.001); print('running')"
    assert "running" in run(driver, file, commit + watch).stdout


def test_none_is_missed_under_writers(connect: Connect, driver: Driver, file: Path) -> None:
    """Each writer waits to be told of its own row, while the other one goes on writing."""
    names = ("t", "u")
    replica = replicated(connect(file), *names)
    do(replica, "PRAGMA journal_mode = WAL")
    told = {name: threading.Semaphore(0) for name in names}

    def write(name: str) -> None:
        conn = driver.connect(file)
        crsql.load(conn)
        for number in range(30):
            conn.cursor().execute(f"INSERT INTO {name} VALUES ({number}, 'x')")
            if not told[name].acquire(timeout=SECONDS_MAX):
                missed.append((name, number))
                break
            while told[name].acquire(blocking=False):
                pass
        conn.close()

    missed: list[tuple[str, int]] = []
    def release(tables: list[str]) -> None:
        for name in tables:
            told[name].release()

    with replica.watch(release, 0.001):
        threads = [threading.Thread(target=write, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not missed


def test_a_callback_that_fails_is_logged(
    connect: Connect, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replica, told = replicated(connect(file), "t", "u"), Told()

    def fail_first(tables: list[str]) -> None:
        told(tables)
        if tables == ["t"]:
            raise KeyError("of the application")

    with caplog.at_level(logging.WARNING, "crsql"), replica.watch(fail_first, 0.01):
        do(replica, "INSERT INTO t VALUES (1, 'one')")
        told.until("t")
        do(replica, "INSERT INTO u VALUES (1, 'one')")
        told.until("u")
    assert "of the application" in caplog.text and "callback" in caplog.text


def test_trouble_is_logged_once_and_passes(
    connect: Connect, file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica, told = replicated(connect(file), "t"), Told()
    looks = threading.Semaphore(0)

    def fail(_: object) -> list[str]:
        looks.release()
        raise OSError("the disk is away")

    with caplog.at_level(logging.WARNING, "crsql"), replica.watch(told, 0.01) as watch:
        with monkeypatch.context() as patch:
            patch.setattr(crsql.Watch, "_look", fail)
            for _ in range(3):
                assert looks.acquire(timeout=SECONDS_MAX)
        do(replica, "INSERT INTO t VALUES (1, 'one')")
        told.until("t")
        watch.stop()
    assert caplog.text.count("the disk is away") == 1


def test_none_is_told_after_stop(connect: Connect, file: Path) -> None:
    replica, told = replicated(connect(file), "t"), Told()
    watch = replica.watch(told, 0.001)
    watch.stop()
    watch.stop()
    do(replica, "INSERT INTO t VALUES (1, 'one')")
    time.sleep(0.05)
    assert told.calls.empty()
    assert not [thread for thread in threading.enumerate() if thread.name == "crsql-watch"]


def test_stop_waits_for_the_callback(connect: Connect, file: Path) -> None:
    replica = replicated(connect(file), "t")
    entered, done = threading.Event(), threading.Event()

    def slow(_: list[str]) -> None:
        entered.set()
        time.sleep(0.1)
        done.set()

    with replica.watch(slow, 0.001):
        do(replica, "INSERT INTO t VALUES (1, 'one')")
        assert entered.wait(SECONDS_MAX)
    assert done.is_set()


def test_stop_from_within_the_callback(connect: Connect, file: Path) -> None:
    replica, told = replicated(connect(file), "t"), Told()

    def once(tables: list[str]) -> None:
        watch.stop()
        told(tables)

    watch = replica.watch(once, 0.01)
    do(replica, "INSERT INTO t VALUES (1, 'one')")
    told.until("t")
    watch.stop()
    do(replica, "INSERT INTO t VALUES (2, 'two')")
    time.sleep(0.05)
    assert told.calls.empty()


def test_it_outlives_the_connection_that_it_was_made_from(
    connect: Connect, driver: Driver, file: Path
) -> None:
    conn = driver.connect(file)
    told = Told()
    with replicated(conn, "t").watch(told, 0.01):
        conn.close()
        do(replicated(connect(file)), "INSERT INTO t VALUES (1, 'one')")
        told.until("t")


def test_poll(connect: Connect) -> None:
    replica, told = replicated(connect(":memory:"), "t", "u"), Told()
    watch = replica.watch(told, interval=None)
    assert watch.poll() == []
    do(replica, "INSERT INTO t VALUES (1, 'one')")
    do(replica, "INSERT INTO u VALUES (1, 'one')")
    assert watch.poll() == ["t", "u"] == told.calls.get_nowait()
    assert watch.poll() == [] and told.calls.empty()
    watch.stop()
    do(replica, "DELETE FROM t")
    assert watch.poll() == []


def test_poll_waits_for_the_commit(connect: Connect) -> None:
    replica = replicated(connect(":memory:"), "t")
    do(replica, "INSERT INTO t VALUES (1, 'one')")
    watch = replica.watch(print, interval=None)
    for ending, told in (("ROLLBACK", []), ("COMMIT", ["t"])):
        do(replica, "BEGIN")
        do(replica, "INSERT INTO t VALUES (2, 'two')")
        assert watch.poll() == []
        do(replica, "UPDATE t SET v = 'other'")
        assert watch.poll() == []
        do(replica, ending)
        assert watch.poll() == told
        assert watch.poll() == []


def test_poll_tells_of_a_merge_after_its_commit(connect: Connect) -> None:
    replica, remote = (replicated(connect(":memory:"), "t") for _ in range(2))
    do(remote, "INSERT INTO t VALUES (1, 'one')")
    watch = replica.watch(print, interval=None)
    do(replica, "BEGIN")
    replica.apply(remote.pull(replica.vector()))
    watch.poll()
    do(replica, "COMMIT")
    assert watch.poll() == ["t"] and watch.poll() == []


def test_an_idle_database_is_not_searched(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = replicated(connect(":memory:"), "t")
    watch = replica.watch(print, interval=None)
    do(replica, "INSERT INTO t VALUES (1, 'one')")
    assert watch.poll() == ["t"]
    watch.poll()  # The vector may have written something.
    monkeypatch.setattr(crsql._watch, "value", None)
    assert watch.poll() == []
    do(replica, "DELETE FROM t")
    with pytest.raises(TypeError):
        watch.poll()


def test_poll_sees_other_connections(connect: Connect, file: Path) -> None:
    watch = replicated(connect(file), "t").watch(print, interval=None)
    do(replicated(connect(file)), "INSERT INTO t VALUES (1, 'one')")
    assert watch.poll() == ["t"] and watch.poll() == []


def test_poll_lets_errors_of_the_callback_through(connect: Connect) -> None:
    replica = replicated(connect(":memory:"), "t")

    def fail(_: list[str]) -> None:
        raise KeyError("of the application")

    watch = replica.watch(fail, interval=None)
    do(replica, "INSERT INTO t VALUES (1, 'one')")
    with pytest.raises(KeyError):
        watch.poll()
    assert watch.poll() == []


def test_what_cannot_be_watched_is_said_so(connect: Connect, file: Path) -> None:
    with pytest.raises(ValueError, match="in memory is seen by its own connection only"):
        crsql.Replica(connect(":memory:")).watch(print)
    with replicated(connect(file), "t").watch(print) as watch:
        with pytest.raises(RuntimeError, match="interval=None"):
            watch.poll()

    class Wrapped:
        """A connection inside of another object."""

        def __init__(self, conn: Any) -> None:
            self.cursor = conn.cursor

    conn = connect(file)
    crsql.load(conn)
    with pytest.raises(TypeError, match="knows no driver for .*Wrapped"):
        crsql.Replica(Wrapped(conn)).watch(print)


OTHER_LOCKS = ("vfs=unix-dotfile", "vfs=unix-none", "nolock=1")
SAME_LOCKS = ("mode=rw", "cache=private", "psow=0")


def opened_as(driver: Driver, file: Path, query: str) -> Any:
    """The file, opened by an address."""
    uri = f"{file.as_uri()}?{query}"
    if not driver.is_apsw:
        return driver.module.connect(uri, uri=True, isolation_level=None)
    flags = driver.module.SQLITE_OPEN_READWRITE | driver.module.SQLITE_OPEN_URI
    return driver.module.Connection(uri, flags)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which locks are held")
@pytest.mark.parametrize("query", OTHER_LOCKS)
def test_a_file_with_other_locks_is_not_opened_with_the_usual_ones(
    connect: Connect, driver: Driver, file: Path, query: str
) -> None:
    """A watch opened the bare path, with locks that those of a connection with vfs= or nolock=1 do
    not see: it took a journal in use for a crash's, rolled it back, and the file was corrupt. Now
    it refuses what it can tell, and opens by the application's function."""
    replicated(driver.connect(file), "t").conn.close()
    conn = opened_as(driver, file, query)
    replica, told = replicated(conn, "t"), Told()
    with pytest.raises(ValueError, match=r"other locks than SQLite's usual .*open=\.\.\."):
        replica.watch(told)
    assert not [thread for thread in threading.enumerate() if thread.name == "crsql-watch"]
    if query == "vfs=unix-dotfile":
        with replica.watch(told, 0.01, open=lambda: opened_as(driver, file, query)):
            for number in range(50):
                do(replica, f"INSERT INTO t VALUES ({number}, 'x')")
                told.until("t")
    assert do(replica, "PRAGMA integrity_check") == [("ok",)]
    conn.close()


@pytest.mark.parametrize("query", SAME_LOCKS)
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_file_with_the_usual_locks_is_opened(
    driver: Driver, file: Path, query: str, mode: str
) -> None:
    replica, told = replicated(driver.connect(file), "t"), Told()
    do(replica, f"PRAGMA journal_mode = {mode}")
    replica.conn.close()
    conn = opened_as(driver, file, query)
    with crsql.Replica(conn).watch(told, 0.01):
        do(crsql.Replica(conn), "INSERT INTO t VALUES (1, 'one')")
        told.until("t")
    conn.close()


def test_what_opens_may_fail(connect: Connect, driver: Driver, file: Path) -> None:
    """In the thread, but it is told to the caller; what was opened is closed."""
    replica = replicated(connect(file), "t")

    def fail() -> Any:
        raise KeyError("no such vault")

    with pytest.raises(KeyError, match="no such vault"):
        replica.watch(print, open=fail)
    with pytest.raises(ValueError, match="the replica's own connection"):
        replica.watch(print, open=lambda: replica.conn)
    with pytest.raises(TypeError, match="needs an open connection of .* NoneType"):
        replica.watch(print, open=lambda: None)  # type: ignore[arg-type, return-value]
    wrong: Any = "a.db"
    with pytest.raises(TypeError, match="open has to be a function .* not 'a.db'"):
        replica.watch(print, open=wrong)
    with pytest.raises(ValueError, match="with interval=None there is none"):
        replica.watch(print, None, lambda: replica.conn)
    assert do(replica, "SELECT count(*) FROM t") == [(0,)]
    assert not [thread for thread in threading.enumerate() if thread.name == "crsql-watch"]


def test_a_connection_that_is_wrapped_can_be_watched_by_what_opens_it(
    connect: Connect, driver: Driver, file: Path
) -> None:
    class Wrapped:
        """A connection inside of another object."""

        def __init__(self, conn: Any) -> None:
            self.cursor = conn.cursor

    replica, told = replicated(connect(file), "t"), Told()
    with crsql.Replica(Wrapped(replica.conn)).watch(
        told, 0.01, open=lambda: driver.connect(file)
    ):
        do(replica, "INSERT INTO t VALUES (1, 'one')")
        told.until("t")
    watch = crsql.Replica(Wrapped(replica.conn)).watch(told, None)
    do(replica, "DELETE FROM t")
    assert watch.poll() == ["t"]


@pytest.mark.parametrize("interval", [0, 0.0, -1, float("nan"), float("inf"), 1e10, -1e-9])
def test_an_interval_is_a_time_to_wait(connect: Connect, file: Path, interval: float) -> None:
    """0, less, and what is no number turned without a pause, and the thread died of what is too
    long; both in silence. It is refused at the call now."""
    replica = replicated(connect(file), "t")
    with pytest.raises(ValueError, match="interval is in seconds, more than 0 and at most"):
        replica.watch(print, interval)


@pytest.mark.parametrize("interval", ["x", "1", [], b""])
def test_an_interval_is_a_number(connect: Connect, file: Path, interval: Any) -> None:
    """The thread died of it in silence. It is refused at the call now."""
    replica = replicated(connect(file), "t")
    with pytest.raises(TypeError, match="interval is in seconds, or None"):
        replica.watch(print, interval)


@pytest.mark.parametrize("interval", [0.2, None])
def test_a_callback_is_a_function(connect: Connect, file: Path, interval: float | None) -> None:
    """One that is none failed at the first change, in the thread. It is refused at the call now."""
    wrong: Any = "print"
    with pytest.raises(TypeError, match="callback has to be a function, and this is 'print'"):
        replicated(connect(file), "t").watch(wrong, interval)


def test_a_connection_class_of_the_application(driver: Driver, file: Path) -> None:
    class Own(driver.module.Connection):  # type: ignore[misc, name-defined]
        """Anything."""

    replica, told = replicated(Own(str(file)), "t"), Told()
    with replica.watch(told, 0.01):
        do(replica, "INSERT INTO t VALUES (1, 'one')")
        if not driver.is_apsw:
            replica.conn.commit()
        told.until("t")
    replica.conn.close()
