"""Where the library is, and how it comes into a connection."""

from __future__ import annotations

import os
import sys
from inspect import iscoroutinefunction
from pathlib import Path

from ._sql import Connection, driver_of, value

_ENTRY_POINT = "sqlite3_crsql_init"
_SUFFIX = {"win32": ".dll", "cygwin": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


class LoadError(RuntimeError):
    """crsql cannot be loaded here; the sentence names the reason and the way out."""


def loadable_path() -> str:
    """The library's path as `load_extension` takes it, without the platform's suffix.

    The environment variable CRSQL_LIBRARY names another file than that of this package.
    Raises LoadError where there is no such file.
    """
    chosen = os.environ.get("CRSQL_LIBRARY")
    file = Path(chosen) if chosen else Path(__file__).parent / f"crsql{_SUFFIX}"
    if file.is_file():
        # An absolute path: a bare name would be looked up in the system's folders.
        return str(file.absolute()).removesuffix(_SUFFIX)
    if chosen:
        raise LoadError(f"CRSQL_LIBRARY names {chosen}, and there is no such file")
    raise LoadError(
        f"this package of crsql has no library {file.name} in it: install a wheel for this"
        " platform, or build crsql and name the library in the variable CRSQL_LIBRARY"
    )


def load(conn: Connection) -> None:
    """Loads crsql into a connection of sqlite3, apsw or pysqlite3.

    Extension loading is allowed for that long only, and off afterwards. A connection that has
    crsql is left alone. Raises LoadError where the library is missing or the driver was built
    without extension loading, TypeError for what is no connection of a driver, and the driver's own
    error when SQLite cannot load the library.
    """
    if not callable(getattr(conn, "cursor", None)) or _is_awaited(conn):
        raise _no_connection(conn)
    if _is_loaded(conn):
        return
    allow = getattr(conn, "enable_load_extension", None)
    if allow is None:
        if driver_of(conn) is None:
            raise _no_connection(conn)
        raise LoadError(
            f"{_kind(conn)} of this Python was built without extension loading: use another Python"
            " (that of your system, of Homebrew or of conda), or one of the drivers pysqlite3-binary"
            " and apsw, which pip installs"
        )
    path = loadable_path()
    allow(True)
    try:
        _load_extension(conn, path)
    finally:
        allow(False)


def _kind(conn: object) -> str:
    return f"{type(conn).__module__}.{type(conn).__qualname__}".removeprefix("builtins.")


def _is_awaited(conn: object) -> bool:
    # aiosqlite's, and apsw's in its asynchronous mode.
    is_async = bool(getattr(conn, "is_async", False))
    return is_async or iscoroutinefunction(getattr(conn, "commit", None))


def _no_connection(conn: object) -> TypeError:
    return TypeError(
        "crsql needs an open connection of sqlite3, apsw or pysqlite3, such as sqlite3.connect()"
        f" gives, and this is {_kind(conn)}; how it is done in SQLAlchemy and aiosqlite is shown by"
        " sqlalchemy_orm.py and aiosqlite_async.py in bindings/python/recipes of crsql's repository"
    )


def _is_loaded(conn: Connection) -> bool:
    try:
        value(conn, "SELECT crsql_version()")
    except Exception:  # Each driver has its own; what else is wrong shows when it is loaded.
        return False
    return True


def _load_extension(conn: Connection, path: str) -> None:
    try:
        getattr(conn, "load_extension")(path, entrypoint=_ENTRY_POINT)
        return
    except TypeError:
        # sqlite3 takes no entry point before Python 3.12, nor does pysqlite3; SQL does.
        pass
    value(conn, "SELECT load_extension(?, ?)", path, _ENTRY_POINT)
