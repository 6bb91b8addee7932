#!/bin/sh
# The fast checks: style, types, import rules, and the unit tests on each Python from 3.11 to 3.13 that is here.
set -eu
cd "$(dirname "$0")/.."
main=$(.venv/bin/python -c 'import sys; print(*sys.version_info[:2], sep=".")')

# Prints VERSION and PYTHON for each other one that can be used.
others() {
    for python in $(sh scripts/python.sh --all); do
        version=$("$python" -c 'import sys; print(*sys.version_info[:2], sep=".")')
        [ "$version" != "$main" ] || continue
        "$python" -c 'import ensurepip, venv' 2>/dev/null || { echo "Python $version has no venv module; left out" >&2; continue; }
        echo "$version $python"
    done
}
make_others() {
    while read -r version python; do
        sh scripts/venv.sh "$python" ".venv-$version" --test || exit 1
    done
}
# unit_tests VERSION DIRECTORY [OPTION...]
unit_tests() {
    echo "== unit tests on Python $1"
    bin=$2/bin
    shift 2
    "$bin/python" -m pytest --quiet -p no:cacheprovider "$@" tests/unit </dev/null
}
# They wait for much of their time: beside each other, in one process each, they need half as long as one after the other.
unit_tests_on_others() {
    running=""
    while read -r version _; do
        unit_tests "$version" ".venv-$version" >"$place/$version" 2>&1 &
        running="$running $version:$!"
    done
    failed=0
    for one in $running; do
        wait "${one#*:}" || failed=1
        cat "$place/${one%:*}"
    done
    return $failed
}

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
others >"$place/list"
# Filling a virtual environment is a wait for most of its time: it goes on beside the checks.
make_others <"$place/list" &
making=$!
sh scripts/check.sh
unit_tests "$main" .venv -n auto --maxprocesses=4
wait "$making"
unit_tests_on_others <"$place/list"
