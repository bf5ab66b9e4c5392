#!/usr/bin/env bash
# The scripts of tests/sql with many versions of SQLite: `tests/matrix/run.sh LIBRARY [VERSION...]`.
#
# The crate libsqlite3-sys carries SQLite's sources. One cargo project cannot hold two of it, so each
# version gets a project of its own under target/matrix, made here; all build the same runner. A
# version below 3.38 must be refused by the library, with a sentence.
set -euo pipefail
cd "$(dirname "$0")/../.."

# SQLite, and the crate that carries it.
CRATES="3.35.4=0.22.2 3.37.0=0.23.2 3.38.2=0.24.2 3.39.2=0.25.2 3.41.2=0.26.0 3.44.0=0.27.0
    3.45.0=0.28.0 3.46.0=0.30.1 3.49.1=0.32.0 3.51.1=0.36.0 3.54.1=0.39.1"

library=$(realpath "$1")
shift
wanted=" $* "
failed=()
for pair in $CRATES; do
    version=${pair%=*}
    if [ "$wanted" != "  " ] && [[ "$wanted" != *" $version "* ]]; then
        continue
    fi
    project=target/matrix/$version
    mkdir -p "$project"
    cat > "$project/Cargo.toml" <<TOML
[package]
name = "matrix-${version//./-}"
version = "0.0.0"
edition = "2021"
publish = false

[[bin]]
name = "matrix-${version//./-}"
path = "../../../tests/matrix/runner.rs"

[dependencies]
libsqlite3-sys = { version = "=${pair#*=}", features = ["bundled"] }

[profile.dev]
opt-level = 1
debug = false

[workspace]
TOML
    CARGO_TARGET_DIR=target/matrix/build \
        ${CARGO:-cargo} build --quiet --manifest-path "$project/Cargo.toml"
    scripts=$PWD/tests/sql
    case $version in 3.3[0-7].*) scripts=refused ;; esac
    rm -rf "$project/run"
    "target/matrix/build/debug/matrix-${version//./-}" "$version" "$library" "$scripts" \
        "$project/run" || failed+=("$version")
    wanted=${wanted/ $version / }
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "SQLite ${failed[*]}: not as tests/sql/*.out say"
    exit 1
fi
