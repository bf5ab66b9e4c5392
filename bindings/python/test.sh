#!/usr/bin/env bash
# Tests the Python binding: bindings/python/test.sh LIBRARY
# Makes a wheel of that library, installs it into a fresh environment as a user would, and runs all
# tests in all drivers. PYTHON names the Python; without it the first that can load extensions.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -eq 1 ] || { echo "usage: $0 LIBRARY" >&2; exit 2; }
library=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
work=${CRSQL_BINDINGS_DIR:-$root/target/bindings/python}
mkdir -p "$work"
work=$(cd "$work" && pwd)
export CRSQL_BINDINGS_DIR=$work PYTHONDONTWRITEBYTECODE=1
unset CRSQL_LIBRARY CRSQL_WHEEL_PLATFORM PYTHONPATH

can_load='import sqlite3, sys; sys.exit(not hasattr(sqlite3.Connection, "enable_load_extension"))'
if [ -z "${PYTHON:-}" ]; then
    for PYTHON in python3 /usr/bin/python3 python; do
        ! "$PYTHON" -c "$can_load" 2>/dev/null || break
    done
fi
export PYTHON

rm -rf "$work/wheels" "$work/venv"
"$here/build_wheel.sh" "$work/wheels" "$library"
"$PYTHON" -m venv "$work/venv"
python=$work/venv/bin/python
[ -x "$python" ] || python=$work/venv/Scripts/python
"$python" -m pip install -q "$work"/wheels/crsql-*.whl
"$python" -m pip install -q -r "$here/tests/requirements.txt"

cd "$here"
drivers=(sqlite3)
"$python" -c "$can_load" || { drivers=(); echo "SKIPPED: sqlite3: $PYTHON cannot load extensions"; }
for pair in pysqlite3:pysqlite3-binary apsw:apsw; do
    if "$python" -m pip install -q "${pair#*:}"; then
        drivers+=("${pair%%:*}")
    else
        echo "SKIPPED: ${pair%%:*}: pip has no ${pair#*:} for this Python and platform"
    fi
done
[ ${#drivers[@]} -gt 0 ] || { echo "no driver could be tested" >&2; exit 1; }

failed=0
"$python" -m mypy --cache-dir "$work/mypy" --strict src/crsql recipes tests || failed=1
for name in "${drivers[@]}"; do
    echo "== $name"
    "$python" -m pytest -q tests/drivers --driver "$name" || failed=1
done
echo "== the package, its README and its recipes"
package=(tests/package)
if [ "${drivers[0]}" != sqlite3 ]; then
    package=(tests/package/test_wheel.py)
    echo "SKIPPED: README and recipes, which are for sqlite3"
fi
"$python" -m pytest -q "${package[@]}" || failed=1
[ $failed -eq 0 ] && echo "bindings/python: all passed" || echo "bindings/python: FAILED"
exit $failed
