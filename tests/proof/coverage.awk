# Reads an lcov file and prints lines and branches per file of src/, and the two figures that count:
# branches of floor 0, lines of the rest. A line or branch below `#[cfg(test)]` is a test's own.

function percent(hit, all) { return all ? sprintf("%.2f", 100 * hit / all) : "-" }

function row(name, l, lh, b, bh) {
    printf "%-36s %6d %6d %7s   %6d %6d %7s\n", name, l, l - lh, percent(lh, l), b, b - bh, percent(bh, b)
}

BEGIN {
    FS = "[:,]"
    printf "%-36s %6s %6s %7s   %6s %6s %7s\n", "file", "lines", "missed", "%", "branch", "missed", "%"
}

$1 == "SF" {
    path = substr($0, 4)
    file = path
    sub(/^.*\/src\//, "src/", file)
    end = 0
    for (n = 1; (getline text < path) > 0; n++) {
        if (!end && text ~ /^#\[cfg\(test\)\]/) end = n
    }
    close(path)
    l = lh = b = bh = 0
    missed = ""
}

$1 == "DA" && (!end || $2 < end) { l++; if ($3 > 0) lh++; else missed = missed " " $2 }
$1 == "BRDA" && (!end || $2 < end) { b++; if ($5 != "-" && $5 > 0) bh++; else half = half " " $2 }

$0 == "end_of_record" {
    row(file, l, lh, b, bh)
    if (DETAIL) print "    lines:" missed "\n    branches:" half
    half = ""
    floor = file ~ /^src\/words\// ? 0 : 1
    L[floor] += l; LH[floor] += lh; B[floor] += b; BH[floor] += bh
}

END {
    row("floor 0 (src/words)", L[0], LH[0], B[0], BH[0])
    row("the rest", L[1], LH[1], B[1], BH[1])
    printf "branches of floor 0: %s %%\nlines of the rest: %s %%\n", percent(BH[0], B[0]), percent(LH[1], L[1])
}
