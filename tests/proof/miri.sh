#!/usr/bin/env bash
# The tests of floor 0 in Miri, an interpreter that stops at undefined behaviour: `tests/proof/miri.sh`.
# Floor 0 has no unsafe code of its own; this looks at what it asks of `core`, `alloc` and serde_json.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! rustup +nightly component add miri rust-src; then
    echo "Miri is missing: it is a component of nightly Rust, which rustup could not install here."
    exit 1
fi
# Few random cases, because Miri is some hundred times slower. Proptest asks for the folder it is in.
export PROPTEST_CASES=${PROPTEST_CASES:-4} CRSQL_CASES=${CRSQL_CASES:-4}
export MIRIFLAGS=${MIRIFLAGS:--Zmiri-disable-isolation}
exec ${CARGO:-cargo} +nightly miri test --locked --target-dir target/miri --lib words::
