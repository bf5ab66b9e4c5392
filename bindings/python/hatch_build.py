"""Puts the library into the wheel, and gives the wheel the tag that the library deserves.

CRSQL_LIBRARY names the library; without it, it is the one that `make build` leaves at the root of
the repository. CRSQL_WHEEL_PLATFORM demands a tag: a library that needs more is refused.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What every Linux with glibc has, as the manylinux rules list it.
SYSTEM_LIBRARIES = re.compile(
    r"(lib(c|m|dl|rt|pthread|gcc_s|util)\.so\.\d+|ld-linux[\w-]*\.so\.\d+)"
)
# pip knows no manylinux tag before this one.
GLIBC_MIN = (2, 17)
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def glibc_of(elf: ELFFile, file: Path) -> tuple[int, int]:
    """The oldest glibc that has every symbol that the library asks for."""
    needed = []
    versions = [GLIBC_MIN]
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            needed += [tag.needed for tag in section.iter_tags("DT_NEEDED")]
        if isinstance(section, GNUVerNeedSection):
            for _, symbols in section.iter_versions():
                names = (re.match(r"GLIBC_(\d+)\.(\d+)", symbol.name) for symbol in symbols)
                versions += [(int(name[1]), int(name[2])) for name in names if name]
    foreign = [name for name in needed if not SYSTEM_LIBRARIES.fullmatch(name)]
    if foreign or "libc.so.6" not in needed:
        raise SystemExit(f"{file} is no library for glibc alone; it needs {', '.join(needed)}")
    return max(versions)


def platform_of(file: Path) -> str:
    """The platform's part of the wheel's tag, from the library itself where that can be read."""
    if sys.platform == "darwin":
        # As rustc has it: a Python may be for two kinds of machine, crsql is for one.
        machine = platform.machine()
        oldest = os.environ.get("MACOSX_DEPLOYMENT_TARGET")
        oldest = oldest or {"arm64": "11.0"}.get(machine, "10.12")
        return f"macosx_{oldest.replace('.', '_')}_{machine}"
    if sys.platform == "win32":
        return sysconfig.get_platform().replace("-", "_")
    with file.open("rb") as stream:
        elf = ELFFile(stream)
        machine = {"x64": "x86_64", "AArch64": "aarch64"}.get(elf.get_machine_arch())
        if machine is None:
            raise SystemExit(f"{file} is for {elf.get_machine_arch()}, which has no tag here yet")
        glibc = glibc_of(elf, file)
    demanded = os.environ.get("CRSQL_WHEEL_PLATFORM")
    if not demanded:
        return "manylinux_{}_{}_{}".format(*glibc, machine)
    parts = re.fullmatch(r"manylinux_(\d+)_(\d+)_(\w+)", demanded)
    if not parts or parts[3] != machine or (int(parts[1]), int(parts[2])) < glibc:
        found = "glibc {}.{} on {}".format(*glibc, machine)
        raise SystemExit(f"{file} needs {found}, so its wheel cannot be tagged {demanded}")
    return demanded


class LibraryHook(BuildHookInterface[Any]):
    """The hook that hatchling calls."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the wheel is written."""
        if version == "editable":
            return
        root = Path(self.root).parent.parent
        library = Path(os.environ.get("CRSQL_LIBRARY") or root / f"crsql{SUFFIX}").absolute()
        if not library.is_file():
            raise SystemExit(f"no library {library}: run `make build`, or set CRSQL_LIBRARY")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_of(library)}"
        licenses = f"crsql-{self.metadata.version}.dist-info/licenses"
        build_data["force_include"][str(library)] = f"crsql/crsql{SUFFIX}"
        for name in ("LICENSE-MIT", "LICENSE-APACHE"):
            build_data["force_include"][str(root / name)] = f"{licenses}/{name}"
