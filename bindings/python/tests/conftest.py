"""The driver that the tests run in, and the line that it gets at the end.

crsql serves one copy of SQLite in a process, and each driver brings its own: so a run is for one
driver, `pytest tests/drivers --driver apsw`. `test.sh` runs them all.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Driver:
    """A driver: its errors, and how it opens a file so that every statement commits by itself."""

    name: str
    module: Any

    @property
    def errors(self) -> type[Exception]:
        """What all of its errors are."""
        kind: type[Exception] = self.module.Error
        return kind

    @property
    def is_apsw(self) -> bool:
        """Whether it goes its own way in names."""
        return self.name == "apsw"

    def sqlite_version(self) -> str:
        """That of the SQLite that it brings or finds."""
        if self.is_apsw:
            return str(self.module.sqlite_lib_version())
        return str(self.module.sqlite_version)

    def connect(self, file: object, **options: Any) -> Any:
        """Opens a file; options are those of the driver."""
        if self.is_apsw:
            conn = self.module.Connection(str(file), **options)
            conn.set_busy_timeout(5000)
            return conn
        return self.module.connect(str(file), **{"isolation_level": None, **options})


def pytest_addoption(parser: pytest.Parser) -> None:
    """--driver, of which there is one per run."""
    parser.addoption("--driver", default="sqlite3", choices=("sqlite3", "pysqlite3", "apsw"))


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> Driver:
    """The driver of this run."""
    name: str = request.config.getoption("--driver")
    return Driver(name, importlib.import_module(name))


@pytest.fixture
def connect(driver: Driver) -> Iterator[Callable[..., Any]]:
    """The driver's connect; what it opened is closed in the end."""
    opened: list[Any] = []

    def open_one(file: object, **options: Any) -> Any:
        opened.append(driver.connect(file, **options))
        return opened[-1]

    yield open_one
    for conn in opened:
        conn.close()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What ran in which driver; and what was skipped, aloud."""
    passed = [report.nodeid for report in terminalreporter.stats.get("passed", [])]
    cases = sum("::test_conforms[" in name for name in passed)
    if cases:
        name = config.getoption("--driver")
        version = Driver(name, importlib.import_module(name)).sqlite_version()
        terminalreporter.write_line(
            f"{name} (SQLite {version}, Python {sys.version.split()[0]}):"
            f" {cases} conformance cases, {len(passed) - cases} other tests passed"
        )
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"SKIPPED: {report.nodeid}: {reason}")
