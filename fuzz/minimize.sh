#!/bin/sh
# fuzz/minimize.sh SEEDS: makes the committed corpora anew, from what is in SEEDS/TARGET, what
# libFuzzer found and the old corpus: the few inputs that reach as much code as all of them.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
bytes_max=200000

for name in changeset keys apply rows functions tables; do
    all=target/fuzz/all/$name
    small=target/fuzz/small/$name
    rm -rf "$all" "$small"
    mkdir -p "$all" "$small" "fuzz/corpus/$name"
    for folder in "$1/$name" "target/fuzz/corpus/$name" "fuzz/corpus/$name"; do
        [ -d "$folder" ] && find "$folder" -type f -size -8k -exec cp {} "$all/" \;
    done
    # Merging takes the smallest inputs first, and of those that reach nothing new none.
    "$cargo" fuzz run --fuzz-dir fuzz --sanitizer none --features guided --target-dir target/fuzz \
        "$name" "$small" "$all" -- -merge=1 -rss_limit_mb=1024
    find "fuzz/corpus/$name" -type f -delete
    # The smallest, as many as there is room for.
    size=0
    for file in $(ls -Sr "$small"); do
        size=$((size + $(wc -c <"$small/$file")))
        [ "$size" -gt "$bytes_max" ] && break
        cp "$small/$file" "fuzz/corpus/$name/"
    done
done
du -sb fuzz/corpus/*
