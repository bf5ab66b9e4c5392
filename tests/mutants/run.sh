#!/usr/bin/env bash
# Mutation testing of floor 0: `tests/mutants/run.sh [ARGUMENTS OF cargo mutants]`.
#
# `src/words` imports nothing of the other floors, so it is laid out under target/mutants as a package
# of its own, with its tests in the same crate: a mutant takes seconds, not minutes. What is left out,
# and why, stands in `tests/mutants/mutants.toml`.
set -euo pipefail
cd "$(dirname "$0")/../.."

package=target/mutants/package
rm -rf "$package"
mkdir -p "$package/src" "$package/docs" "$package/.cargo"
cp -r src/words tests/mutants/lib.rs "$package/src/"
cp -r sql "$package/"
cp docs/FORMAT.md "$package/docs/"
mkdir "$package/tests"
cp -r tests/golden tests/golden.rs tests/laws.rs tests/words_* "$package/tests/"
cp Cargo.lock "$package/"
cp tests/mutants/mutants.toml "$package/.cargo/"
cat > "$package/Cargo.toml" <<TOML
[package]
name = "crsql"
version = "0.1.0"
edition = "2024"
publish = false
autotests = false

[dependencies]
$(sed -n '/^\[dependencies\]/,/^$/p' Cargo.toml | tail -n +2)

[dev-dependencies]
$(sed -n '/^\[dev-dependencies\]/,/^$/p' Cargo.toml | tail -n +2)

[profile.dev]
opt-level = 1
debug = false

[lints.rust]
unexpected_cfgs = { level = "warn", check-cfg = ["cfg(crsql_plant)"] }

[workspace]
TOML
# The same random cases for every mutant, and few of them: what is not seen by chance must not be
# missed by chance.
export CRSQL_CASES=${CRSQL_CASES:-200} PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1}
cd "$package"
