#!/usr/bin/env bash
# Mutation testing of floor 0: `tests/proof/mutants.sh [ARGUMENTS OF cargo mutants]`.
#
# `src/words` imports nothing of the other floors, so it is laid out under target/mutants as a package
# of its own, with its tests in the same crate: a mutant takes seconds, not minutes. What is left out,
# and why, stands in `tests/proof/mutants.toml`.
set -euo pipefail
cd "$(dirname "$0")/../.."

package=target/mutants/package
rm -rf "$package"
mkdir -p "$package/src" "$package/docs" "$package/.cargo"
cp -r src/words "$package/src/"
cp tests/proof/mutants.rs "$package/src/lib.rs"
cp -r sql "$package/"
cp docs/FORMAT.md "$package/docs/"
mkdir "$package/tests"
cp -r tests/golden tests/golden.rs tests/laws.rs tests/words_* "$package/tests/"
cp Cargo.lock "$package/"
cp tests/proof/mutants.toml "$package/.cargo/"
cat > "$package/Cargo.toml" <<TOML
[package]
name = "crsql"
version = "0.1.0"
edition = "2024"
publish = false
autotests = false

[lib]
doctest = false

[dependencies]
$(sed -n '/^\[dependencies\]/,/^$/p' Cargo.toml | tail -n +2)

[dev-dependencies]
$(sed -n '/^\[dev-dependencies\]/,/^$/p' Cargo.toml | tail -n +2)

# What changes with every mutant is compiled quickly, what it rests on runs quickly.
[profile.dev]
opt-level = 1
debug = false

[profile.dev.package."*"]
opt-level = 1

[lints.rust]
unexpected_cfgs = { level = "warn", check-cfg = ["cfg(crsql_plant)"] }

[workspace]
TOML
# The same random cases for every mutant, and few of them: what chance finds, chance misses.
export CRSQL_CASES=${CRSQL_CASES:-200} PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1}
export CARGO_TARGET_DIR=$PWD/target/mutants/build
# The package is a copy already, so it is mutated where it is.
"${CARGO_MUTANTS:-cargo-mutants}" mutants --dir "$package" --output target/mutants --in-place \
    --timeout 30 "$@"
