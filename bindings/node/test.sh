#!/usr/bin/env bash
# Packs the library that is given, installs the packages beside every driver as a user does, and
# runs all tests. What it installs is kept in $CRSQL_BINDINGS_DIR for the next time.
# usage: test.sh LIBRARY
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: test.sh LIBRARY" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
library=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
work=${CRSQL_BINDINGS_DIR:-$here/../../target/bindings/node}
mkdir -p "$work"
work=$(cd "$work" && pwd)
unset CRSQL_LIBRARY

quietly() { # LOG COMMAND...: shows what a command printed only when it fails
    local log=$work/$1.log
    shift
    "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}

install() { # FOLDER PACKAGE...
    local folder=$1
    shift
    mkdir -p "$folder"
    [ -f "$folder/package.json" ] || echo '{ "private": true }' >"$folder/package.json"
    (cd "$folder" && npm install --no-audit --no-fund "$@")
}

# The runtimes. The first is the machine's own Node, the others come from npm.
runtimes=$work/runtimes
[ -x "$runtimes/node_modules/.bin/deno" ] \
    || quietly runtimes install "$runtimes" node@24 bun@1 deno@2
node24=$(dirname "$(find -L "$runtimes/node_modules/node/bin" -name 'node*' -type f | head -1)")
bun=$runtimes/node_modules/.bin/bun
deno=$runtimes/node_modules/.bin/deno

# The drivers, one folder for each Node, as they are compiled where no built ones can be fetched.
loads() { # FOLDER PROGRAM: whether node, as it is in PATH, runs the program there
    (cd "$1" && node -e "$2") >/dev/null 2>&1
}

driver() { # FOLDER PACKAGE VERSION PROGRAM
    mkdir -p "$1"
    loads "$1" "$4" && return
    if ! quietly "$(basename "$1")-$2" install "$1" "$2@$3" || ! loads "$1" "$4"; then
        echo "SKIPPED: $2 on node $(node -p process.versions.node): it cannot be installed here"
        return 1
    fi
}

drivers() { # FOLDER
    # npm takes the newest that fits the Node: 12 aborts on Node 24.19 and later, 13 needs Node 22.
    driver "$1" better-sqlite3 '12 || 13' 'new (require("better-sqlite3"))(":memory:")' || true
    driver "$1" sqlite3 6 'new (require("sqlite3").Database)(":memory:")' || true
}

first=$work/first second=$work/second
drivers "$first"
headers=$(find -L "$runtimes/node_modules/node" -path '*/include/node/node.h' | head -1)
(
    PATH=$node24:$PATH
    [ -z "$headers" ] || export npm_config_nodedir=${headers%/include/node/node.h}
    drivers "$second"
)
loads "$second" 'require("fastify"); require.resolve("@types/node/sqlite.d.ts")' \
    || quietly tools install "$second" fastify@5 typescript@7 @types/node@24 \
        @types/better-sqlite3@7 bun-types@1

# The packages, as a user gets them.
packages=$work/packages
rm -rf "$packages"
"$here/pack.sh" "$packages" "$library" >/dev/null
for folder in "$first" "$second"; do
    rm -rf "$folder/node_modules/crsql"* "$folder/test"
    quietly packages install "$folder" --no-save "$packages"/*.tgz
    cp -R "$here/test" "$folder/test"
    cp "$here/../conformance/script.json" "$folder/test"
done
cp -R "$here/recipes" "$here/README.md" "$second/test"

# The tests. A line for each driver; what they printed is kept, and shown where one failed.
export CI=1 NO_COLOR=1
failed=0

report() { # NAME LOG STATUS
    local passed
    passed=$(sed -n 's/^# pass //p' "$2")
    if [ "$3" -eq 0 ] && [ "${passed:-0}" -gt 0 ]; then
        echo "$(sed -n 's/^DRIVER //p' "$2" | grep . || echo "$1"): $passed cases passed"
    else
        cat "$2"
        echo "FAILED: $1"
        failed=1
    fi
}

check() { # NAME FOLDER COMMAND...
    local name=$1 folder=$2 status=0
    shift 2
    local log=$work/${name//[^a-z0-9]/-}.log
    (cd "$folder/test" && "$@") >"$log" 2>&1 || status=$?
    report "$name" "$log" "$status"
}

for bin in "$(dirname "$(command -v node)")" "$node24"; do
    node=$bin/node
    folder=$second
    [ "$bin" = "$node24" ] || folder=$first
    for driver in better-sqlite3 node:sqlite sqlite3; do
        probe="require('$driver')"
        if ! (cd "$folder" && "$node" -e "$probe") >/dev/null 2>&1; then
            # What cannot be installed has been named already.
            [ "$driver" != node:sqlite ] \
                || echo "SKIPPED: node:sqlite on node $("$node" -p process.versions.node): too old"
            continue
        fi
        check "$driver on $("$node" -v)" "$folder" \
            env DRIVER="$driver" "$node" --test-reporter=tap driver.test.cjs
    done
done
check "bun:sqlite on bun" "$second" env DRIVER=bun:sqlite "$bun" runner.cjs
# The permissions that README.md names; the tests themselves also start processes.
check "node:sqlite on deno" "$second" env DRIVER=node:sqlite "$deno" run --allow-ffi --allow-read \
    --allow-write --allow-env --allow-run --allow-sys runner.cjs
check "package, types, recipes, README" "$second" \
    env BUN="$bun" PACKAGES="$(echo "$packages"/*.tgz)" \
    "$node24/node" --test-reporter=tap package.test.cjs
exit "$failed"
