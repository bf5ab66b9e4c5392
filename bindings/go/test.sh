#!/usr/bin/env bash
# Every test of the Go binding with every driver: `test.sh LIBRARY [STATIC]`. STATIC is libcrsql.a,
# built when it is not given. Needs Go and a C compiler; leaves what it makes in CRSQL_BINDINGS_DIR.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
library=$(realpath "$1")
static=${2:+$(realpath "$2")}
dir=${CRSQL_BINDINGS_DIR:-$root/target/bindings/go}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
files=$dir/files
log=$dir/test.log
cd "$here"

# What the README calls /path/to: the library, the static one and the archive that a user gets.
rm -rf "$files"
[ -n "$static" ] || static=$(../static_library.sh)
./dist.sh "$files" "$library" "$static"
cp "$library" "$files/crsql.${library##*.}"
cp "$static" "$files/libcrsql.a"

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "not as gofmt writes it: $unformatted" >&2; exit 1; }
export CRSQL_LIBRARY=$library GOWORK=off GOFLAGS=-mod=readonly
go vet ./...

# check NAME ARGUMENTS...: go test, all of its words in case of a failure, else what matters.
check() {
    echo "== $1"
    shift
    go test -count=1 -v "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }
    grep -E '^(driver|SKIPPED|ok)' "$log"
}

CRSQL_TEST_FILES=$files check "go-sqlite3, and the README as a user" .
CGO_LDFLAGS=-L$files check "linked in" ./static
check "the race detector" -race -run 'Pool|Watch|Memory|Connection' .
if echo '#include <sqlite3.h>' | cc -E - >/dev/null 2>&1; then
    check "the system's SQLite" -tags libsqlite3 -run 'Conformance|Pool|Watch|Errors|Loading' .
    check "without loading" -tags "libsqlite3 sqlite_omit_load_extension" -run LeftOut .
else
    echo "SKIPPED: go-sqlite3 with -tags libsqlite3: sqlite3.h is missing (package libsqlite3-dev)"
fi
echo "all passed"
