#!/bin/sh
# Print the path of a supported Python (3.11 to 3.13), or with --all of one for each such version that is here.
# Exits 1 where there is none. DTROVE_PYTHON, where set, is asked first.
set -u
check='import sys; v = sys.version_info[:2]; print(*v, sys.executable); sys.exit(not (3, 11) <= v <= (3, 13))'
seen=""
for name in ${DTROVE_PYTHON:-} python3.11 python3.12 python3.13 python3 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
    command -v "$name" >/dev/null 2>&1 || continue
    # A version manager's shim may stand for a Python that is not switched on: ask it, and go on where it declines.
    answer=$("$name" -c "$check" 2>/dev/null) || continue
    path=${answer#* * }
    version=${answer% "$path"}
    case "$seen" in *"|$version|"*) continue ;; esac
    seen="$seen|$version|"
    echo "$path"
    [ "${1:-}" = --all ] || exit 0
done
[ -n "$seen" ]
