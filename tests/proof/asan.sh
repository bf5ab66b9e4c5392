#!/usr/bin/env bash
# Every test under AddressSanitizer and LeakSanitizer: `tests/proof/asan.sh [ARGUMENTS OF cargo test]`.
#
# Rust's runtime of the sanitizer is in every toolchain of x86-64 Linux, and is linked into the test
# programs; the library that they load uses theirs. SQLite is compiled with it too. The stock shell
# is not, so that it gets gcc's runtime preloaded when it loads the library.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=x86_64-unknown-linux-gnu
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "AddressSanitizer is set up here for x86-64 Linux only; this is $(uname -sm)."
    exit 1
fi
runtime=$(${CC:-gcc} -print-file-name=libasan.so)
if [ ! -e "$runtime" ]; then
    echo "AddressSanitizer's runtime for the sqlite3 shell is missing: install gcc."
    exit 1
fi
out=target/asan
mkdir -p "$out"
printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$runtime" "$(command -v "${SQLITE3:-sqlite3}")" \
    > "$out/sqlite3"
chmod +x "$out/sqlite3"

export RUSTC_BOOTSTRAP=1 RUST_BACKTRACE=0 CARGO_PROFILE_DEV_DEBUG=1
export RUSTFLAGS="-Z sanitizer=address -C force-frame-pointers=yes -C link-arg=-Wl,--export-dynamic"
export CFLAGS_x86_64_unknown_linux_gnu="-fsanitize=address -fno-omit-frame-pointer"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} SQLITE3=$PWD/$out/sqlite3
exec ${CARGO:-cargo} test --locked --no-fail-fast --target "$target" --target-dir "$out" "$@"
