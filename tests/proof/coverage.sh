#!/usr/bin/env bash
# The lines and branches of src/ that the tests reach, by file: `tests/proof/coverage.sh`.
#
# The compiler counts for itself; the tools that read its counts are the toolchain's own, because they
# have to be of its version. What stands under `#[cfg(test)]` is not counted.
set -euo pipefail
cd "$(dirname "$0")/../.."

bin=$(dirname "$(rustc --print target-libdir)")/bin
if [ ! -x "$bin/llvm-cov" ] && ! rustup component add llvm-tools; then
    echo "llvm-cov is missing: it is in the component llvm-tools, which rustup could not install here."
    exit 1
fi
out=target/coverage
rm -rf "$out/counts"
mkdir -p "$out/counts"
# Branches are counted by nightly's compiler only, or by one that is told to behave as such.
export RUSTC_BOOTSTRAP=1 RUST_BACKTRACE=0 CARGO_PROFILE_DEV_DEBUG=0
export RUSTFLAGS="-C instrument-coverage -Z coverage-options=branch"
export LLVM_PROFILE_FILE=$PWD/$out/counts/%8m.profraw
if ! ${CARGO:-cargo} test --locked --target-dir "$out" > "$out/log" 2>&1; then
    tail -n 40 "$out/log"
    exit 1
fi

# The programs that ran, and the library that they load.
objects=("$out/debug/deps/libcrsql.so")
while read -r program; do objects+=("$program"); done < <(
    sed -n 's/^ *Running .*(\(.*\))$/\1/p' "$out/log")
"$bin/llvm-profdata" merge --sparse --failure-mode=all -o "$out/all.profdata" "$out"/counts/*.profraw
"$bin/llvm-cov" export --format=lcov --instr-profile="$out/all.profdata" \
    "${objects[@]/#/--object=}" --sources src > "$out/all.lcov"
awk -f tests/proof/coverage.awk "$out/all.lcov"
