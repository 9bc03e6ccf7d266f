#!/bin/sh
# Puts the page together, from the top folder:
#     sh examples/playground/build.sh ENGINE.wasm PAGE.html
# A line "@@ FILE" of page.html becomes that file; "@@ engine" becomes the engine as base64.
set -eu
engine=$(mktemp)
trap 'rm -f "$engine"' EXIT
base64 <"$1" >"$engine"
awk -v folder=examples/playground -v engine="$engine" '
    /^@@ / {
        file = $2 == "engine" ? engine : folder "/" $2
        while ((got = (getline line <file)) > 0) print line
        if (got < 0) { print "cannot read " file >"/dev/stderr"; exit 1 }
        close(file)
        next
    }
    { print }' examples/playground/page.html >"$2.new"
mv "$2.new" "$2"
