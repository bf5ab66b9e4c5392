#!/bin/sh
# fuzz/run.sh SECONDS [TARGET [plain]]: hostile input for every target, or for one. libFuzzer
# chooses the inputs where cargo-fuzz is installed, and a mutator of our own does where it is not,
# or where `plain` asks for it.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
target=${2:-}
cargo=${CARGO:-cargo}

if [ "${3:-}" = plain ] || ! command -v cargo-fuzz >/dev/null || ! command -v c++ >/dev/null; then
    echo "The fuzzer's own mutator makes the inputs: cargo-fuzz or a C++ compiler is missing, or was not asked for."
    exec "$cargo" run --release --locked --target-dir target/beside --manifest-path fuzz/Cargo.toml \
        -- --seconds "$seconds" ${target:+--target "$target"}
fi

echo "libFuzzer makes the inputs (cargo-fuzz is installed)."
all=${target:-changeset keys apply rows functions tables}
count=$(echo "$all" | wc -w)
failed=0
for name in $all; do
    # What it finds new goes to the first folder, which is not committed.
    mkdir -p "target/fuzz/corpus/$name" "target/fuzz/crashers/$name"
    find fuzz/crashers -name "$name-*" ! -name "*.txt" -exec cp {} "target/fuzz/crashers/$name/" \;
    "$cargo" fuzz run --fuzz-dir fuzz --sanitizer none --features guided --target-dir target/fuzz \
        "$name" "target/fuzz/corpus/$name" "fuzz/corpus/$name" "target/fuzz/crashers/$name" -- \
        -max_total_time=$((seconds / count + 1)) -timeout=60 -rss_limit_mb=1024 -max_len=16384 \
        -print_final_stats=1 "-artifact_prefix=fuzz/crashers/$name-" || failed=1
done
exit $failed
