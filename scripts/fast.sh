#!/bin/sh
# The fast checks: style, types, import rules, and the unit tests on each Python from 3.11 to 3.13 that is here.
set -eu
cd "$(dirname "$0")/.."
sh scripts/check.sh
main=$(.venv/bin/python -c 'import sys; print(*sys.version_info[:2], sep=".")')
for python in $(sh scripts/python.sh --all); do
    version=$("$python" -c 'import sys; print(*sys.version_info[:2], sep=".")')
    venv=.venv
    if [ "$version" != "$main" ]; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null || { echo "Python $version has no venv module; left out"; continue; }
        venv=".venv-$version"
        sh scripts/venv.sh "$python" "$venv" --test
    fi
    echo "== unit tests on Python $version"
    "$venv/bin/python" -m pytest --quiet -p no:cacheprovider -n auto --maxprocesses=4 tests/unit
done
