#!/usr/bin/env bash
# Runs the tests of the bindings: bindings/test.sh LIBRARY [BINDING ...]
# Each one installs its drivers under target/bindings and runs the conformance script in all of them.
# What cannot be run on this machine says SKIPPED and why; all of that is told again at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: bindings/test.sh LIBRARY [BINDING ...]" >&2; exit 2; }
library=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
[ $# -gt 0 ] || set -- rust python node go c

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=()
rust() {
    cargo test --locked --test conformance &&
        cargo test --locked --features register --doc &&
        cargo run --locked --features register --example two_phones
}
for binding in "$@"; do
    printf '\n== %s (%d s)\n' "$binding" "$SECONDS"
    case $binding in
        rust) rust ;;
        python | node | go | c) "bindings/$binding/test.sh" "$library" ;;
        *) echo "there is no binding $binding" >&2; exit 2 ;;
    esac 2>&1 | tee "$logs/$binding" || failed+=("$binding")
done

printf '\n== in all (%d s)\n' "$SECONDS"
grep -h '^SKIPPED' "$logs"/* || echo "nothing was skipped"
if [ ${#failed[@]} -gt 0 ]; then
    echo "FAILED: ${failed[*]}"
    exit 1
fi
echo "all passed: $*"
