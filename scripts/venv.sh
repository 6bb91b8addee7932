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
"$python" -m venv --clear "$venv"
pip="$venv/bin/python -m pip --quiet --disable-pip-version-check --no-input"
$pip install --require-hashes --requirement requirements.lock </dev/null
$pip install --no-deps --editable . </dev/null
printf '%s' "$want" >"$stamp"
