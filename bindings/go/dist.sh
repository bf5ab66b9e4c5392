#!/usr/bin/env bash
# Packs what a Go program needs to link crsql in: `dist.sh OUTDIR LIBRARY [STATIC]`. The archive has
# the module, and in its folder lib the library file and the static library, without debug symbols.
# STATIC is built when it is not given.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
library=$2
static=${3:-}

[ -n "$static" ] || static=$("$here/../static_library.sh")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
module=$work/crsql-go
mkdir -p "$module/static" "$module/recipes" "$module/lib"
cp "$here"/{go.mod,go.sum,README.md} "$root"/LICENSE-* "$module"
for folder in . static recipes/http recipes/crsqlite; do
    mkdir -p "$module/$folder"
    find "$here/$folder" -maxdepth 1 -name '*.go' ! -name '*_test.go' \
        -exec cp {} "$module/$folder" \;
done
cp "$library" "$module/lib/crsql.${library##*.}"
cp "$static" "$module/lib/libcrsql.a"
strip -S "$module/lib"/*

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -1)
name=crsql-go-$version-$(go env GOOS)-$(go env GOARCH).tar.gz
tar -czf "$out/$name" -C "$work" crsql-go
echo "packed $out/$name"
