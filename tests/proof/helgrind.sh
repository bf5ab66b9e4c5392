#!/usr/bin/env bash
# The tests in which many threads work at once, under helgrind: `tests/proof/helgrind.sh [VALGRIND]`.
# What it cannot know stands in helgrind.supp, with the reason.
set -euo pipefail
cd "$(dirname "$0")/../.."

runner="['${1:-valgrind}', '--tool=helgrind', '--quiet', '--error-exitcode=9', '--fair-sched=try',
    '--gen-suppressions=all',
    '--suppressions=$PWD/tests/proof/helgrind.supp']"
# One test at a time, in the main thread: the only threads are those that a test starts.
exec ${CARGO:-cargo} test --locked --config "target.'cfg(unix)'.runner = ${runner//$'\n'/}" \
    --test threads --test host -- thread --test-threads=1
