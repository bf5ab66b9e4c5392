"""crsql: ordinary SQLite tables that replicate without conflicts.

`load(conn)` brings the extension into a connection of sqlite3, apsw or pysqlite3. `Replica(conn)`
offers what a program does with it, `sync(a, b)` brings two replicas together.
"""

from importlib.metadata import version as _version

from ._load import LoadError, loadable_path, load
from ._replica import Change, Replica, Report, sync
from ._watch import Watch

__all__ = [
    "Change",
    "LoadError",
    "Replica",
    "Report",
    "Watch",
    "load",
    "loadable_path",
    "sync",
]
__version__ = _version("crsql")
