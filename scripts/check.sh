#!/bin/sh
# Style, types and import rules. Runs all of them, then fails if one did.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=0
run() {
    echo "== $*"
    program=$1; shift; "$bin/$program" "$@" || failed=1
}
run ruff check .
run ruff format --check .
run mypy
run lint-imports
run python -m scripts.audit
exit $failed
