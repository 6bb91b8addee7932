#!/bin/sh
# venv.sh PYTHON DIRECTORY [--test]: make a virtual environment as requirements.lock says, unless it is there already; with
# --test also what the checks and the suite need, as requirements-test.lock says.
set -eu
cd "$(dirname "$0")/.."
python=$1
venv=$2
stamp="$venv/.dtrove-stamp"
want="$("$python" -c 'import sys; print(sys.version)' | tr '\n' ' ') $(cat requirements.lock pyproject.toml | cksum) $PWD"
tested="$want $(cksum <requirements-test.lock)"
there=$(cat "$stamp" 2>/dev/null || true)
[ -x "$venv/bin/python" ] || there=""
lock=requirements.lock
if [ "${3:-}" = --test ]; then
    want=$tested
    lock=requirements-test.lock
fi
# What the tests need is more than what DTrove needs.
if [ "$there" = "$want" ] || [ "$there" = "$tested" ]; then
    exit 0
fi
echo "making $venv with $python"
rm -f "$stamp"
log=$(mktemp)
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" >>"$log" 2>&1 </dev/null; }
# One that only lacks the tests' part is added to: what runs from it goes on.
case "$tested" in
"$there "*) ;;
*) "$python" -m venv --clear "$venv" ;;
esac
if ! { pip install --require-hashes --requirement "$lock" && pip install --no-deps --editable .; }; then
    tail -n 20 "$log" >&2
    echo "pip could not fill $venv (whole log: $log)" >&2
    exit 1
fi
rm -f "$log"
printf '%s' "$want" >"$stamp"
