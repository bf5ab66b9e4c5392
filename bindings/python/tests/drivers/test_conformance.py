"""What every binding does: bindings/conformance/script.json, in every driver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import crsql
import pytest

from conftest import ROOT, Driver

SCRIPT = json.loads((ROOT / "bindings/conformance/script.json").read_text(encoding="utf-8"))
INSERT = "INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def from_json(value: Any) -> Any:
    """A value of the script as the driver has it."""
    if isinstance(value, dict):
        return float(value["real"]) if "real" in value else bytes.fromhex(value["blob"])
    return value


def same(got: Any, wanted: Any) -> bool:
    """Equal, and of one class: 2.0 is not 2."""
    return type(got) is type(wanted) and bool(got == wanted)


class Case:
    """One case: its replicas, each in a file of its own, and a method per kind of step."""

    def __init__(self, driver: Driver, folder: Path, names: list[str]) -> None:
        self.driver = driver
        self.folder = folder
        self.replicas = {name: self.open(name) for name in names}

    def open(self, name: str) -> crsql.Replica:
        conn = self.driver.connect(self.folder / f"{name}.db")
        crsql.load(conn)
        return crsql.Replica(conn)

    def close(self) -> None:
        for replica in self.replicas.values():
            replica.conn.close()

    def query(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        return list(self.replicas[name].conn.cursor().execute(sql))

    def run(self, step: dict[str, Any]) -> None:
        error = step.get("error")
        if error is None:
            self.perform(step)
            return
        with pytest.raises(self.driver.errors) as raised:
            self.perform(step)
        assert error in str(raised.value)

    def perform(self, step: dict[str, Any]) -> None:
        known = {"on", "error", "rows", "report", "max_bytes", "count"}
        [kind] = [key for key in step if key not in known]
        getattr(self, f"do_{kind}")(step)

    def do_exec(self, step: dict[str, Any]) -> None:
        self.query(step["on"], step["exec"])

    def do_query(self, step: dict[str, Any]) -> None:
        got = self.query(step["on"], step["query"])
        wanted = [tuple(map(from_json, row)) for row in step["rows"]]
        assert len(got) == len(wanted), got
        for got_row, wanted_row in zip(got, wanted):
            assert len(got_row) == len(wanted_row)
            assert all(map(same, got_row, wanted_row)), (got_row, wanted_row)

    def do_enable(self, step: dict[str, Any]) -> None:
        self.replicas[step["on"]].enable(step["enable"])

    def do_apply(self, step: dict[str, Any]) -> None:
        self.replicas[step["on"]].apply(from_json(step["apply"]))

    def take(self, target: str, source: str, limits: dict[str, int]) -> Any:
        blob = self.replicas[source].pull(self.replicas[target].vector(), **limits)
        return None if blob is None else self.replicas[target].apply(blob)

    def limits(self, step: dict[str, Any]) -> dict[str, int]:
        return {"max_bytes": step["max_bytes"]} if "max_bytes" in step else {}

    def do_pull(self, step: dict[str, Any]) -> None:
        report = self.take(step["on"], step["pull"], self.limits(step))
        if "report" not in step:
            assert report is not None
        elif step["report"] is None:
            assert report is None
        else:
            assert {key: report[key] for key in step["report"]} == step["report"]

    def do_pull_all(self, step: dict[str, Any]) -> None:
        while True:
            report = self.take(step["on"], step["pull_all"], self.limits(step))
            if report is None or not report["new"]:
                return

    def do_sync(self, step: dict[str, Any]) -> None:
        crsql.sync(*(self.replicas[name] for name in step["sync"]))

    def do_copy(self, step: dict[str, Any]) -> None:
        source, target = self.replicas[step["copy"]], self.replicas[step["on"]]
        cursor = target.conn.cursor()
        cursor.execute("BEGIN")
        vector = source.vector()
        count = 0
        for change in source.changes(target.vector()):
            cursor.execute(INSERT, change)
            count += 1
        assert list(cursor.execute("SELECT crsql_seen(?)", (vector,))) == [("OK",)]
        cursor.execute("COMMIT")
        assert count == step["count"]

    def do_equal(self, step: dict[str, Any]) -> None:
        digests = {self.query(name, "SELECT crsql_digest()")[0] for name in step["equal"]}
        assert len(digests) == 1

    def do_reopen(self, step: dict[str, Any]) -> None:
        name = step["on"]
        self.replicas[name].conn.close()
        self.replicas[name] = self.open(name)

    def do_exact(self, step: dict[str, Any]) -> None:
        found = self.query(step["on"], step["exact"])
        assert found
        for number, text in found:
            assert type(number) is int and number < 2**53 and str(number) == text


def test_the_script_is_of_the_version_that_is_run() -> None:
    assert SCRIPT["version"] == 1


@pytest.mark.parametrize("case", SCRIPT["cases"], ids=lambda case: case["name"].replace(" ", "-"))
def test_conforms(driver: Driver, case: dict[str, Any], tmp_path: Path) -> None:
    run = Case(driver, tmp_path, case["replicas"])
    try:
        for name in case["replicas"]:
            for step in case.get("setup", []):
                run.run({"on": name, **step})
        for step in case["steps"]:
            run.run(step)
    finally:
        run.close()
