#!/bin/sh
# Write requirements.lock: one file with hashes for every Python that DTrove supports. Names no package index.
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
[ -x "$uv" ] || uv=$(command -v uv) || {
    python=$(sh scripts/python.sh)
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet uv
    uv=.venv/bin/uv
}
UV_CUSTOM_COMPILE_COMMAND="make lock" "$uv" pip compile pyproject.toml --extra test \
    --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
    --prerelease if-necessary-or-explicit --output-file requirements.lock "$@"
if grep -nE '^[^#]*(https?|file)://' requirements.lock; then
    echo "requirements.lock names a host; it must not" >&2
    exit 1
fi
