"""The wheel says the truth: its version, and which systems its library runs on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import crsql
import pytest

from conftest import ROOT

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="manylinux tags are for Linux")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.delenv("CRSQL_WHEEL_PLATFORM", raising=False)
    file = ROOT / "bindings/python/hatch_build.py"
    spec = importlib.util.spec_from_file_location("hatch_build", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def installed_library() -> Path:
    [library] = Path(crsql.__file__).parent.glob("crsql.*")
    return library


def test_the_version_is_that_of_the_crate() -> None:
    cargo = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"', cargo, re.MULTILINE)
    assert version and version[1] == crsql.__version__


def test_the_package_has_types_and_licences() -> None:
    files = {str(file) for file in importlib.metadata.files("crsql") or ()}
    assert "crsql/py.typed" in files
    assert {name.rpartition("/")[2] for name in files} >= {"LICENSE-MIT", "LICENSE-APACHE"}


def test_the_readme_of_the_package_links_nowhere_else() -> None:
    """It linked to other files of the repository, which are not beside it in a package. A link is
    a whole address now, or names a heading."""
    metadata = importlib.metadata.distribution("crsql").read_text("METADATA") or ""
    readme = metadata.partition("\n\n")[2]
    assert readme.startswith("# crsql for Python")
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert not [link for link in links if not link.startswith(("https://", "#"))]


def test_the_tag_is_that_of_the_library(hook: ModuleType) -> None:
    wheel = importlib.metadata.distribution("crsql").read_text("WHEEL")
    assert wheel and f"Tag: py3-none-{hook.platform_of(installed_library())}\n" in wheel


@LINUX
def test_the_tag_is_not_older_than_a_symbol(hook: ModuleType) -> None:
    """Counted once more, by objdump."""
    if not shutil.which("objdump"):
        pytest.skip("objdump is missing")
    command = ["objdump", "-T", str(installed_library())]
    symbols = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {(int(a), int(b)) for a, b in re.findall(r"GLIBC_(\d+)\.(\d+)", symbols)}
    tag = re.match(r"manylinux_(\d+)_(\d+)_", hook.platform_of(installed_library()))
    assert found and tag and (int(tag[1]), int(tag[2])) == max(*found, (2, 17))


@LINUX
def test_a_wrong_tag_is_refused(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    library = installed_library()
    honest = hook.platform_of(library)
    tag = re.fullmatch(r"manylinux_2_(\d+)_(\w+)", honest)
    assert tag
    older = f"manylinux_2_{int(tag[1]) - 1}_{tag[2]}"
    for demanded in (older, f"manylinux_2_{tag[1]}_sparc", "linux_" + tag[2]):
        monkeypatch.setenv("CRSQL_WHEEL_PLATFORM", demanded)
        with pytest.raises(SystemExit, match=f"cannot be tagged {demanded}"):
            hook.platform_of(library)
    monkeypatch.setenv("CRSQL_WHEEL_PLATFORM", honest)
    assert hook.platform_of(library) == honest


@LINUX
def test_a_library_that_needs_others_is_refused(hook: ModuleType) -> None:
    ssl = importlib.import_module("_ssl")
    if not getattr(ssl, "__file__", None):
        pytest.skip("this Python has no library file that needs another one")
    with pytest.raises(SystemExit, match="is no library for glibc alone; it needs .*libssl"):
        hook.platform_of(Path(str(ssl.__file__)))


def test_a_python_without_extension_loading_is_told_so() -> None:
    """A real one: that of the variable CRSQL_PYTHON_PLAIN, or the first one on the path."""
    python = os.environ.get("CRSQL_PYTHON_PLAIN") or shutil.which("python3")
    has_it = "import sqlite3; print(hasattr(sqlite3.Connection, 'enable_load_extension'))"

    def run(program: str) -> str:
        site = str(Path(crsql.__file__).parent.parent)
        done = subprocess.run(
            [str(python), "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": site},
        )
        return done.stdout.strip()

    if not python or run(has_it) == "True":
        pytest.skip(f"{python} can load extensions; name one that cannot in CRSQL_PYTHON_PLAIN")
    said = run(
        "import sqlite3, crsql\n"
        "try: crsql.Replica(sqlite3.connect(':memory:'))\n"
        "except crsql.LoadError as error: print(error)"
    )
    assert said.startswith("sqlite3.Connection of this Python was built without extension loading")
    assert "pysqlite3-binary" in said and "apsw" in said
