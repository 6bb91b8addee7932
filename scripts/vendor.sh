#!/bin/sh
# Fetch anew what the console takes from npm's registry: htmx, and its extension for server-sent events. They are kept here as they
# come, so that nobody who runs DTrove needs npm; vendored.txt says which versions, under which licence, by which SHA-256.
set -eu
cd "$(dirname "$0")/.."
static=$PWD/services/api/web/static
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/vendored.txt"

# take PACKAGE@RANGE FILE-IN-IT NAME-HERE
take() {
    rm -rf "$work/package"
    packed=$(cd "$work" && npm pack --silent "$1")
    tar -xzf "$work/$packed" -C "$work"
    cp "$work/package/$2" "$static/$3"
    cp "$work/package/LICENSE" "$static/$3.LICENSE"
    licence=$(head -n 1 "$work/package/LICENSE")
    node -p 'const p = require(process.argv[1]); [process.argv[2], p.name, p.version, process.argv[3], process.argv[4]].join(" ")' \
        "$work/package/package.json" "$3" "$(sha256sum "$static/$3" | cut -d" " -f1)" "$licence" >>"$work/vendored.txt"
}
take "htmx.org@2" dist/htmx.min.js htmx.min.js
take "htmx-ext-sse@2" dist/sse.min.js htmx-ext-sse.js
mv "$work/vendored.txt" "$static/vendored.txt"
cat "$static/vendored.txt"
