#!/bin/sh
# fuzz/minimize.sh SEEDS: makes the committed corpora anew, from what is in SEEDS/TARGET, what
# libFuzzer found and the old corpus: the few inputs that reach as much code as all of them.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
bytes_max=190000
files_max=150

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
    # Some of each size, as many as there is room for.
    step=0
    while
        step=$((step + 1))
        chosen=$(ls -Sr "$small" | awk -v step=$step 'NR % step == 0')
        # shellcheck disable=SC2086  # names of hex digits
        size=$(cd "$small" && cat $chosen | wc -c)
        [ "$size" -gt $bytes_max ] || [ "$(echo "$chosen" | wc -l)" -gt $files_max ]
    do :; done
    for file in $chosen; do
        cp "$small/$file" "fuzz/corpus/$name/"
    done
done
du -sk fuzz/corpus/*
