#!/bin/sh
# Fetch anew what is taken from npm's registry: for the console htmx, and its extension for server-sent events; for its tests in a
# browser axe. They are kept here as they come, so that nobody who runs DTrove, or its tests, needs npm for them; the vendored.txt
# beside them says which versions, under which licence, by which SHA-256.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# take PACKAGE@RANGE FILE-IN-IT NAME-HERE
take() {
    rm -rf "$work/package"
    packed=$(cd "$work" && npm pack --silent "$1")
    tar -xzf "$work/$packed" -C "$work"
    cp "$work/package/$2" "$folder/$3"
    cp "$work/package/LICENSE" "$folder/$3.LICENSE"
    # Where a package has others' work in it, their licences go along.
    [ ! -f "$work/package/LICENSE-3RD-PARTY.txt" ] || cp "$work/package/LICENSE-3RD-PARTY.txt" "$folder/$3.LICENSE-3RD-PARTY"
    licence=$(head -n 1 "$work/package/LICENSE")
    node -p 'const p = require(process.argv[1]); [process.argv[2], p.name, p.version, process.argv[3], process.argv[4]].join(" ")' \
        "$work/package/package.json" "$3" "$(sha256sum "$folder/$3" | cut -d" " -f1)" "$licence" >>"$work/vendored.txt"
}
# into FOLDER: where what is taken from now on lies. told: write down what was taken.
into() {
    folder=$PWD/$1
    mkdir -p "$folder"
    : >"$work/vendored.txt"
}
told() {
    mv "$work/vendored.txt" "$folder/vendored.txt"
    cat "$folder/vendored.txt"
}
into services/api/web/static
take "htmx.org@2" dist/htmx.min.js htmx.min.js
take "htmx-ext-sse@2" dist/sse.min.js htmx-ext-sse.js
told
into tests/browser/axe
take "axe-core@4" axe.min.js axe.min.js
told
