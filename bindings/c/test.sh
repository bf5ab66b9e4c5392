#!/usr/bin/env bash
# Every test of the C binding, loaded and linked in: `test.sh LIBRARY [STATIC]`. STATIC is
# libcrsql.a, built when it is not given. Needs a C compiler, pkg-config and SQLite's development
# files, which it installs if it may; leaves what it makes in CRSQL_BINDINGS_DIR.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
library=$(realpath "$1")
static=${2:+$(realpath "$2")}
dir=${CRSQL_BINDINGS_DIR:-$root/target/bindings/c}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
cd "$here"

if ! pkg-config --exists 'sqlite3 >= 3.38'; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        apt-get install -qq -y libsqlite3-dev pkg-config
    else
        echo "SQLite's development files are missing: install libsqlite3-dev and pkg-config" >&2
        exit 1
    fi
fi
[ -n "$static" ] || static=$(../static_library.sh)

# The archive, unpacked as a user does.
rm -rf "$dir/dist" "$dir/user" "$dir/run"
./dist.sh "$dir/dist" "$library" "$static"
mkdir -p "$dir/user" "$dir/run"
tar -xzf "$dir"/dist/*.tar.gz -C "$dir/user"
installed=$(echo "$dir"/user/crsql-c-*)
export PKG_CONFIG_PATH=$installed/lib/pkgconfig
export CRSQL_LIBRARY=$installed/lib/crsql.${library##*.}

strict() { cc -g -O1 -Wall -Wextra -Werror -std=c11 "$@"; }
read -ra with_sqlite < <(pkg-config --cflags --libs sqlite3)
read -ra with_crsql < <(pkg-config --cflags --libs crsql)
for program in example conformance errors; do
    strict "$program.c" -I"$installed/include" "${with_sqlite[@]}" -o "$dir/run/$program-loaded"
done
for program in example conformance; do
    strict -DCRSQL_LINKED "$program.c" "${with_crsql[@]}" -o "$dir/run/$program-linked"
done
"$dir/run/errors-loaded" "$CRSQL_LIBRARY"

watched=()
if command -v valgrind >/dev/null; then
    watched=(valgrind --quiet --error-exitcode=9 --leak-check=full)
else
    echo "SKIPPED: valgrind: it is not installed"
fi

# The linked programs must not need the file.
without=(env CRSQL_LIBRARY=/there/is/no/such/file)
for way in loaded linked; do
    [ "$way" = loaded ] && by=() || by=("${without[@]}")
    said=$("${by[@]}" "${watched[@]}" "$dir/run/example-$way")
    [ "$said" = $'ann: milk, bread\nben: milk, bread' ] || { echo "$said" >&2; exit 1; }
    for checked in plain valgrind; do
        [ "$checked" = plain ] && under=() || under=("${watched[@]}")
        [ "$checked" = plain ] || [ ${#watched[@]} -gt 0 ] || continue
        rm -rf "$dir/run/files"
        mkdir "$dir/run/files"
        "${by[@]}" "${under[@]}" "$dir/run/conformance-$way" ../conformance/script.json \
            "$dir/run/files" >"$dir/run/log" || { cat "$dir/run/log"; exit 1; }
        echo "driver: C, $way, $checked, $(tail -1 "$dir/run/log")"
    done
done

./readme.sh "$dir/run" "$installed"
echo "all passed"
