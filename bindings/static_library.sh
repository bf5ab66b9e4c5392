#!/usr/bin/env bash
# Builds libcrsql.a, for the bindings that link crsql in, and prints where it is.
set -euo pipefail
cd "$(dirname "$0")/.."
built=${CRSQL_BINDINGS_DIR:-$PWD/target/bindings}/cargo
cargo rustc --release --locked --lib --crate-type staticlib --target-dir "$built" >&2
echo "$built/release/libcrsql.a"
