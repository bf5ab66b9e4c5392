#!/usr/bin/env bash
# Makes the npm tarballs in OUTDIR: that of the package crsql, and that of the package which holds
# the library for one platform, as it is given. PLATFORM is this machine's unless told, such as
# linux-arm64-musl.
# usage: pack.sh OUTDIR LIBRARY [PLATFORM]
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: pack.sh OUTDIR LIBRARY [PLATFORM]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
library=$2
[ -f "$library" ] || { echo "pack.sh: there is no file $library" >&2; exit 1; }
this='const { header } = process.report.getReport();
const musl = process.platform === "linux" && !header.glibcVersionRuntime ? "-musl" : "";
console.log(`${process.platform}-${process.arch}${musl}`)'
platform=${3:-$(node -e "$this")}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir "$stage/main" "$stage/platform"
cp -R "$here"/{package.json,index.js,index.mjs,index.d.ts,index.d.mts,lib,recipes,README.md} \
    "$stage/main"
cp "$here"/../../LICENSE-* "$stage/main"
cp "$here"/../../LICENSE-* "$stage/platform"

case $platform in
    darwin-*) file=crsql.dylib ;;
    win32-*) file=crsql.dll ;;
    *) file=crsql.so ;;
esac
cp "$library" "$stage/platform/$file"
chmod 644 "$stage/platform/$file"
link="[crsql](https://www.npmjs.com/package/crsql)"
echo "The library of $link for $platform; install that package." >"$stage/platform/README.md"
node - "$here/package.json" "$platform" "$file" >"$stage/platform/package.json" <<'JS'
const [main, platform, file] = process.argv.slice(2);
const { version, license, optionalDependencies } = require(main);
const name = `crsql-${platform}`;
if (optionalDependencies[name] !== version) {
  console.error(`pack.sh: package.json does not name ${name} ${version} in optionalDependencies`);
  process.exit(1);
}
const [os, cpu, musl] = platform.split('-');
const libc = os === 'linux' ? { libc: [musl ?? 'glibc'] } : {};
const description = `The library of crsql for ${platform}`;
const fits = { os: [os], cpu: [cpu], ...libc };
// Yarn keeps packages zipped unless told, and the system loads no library out of a zip file.
const rest = { files: [file, 'LICENSE-*'], preferUnplugged: true };
console.log(JSON.stringify({ name, version, description, license, ...fits, ...rest }, null, 2));
JS
for package in main platform; do
    (cd "$stage/$package" && npm pack --silent --pack-destination "$out")
done
