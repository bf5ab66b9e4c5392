#!/usr/bin/env bash
# Runs the blocks of the README: `readme.sh FOLDER INSTALLED`. Commands run in order beside the
# unpacked archive; the part in C becomes the main of a program. The output must be that of the
# next block.
set -euo pipefail
cd "$(dirname "$0")"
readme=$PWD/README.md
folder=$1
installed=$2

# block LANGUAGE N: the text of the Nth block of that language.
block() {
    awk -v want="$1" -v n="$2" '
        /^```/ && on { on = 0; next }
        /^```/ { on = (substr($0, 4) == want && ++seen == n); if (!on) skip = !skip; next }
        on' "$readme"
}

same() {
    [ "$2" = "$3" ] || { printf 'README, %s: it says\n%s\nnot\n%s\n' "$1" "$2" "$3" >&2; exit 1; }
}

unset PKG_CONFIG_PATH CRSQL_LIBRARY
{ block sh 1; echo "echo between"; block sh 2; } >"$folder/readme-commands"
said=$(cd "$installed/.." && bash -euo pipefail "$folder/readme-commands")
same "commands" "$said" "$(block text 1; echo between; block text 2)"

{
    echo '#include "crsql.h"'
    echo '#include <stdio.h>'
    echo 'int main(void) {'
    block c 1
    echo 'return 0; }'
} >"$folder/readme.c"
cc -Wall -Wextra -Werror -std=c11 "$folder/readme.c" -I"$installed/include" \
    $(pkg-config --cflags --libs sqlite3) -o "$folder/readme"
rm -f "$folder/notes.db"
said=$(cd "$folder" && CRSQL_LIBRARY=$installed/lib/crsql.so ./readme)
same "the part in C" "$said" "$(block text 3)"

# What it tells to build with, and to link with, are what we do.
grep -qF "$(block text 4)" <(tr -s '\\\n ' ' ' <../static_library.sh) || { echo "README: building" >&2; exit 1; }
if [ "$(uname -s)" = Linux ]; then
    libs=$(sed -n 's/^Libs: .*-lcrsql //p' "$installed/lib/pkgconfig/crsql.pc")
    same "the system's libraries" "$(block text 5)" "$libs"
fi
echo "the README's blocks passed"
