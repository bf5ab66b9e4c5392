"""Devices that share a folder: a USB stick, a network drive, a synced directory.

Each device writes what was not told there yet into one more file, and merges the files that it has
not read. A file gets its name when it is whole and on the disk, so nobody reads half of one. After
a crash the same is told or read once more, which does no harm.

    pip install crsql
    python shared_folder.py
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import uuid
from pathlib import Path

import crsql
from told import Told

BYTES_MAX = 16 << 20
SCHEMA = """
CREATE TABLE IF NOT EXISTS note(id TEXT PRIMARY KEY NOT NULL, body TEXT);
-- Of this device alone, so not replicated.
CREATE TABLE IF NOT EXISTS file_read(name TEXT PRIMARY KEY NOT NULL);
"""


class Device:
    """A database, and the folder that it shares with others."""

    def __init__(self, file: Path, folder: Path) -> None:
        self.conn = sqlite3.connect(file, isolation_level=None)
        self.replica = crsql.Replica(self.conn)
        self.conn.executescript(SCHEMA)
        self.replica.enable("note")
        self.told = Told(self.replica, self.conn)
        self.folder = folder

    def exchange(self) -> None:
        """Reads first, so that nothing is told that the folder has."""
        read = {name for (name,) in self.conn.execute("SELECT name FROM file_read")}
        for file in sorted(self.folder.glob("*.changes")):
            if file.name not in read:
                self._read(file)
        while (blob := self.told.next(BYTES_MAX)) is not None:
            self._write(blob)

    def _read(self, file: Path) -> None:
        blob = file.read_bytes()
        report = self.replica.apply(blob)
        self.told.add(blob)
        # What was cut is from a clock that is ahead: the file is read again until it fits.
        if not report["cut"]:
            self.conn.execute("INSERT OR IGNORE INTO file_read VALUES (?)", (file.name,))

    def _write(self, blob: bytes) -> None:
        name = f"{uuid.uuid4().hex}.changes"
        hidden = self.folder / f"{name}.tmp"
        with hidden.open("wb") as stream:
            stream.write(blob)
            stream.flush()
            os.fsync(stream.fileno())
        hidden.rename(self.folder / name)
        sync_folder(self.folder)
        self.told.add(blob)
        self.conn.execute("INSERT INTO file_read VALUES (?)", (name,))


def sync_folder(folder: Path) -> None:
    """Puts a new name on the disk, before anybody counts on it. Windows does so by itself."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def main() -> None:
    """Three devices, one of them late, and a crash in the middle of writing a file."""
    with tempfile.TemporaryDirectory() as home:
        stick = Path(home, "stick")
        stick.mkdir()
        names = ("laptop", "phone", "tablet")
        devices = [Device(Path(home, f"{name}.db"), stick) for name in names]
        for name, device in zip(names, devices):
            device.conn.execute("INSERT INTO note VALUES (?, ?)", (name, f"from the {name}"))
        Path(stick, "half.changes.tmp").write_bytes(b"crsql, but not all of it")

        for device in (*devices, *devices):
            device.exchange()
        written = len(list(stick.glob("*.changes")))
        for device in devices:
            device.exchange()
        assert len(list(stick.glob("*.changes"))) == written == len(devices)

        [digest] = {device.conn.execute("SELECT crsql_digest()").fetchone() for device in devices}
        notes = devices[0].conn.execute("SELECT id FROM note ORDER BY id").fetchall()
        assert [name for (name,) in notes] == sorted(names)
        print(f"{len(devices)} devices, {written} files, all have", [name for (name,) in notes])
        for device in devices:
            device.conn.close()


if __name__ == "__main__":
    main()
