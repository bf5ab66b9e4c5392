"""Every code block of the README runs, in order, in one program; every recipe is listed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import crsql
import pytest

from conftest import ROOT

PACKAGE = ROOT / "bindings/python"
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_first_block_installs_the_next_six_lines_work() -> None:
    assert [kind for kind, _ in BLOCKS[:2]] == ["sh", "python"]
    lines = [line for line in BLOCKS[1][1].splitlines() if line]
    assert len(lines) == 6


def test_python_blocks_run_as_one_program(tmp_path: Path) -> None:
    program = "\n".join(text for kind, text in BLOCKS if kind == "python")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "[('written on A',)]"
    assert f"('{crsql.__version__}',) {crsql.__version__}" in lines
    assert lines[-1].startswith("there is no table nobody")


def test_the_first_lines_work_when_pasted_into_a_prompt(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-i"],
        input=BLOCKS[1][1],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Error" not in done.stderr
    assert done.stdout.splitlines()[-1] == "[('written on A',)]"


def test_shell_blocks_run() -> None:
    """In this environment, where the wheel that is tested is installed already."""
    blocks = [text for kind, text in BLOCKS if kind == "sh"]
    for text in blocks:
        command = re.sub(r"^pip ", f"'{sys.executable}' -m pip ", text, flags=re.MULTILINE)
        subprocess.run(["sh", "-ec", command], check=True, timeout=60)
    assert len(blocks) + sum(kind == "python" for kind, _ in BLOCKS) == len(BLOCKS)


@pytest.mark.parametrize("recipe", sorted(path.name for path in PACKAGE.glob("recipes/*.py")))
def test_recipes_run_and_are_listed(recipe: str, tmp_path: Path) -> None:
    assert f"| `{recipe}` |" in README
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PACKAGE / "recipes" / recipe)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    # What only serves two others has nothing to show.
    assert bool(done.stdout) == (recipe != "told.py")
    assert not list(tmp_path.iterdir())
