#!/usr/bin/env bash
# Two databases, edited apart and synced: the stock sqlite3 shell, plain SQL, and the extension that
# `make build` leaves at the root. Ends with an error when the two do not end up the same.
set -euo pipefail
cd "$(dirname "$0")/.."

shell=${SQLITE3:-sqlite3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() { echo "demo: $*" >&2; exit 1; }

command -v "$shell" >/dev/null || fail "the sqlite3 shell is missing: install the package sqlite3" \
    "(Debian, Ubuntu) or sqlite (Fedora, Alpine, Homebrew)."
[ -e crsql.so ] || [ -e crsql.dylib ] || [ -e crsql.dll ] ||
    fail "the extension is not built: run 'make build' first."

# sql DATABASE < SCRIPT: runs plain SQL with the extension loaded; stops at the first error.
sql() { "$shell" -batch -bail -cmd '.load ./crsql' "$dir/$1.db"; }

ms() { "$shell" -batch :memory: "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"; }

# timed WHAT COMMAND...: runs it and says how long it took, the start of the shell included.
timed() {
    local what=$1 start
    shift
    start=$(ms)
    "$@"
    printf '   %-46s %6d ms\n' "$what" $(($(ms) - start))
}

title() { printf '\n== %s\n' "$*"; }

columns='icao TEXT PRIMARY KEY NOT NULL, iata TEXT, name TEXT, city TEXT, subd TEXT, country TEXT,
    elevation INTEGER, lat REAL, lon REAL, tz TEXT, lid TEXT'

import() {
    sql A <<EOF
CREATE TABLE airports($columns);
.import --csv --skip 1 examples/data/airports.csv airports
EOF
}

replicate() { echo "SELECT crsql_as_crr('airports');" | sql "$1" >/dev/null; }

# ask FROM TO: TO writes down what it has seen, FROM answers with what TO lacks.
ask() {
    echo "SELECT writefile('$dir/vector', crsql_vector());" | sql "$2" >/dev/null
    echo "SELECT writefile('$dir/changes', crsql_changeset(CAST(readfile('$dir/vector') AS TEXT)));" |
        sql "$1" >/dev/null
}

# apply TO: takes the changes and keeps the report, without its vector, for people to read.
apply() {
    echo "SELECT json_remove(crsql_apply(readfile('$dir/changes')), '\$.vector');" |
        sql "$1" >"$dir/report"
}

sync() {
    timed "$2 asks, $1 answers" ask "$1" "$2"
    if [ ! -s "$dir/changes" ]; then
        echo "   nothing new"
        return
    fi
    printf '   %-46s %6d bytes\n' "changeset" $(($(wc -c <"$dir/changes")))
    timed "$2 applies" apply "$2"
    sed 's/^/   report: /' "$dir/report"
}

# The airports that the edits below touch, as one database has them.
watched() {
    printf '   %s:\n' "$1"
    sql "$1" <<'EOF' | sed 's/^/     /'
.mode column
.width 5 26 10 9
SELECT icao, substr(name, 1, 26) AS name, city, elevation FROM airports
WHERE icao IN ('LSZH','EGLL','KJFK','LFPG','OMDB','WSSS','WSS1','ZZA1','ZZB1') ORDER BY icao;
EOF
}

title "A imports $(($(wc -l <examples/data/airports.csv) - 1)) airports; B starts empty"
timed "import into a plain table" import
timed "SELECT crsql_as_crr('airports') on A" replicate A
echo "CREATE TABLE airports($columns);" | sql B
replicate B

title "First sync: B pulls everything"
sync A B

title "Before the edits, both have"
watched A

title "Edits apart"
cat <<'EOF'
   A: LSZH gets another elevation, and B gives it another name     different columns
   A: EGLL gets a name, then B gives it another                    same column, B is later
   B: KJFK gets a name, then A gives it another                    same column, A is later
   A: LFPG is deleted, then B renames it without knowing           delete against update
   A: WSSS gets the key WSS1                                       changed key
   A: ZZA1 is inserted; B: ZZB1 is inserted, OMDB is deleted       no conflict
EOF
sql A <<'EOF'
UPDATE airports SET elevation = 1417 WHERE icao = 'LSZH';
UPDATE airports SET name = 'Heathrow, says A' WHERE icao = 'EGLL';
DELETE FROM airports WHERE icao = 'LFPG';
UPDATE airports SET icao = 'WSS1' WHERE icao = 'WSSS';
INSERT INTO airports(icao, name, city, elevation) VALUES ('ZZA1', 'A new field', 'Adorf', 12);
EOF
sleep 0.1
sql B <<'EOF'
UPDATE airports SET name = 'Kloten, says B' WHERE icao = 'LSZH';
UPDATE airports SET name = 'Heathrow, says B' WHERE icao = 'EGLL';
UPDATE airports SET name = 'Kennedy, says B' WHERE icao = 'KJFK';
UPDATE airports SET name = 'Roissy, says B' WHERE icao = 'LFPG';
DELETE FROM airports WHERE icao = 'OMDB';
INSERT INTO airports(icao, name, city, elevation) VALUES ('ZZB1', 'Another field', 'Bdorf', 34);
EOF
sleep 0.1
sql A <<'EOF'
UPDATE airports SET name = 'Kennedy, says A' WHERE icao = 'KJFK';
EOF
watched A
watched B

title "Sync, both ways"
sync A B
sync B A

title "Sync again: nothing is left to send"
sync A B
[ ! -s "$dir/changes" ] || fail "A still has changes for B."
sync B A
[ ! -s "$dir/changes" ] || fail "B still has changes for A."

title "After"
watched A
watched B

title "Are they the same?"
won() {
    local got
    got=$(echo "SELECT $2;" | sql A)
    [ "$got" = "$3" ] || fail "$1: wanted '$3', got '$got'."
    echo "   $1: $3"
}
name() { echo "(SELECT name FROM airports WHERE icao = '$1')"; }
won "LSZH keeps both columns" "(SELECT name || ', ' || elevation FROM airports WHERE icao = 'LSZH')" \
    "Kloten, says B, 1417"
won "EGLL, the later write" "$(name EGLL)" "Heathrow, says B"
won "KJFK, the later write" "$(name KJFK)" "Kennedy, says A"
won "LFPG, rows left after delete against update" "(SELECT count(*) FROM airports WHERE icao = 'LFPG')" 0
won "WSSS and WSS1, rows left" \
    "(SELECT group_concat(icao) FROM airports WHERE icao IN ('WSSS', 'WSS1'))" WSS1

# Rows in the order of a dump follow the rowid, which is each file's own: sorted, every byte counts.
for db in A B; do
    echo "SELECT crsql_digest();" | sql $db >"$dir/digest.$db"
    echo "SELECT * FROM crsql_check();" | sql $db >"$dir/check.$db"
    echo ".dump airports" | sql $db | LC_ALL=C sort >"$dir/dump.$db"
    [ ! -s "$dir/check.$db" ] || fail "crsql_check() on $db finds: $(cat "$dir/check.$db")"
done
cmp -s "$dir/digest.A" "$dir/digest.B" || fail "the digests of A and B differ."
cmp -s "$dir/dump.A" "$dir/dump.B" || fail "the dumps of A and B differ."
echo "   crsql_digest() on both: $(cat "$dir/digest.A")"
echo "   crsql_check() on both:  nothing to report"
echo "   .dump airports:         $(($(wc -c <"$dir/dump.A"))) bytes, the same"
