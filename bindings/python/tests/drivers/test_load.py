"""Loading: extension loading is on for that long only, and what is wrong is said in a sentence."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Callable

import aiosqlite
import crsql
import pytest
import sqlalchemy

from conftest import Driver

Connect = Callable[..., Any]


def version_in(conn: Any) -> str:
    [(version,)] = conn.cursor().execute("SELECT crsql_version()").fetchall()
    return str(version)


def test_load_brings_the_version_of_the_package(connect: Connect) -> None:
    conn = connect(":memory:")
    crsql.load(conn)
    assert version_in(conn) == crsql.__version__


def test_extension_loading_is_off_afterwards(connect: Connect, driver: Driver) -> None:
    conn = connect(":memory:")
    crsql.load(conn)
    with pytest.raises(driver.errors, match="not authorized"):
        conn.cursor().execute("SELECT load_extension(?)", (crsql.loadable_path(),)).fetchall()


def test_extension_loading_is_off_after_a_failure(
    connect: Connect, driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    monkeypatch.setenv("CRSQL_LIBRARY", str(broken))
    conn = connect(":memory:")
    kinds = (driver.errors, getattr(driver.module, "ExtensionLoadingError", driver.errors))
    with pytest.raises(kinds, match="broken"):
        crsql.load(conn)
    with pytest.raises(driver.errors, match="not authorized"):
        conn.cursor().execute("SELECT load_extension('x')").fetchall()


def test_a_second_load_does_nothing(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn = connect(":memory:")
    crsql.load(conn)
    monkeypatch.setenv("CRSQL_LIBRARY", str(tmp_path / "not looked at"))
    crsql.load(conn)
    assert crsql.Replica(conn).conn is conn


def test_load_inside_a_transaction(connect: Connect) -> None:
    conn = connect(":memory:")
    conn.cursor().execute("BEGIN")
    conn.cursor().execute("CREATE TABLE t(x)")
    crsql.load(conn)
    conn.cursor().execute("COMMIT")
    assert version_in(conn) == crsql.__version__


def test_a_replica_loads_by_itself(connect: Connect) -> None:
    assert version_in(crsql.Replica(connect(":memory:")).conn) == crsql.__version__


@pytest.mark.parametrize("name", ["libcrsql-test_7.so", "another.so", "no-suffix"])
def test_the_variable_names_another_file(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of any name: the entry point is not guessed from it."""
    monkeypatch.delenv("CRSQL_LIBRARY", raising=False)
    [own] = Path(crsql.__file__).parent.glob("crsql.*")
    assert crsql.loadable_path() == str(own.with_suffix(""))
    copy = tmp_path / name
    shutil.copy(own, copy)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRSQL_LIBRARY", name)
    assert crsql.loadable_path() == str(copy).removesuffix(own.suffix)
    assert os.path.isabs(crsql.loadable_path())
    assert version_in(crsql.Replica(connect(":memory:")).conn) == crsql.__version__


def test_a_missing_library_is_said_so(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRSQL_LIBRARY", "/nowhere/crsql.so")
    with pytest.raises(crsql.LoadError, match="CRSQL_LIBRARY names /nowhere/crsql.so"):
        crsql.load(connect(":memory:"))
    monkeypatch.delenv("CRSQL_LIBRARY")
    monkeypatch.setattr("crsql._load.__file__", "/nowhere/_load.py")
    with pytest.raises(crsql.LoadError, match="install a wheel"):
        crsql.load(connect(":memory:"))


class Awaited:
    """A connection whose methods are awaited, as aiosqlite has them."""

    async def commit(self) -> None:
        """Not ours to await."""

    async def cursor(self) -> None:
        """Nor this."""


def test_what_is_no_connection_is_said_so(connect: Connect) -> None:
    """A path, None, or a connection of SQLAlchemy or aiosqlite got a LoadError that blamed this
    Python's build. What is no connection of a driver is a TypeError of one sentence now."""
    cases: dict[str, Any] = {
        "NoneType": None,
        "str": "a.db",
        "sqlalchemy.engine.base.Connection": sqlalchemy.create_engine("sqlite://").connect(),
        "aiosqlite.core.Connection": aiosqlite.connect(":memory:"),
        "test_load.Awaited": Awaited(),
    }
    for kind, wrong in cases.items():
        for take in (crsql.load, crsql.Replica):
            with pytest.raises(TypeError) as raised:
                take(wrong)
            said = str(raised.value)
            assert "needs an open connection of sqlite3, apsw or pysqlite3, such as sq" in said
            assert f"this is {kind};" in said
            assert "sqlalchemy_orm.py and aiosqlite_async.py" in said
    cases["sqlalchemy.engine.base.Connection"].close()

    class Wrapped:
        """What works like a connection is taken for one, if it can load."""

        def __init__(self, conn: Any) -> None:
            self.cursor = conn.cursor

    conn = connect(":memory:")
    with pytest.raises(TypeError, match="this is test_load.*Wrapped;"):
        crsql.Replica(Wrapped(conn))
    crsql.load(conn)
    assert crsql.Replica(Wrapped(conn)).vector()


def test_errors_are_those_of_the_driver(connect: Connect, driver: Driver) -> None:
    replica = crsql.Replica(connect(":memory:"))
    with pytest.raises(driver.errors, match="^there is no table nobody in the main database; "):
        replica.enable("nobody")
