#!/bin/sh
# venv.sh PYTHON DIRECTORY: make a virtual environment as requirements.lock says, unless it is there already.
set -eu
cd "$(dirname "$0")/.."
python=$1
venv=$2
stamp="$venv/.dtrove-stamp"
want="$("$python" -c 'import sys; print(sys.version)' | tr '\n' ' ') $(cat requirements.lock pyproject.toml | cksum) $PWD"
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
    exit 0
fi
echo "making $venv with $python"
rm -f "$stamp"
log=$(mktemp)
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" >>"$log" 2>&1 </dev/null; }
"$python" -m venv --clear "$venv"
if ! { pip install --require-hashes --requirement requirements.lock && pip install --no-deps --editable .; }; then
    tail -n 20 "$log" >&2
    echo "pip could not fill $venv (whole log: $log)" >&2
    exit 1
fi
rm -f "$log"
printf '%s' "$want" >"$stamp"
