#!/usr/bin/env bash
# Builds the wheel: bindings/python/build_wheel.sh OUTDIR [LIBRARY]
# With a LIBRARY that one goes into it. Without, crsql is built by zig for old Linuxes (glibc 2.17,
# manylinux_2_17), or, where zig cannot be had, plainly. The tag says what the library itself needs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -ge 1 ] || { echo "usage: $0 OUTDIR [LIBRARY]" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=${CRSQL_BINDINGS_DIR:-$root/target/bindings/python}
tools=$work/tools
export PYTHONDONTWRITEBYTECODE=1

[ -d "$tools" ] || "${PYTHON:-python3}" -m venv "$tools"
python=$tools/bin/python
[ -x "$python" ] || python=$tools/Scripts/python

# Sets `library` to one that zig linked against glibc 2.17.
build_with_zig() {
    "$python" -m pip install -q cargo-zigbuild ziglang || return
    local triple
    triple=$(uname -m)-unknown-linux-gnu
    if command -v rustup >/dev/null; then rustup target add "$triple" || return; fi
    PATH="$tools/bin:$PATH" cargo zigbuild --release --locked --lib \
        --target "$triple.2.17" --target-dir "$work/zig" || return
    library=$work/zig/$triple/release/libcrsql.so
}

# Sets `library` to one for machines as new as this one.
build_plain() {
    (cd "$root" && cargo build --release --locked --lib --target-dir "$work/plain")
    for library in "$work"/plain/release/{libcrsql.so,libcrsql.dylib,crsql.dll}; do
        [ ! -f "$library" ] || break
    done
}

if [ $# -ge 2 ]; then
    library=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
else
    export CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=symbols
    cd "$root"
    if [ "$(uname -s)" != Linux ]; then
        build_plain
    elif ! build_with_zig; then
        echo "zig cannot be had or failed here: a plain build, for Linuxes as new as this one" >&2
        build_plain
    fi
fi
CRSQL_LIBRARY=$library "$python" -m pip wheel -q --no-deps --wheel-dir "$out" "$here"
ls "$out"/crsql-*.whl
