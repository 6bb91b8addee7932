#!/bin/sh
# Write requirements.lock, what DTrove needs, and requirements-test.lock, that and what its checks and tests need: with hashes
# for every Python that DTrove supports. Neither names a package index.
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
[ -x "$uv" ] || uv=$(command -v uv) || {
    python=$(sh scripts/python.sh)
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet uv
    uv=.venv/bin/uv
}
lock() {
    UV_CUSTOM_COMPILE_COMMAND="make lock" "$uv" pip compile pyproject.toml --quiet \
        --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
        --prerelease if-necessary-or-explicit "$@"
}
lock --extra test --output-file requirements-test.lock "$@"
# The same versions: what is tested is what runs.
lock --constraint requirements-test.lock --output-file requirements.lock
if grep -nE '^[^#]*(https?|file)://' requirements.lock requirements-test.lock; then
    echo "a lock file names a host; it must not" >&2
    exit 1
fi
