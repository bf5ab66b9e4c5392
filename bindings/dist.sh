#!/usr/bin/env bash
# Builds every package for this platform into a folder, with SHA256SUMS: bindings/dist.sh OUTDIR
# On Linux all of them hold one library, which is linked for glibc 2.17 and later where zig can be had
# (python/build_wheel.sh). Node and Go are packed where their tools are installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { echo "usage: bindings/dist.sh OUTDIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
[ -z "$(ls -A "$out")" ] || { echo "$out is not empty; name a new folder" >&2; exit 2; }
root=$(cd "$here/.." && pwd)
cd "$root"
work=$root/target/bindings/dist
export CRSQL_BINDINGS_DIR=$work
# Nothing of an older build may be packed.
rm -f "$work"/{zig,plain}/{,*/}release/*crsql.*

"$here/python/build_wheel.sh" "$out"
library= static=
for found in "$work"/{zig/*/,plain/}release/{libcrsql.so,libcrsql.dylib,crsql.dll}; do
    [ ! -f "$found" ] || library=$found
done
for found in "$work"/{zig/*/,plain/}release/{libcrsql.a,crsql.lib}; do
    [ ! -f "$found" ] || static=$found
done
[ -n "$library" ] && [ -n "$static" ] || { echo "no library was built" >&2; exit 1; }

packed() { command -v "$1" >/dev/null || { echo "SKIPPED: $2: $1 is not installed"; return 1; }; }
"$here/c/dist.sh" "$out" "$library" "$static"
if packed go "the Go package"; then "$here/go/dist.sh" "$out" "$library" "$static"; fi
if packed npm "the npm packages"; then "$here/node/pack.sh" "$out" "$library"; fi
cargo package --locked --quiet --allow-dirty --no-verify --target-dir "$work/crate"
cp "$work"/crate/package/crsql-*.crate "$out"

cd "$out"
sha=(sha256sum)
command -v sha256sum >/dev/null || sha=(shasum -a 256)
"${sha[@]}" -- *.* >SHA256SUMS
cat SHA256SUMS
