#!/usr/bin/env bash
# Packs crsql for C: `dist.sh OUTDIR LIBRARY [STATIC]`. The archive unpacks into include, lib and
# lib/pkgconfig, without debug symbols. STATIC is built when it is not given.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
library=$2
static=${3:-}

# What the static library needs of the system, by the compiler that made it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'pub extern "C" fn f() {}' >"$work/empty.rs"
system=$(cd "$root" && rustc --crate-type staticlib --print native-static-libs \
    -o "$work/empty.a" "$work/empty.rs" 2>&1 | sed -n 's/.*native-static-libs: //p')

[ -n "$static" ] || static=$("$here/../static_library.sh")

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -1)
name=crsql-c-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
tree=$work/$name
mkdir -p "$tree/include" "$tree/lib/pkgconfig" "$tree/share/doc/crsql"
cp "$here/crsql.h" "$tree/include"
cp "$library" "$tree/lib/crsql.${library##*.}"
cp "$static" "$tree/lib/libcrsql.a"
strip -S "$tree/lib"/crsql.* "$tree/lib/libcrsql.a"
# The prefix is where the file is, wherever the tree is unpacked.
sed -e 's|@PREFIX@|${pcfiledir}/../..|' -e "s|@VERSION@|$version|" \
    -e "s|@SYSTEM_LIBS@|$system|" "$here/crsql.pc.in" >"$tree/lib/pkgconfig/crsql.pc"
cp "$here"/{README.md,example.c} "$root"/LICENSE-* "$tree/share/doc/crsql"
tar -czf "$out/$name.tar.gz" -C "$work" "$name"
echo "packed $out/$name.tar.gz"
